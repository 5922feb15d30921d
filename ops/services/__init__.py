"""Broker and Redis for demo and tests, started on free ports and stopped cleanly."""
