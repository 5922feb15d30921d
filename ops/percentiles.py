"""Percentiles that exist: an observed latency, never one between two of them."""

import math
from collections.abc import Sequence


def percentile(observed: Sequence[float], percent: float) -> float | None:
    """Return the smallest observation that at least ``percent`` % of all do not exceed; None of none.

    >>> percentile([30.0, 10.0, 20.0], 50)
    20.0
    """
    if not observed:
        return None
    rank = math.ceil(percent / 100.0 * len(observed))
    return sorted(observed)[max(rank, 1) - 1]


def in_ms(latency_ms: float | None) -> str:
    """Write a latency for people.

    >>> in_ms(1234.0), in_ms(None)
    ('1234 ms', '—')
    """
    return "—" if latency_ms is None else f"{latency_ms:.0f} ms"
