"""Samples in, risk out; knows nothing of Kafka or Redis."""
