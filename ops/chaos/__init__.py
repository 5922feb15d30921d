"""Faults on purpose: a ward plays on real parts while they break, and an oracle says what must come out."""
