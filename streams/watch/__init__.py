"""Notices stages that stand still, are behind or do not answer, and raises a technical alarm of each."""
