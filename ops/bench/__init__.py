"""Measuring the whole pipeline on this machine."""
