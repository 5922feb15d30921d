"""Whether a pipeline keeps up: judged by how its lag moves through a run, not by how long it is.

A pipeline that does C of the R ECGs a second it is offered falls behind by R/C - 1 seconds each second. That
is a slope which lasts; a garbage collection or a busy neighbour is a bump which passes. So the run is cut
into equal blocks of time, each block is its median lag, and the verdict needs both a steep slope and one that
most pairs of blocks agree on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

from ops.percentiles import percentile

_BLOCKS: Final = 10
#: Falling behind by more than 2 % of the rate ...
_STEEP: Final = 0.02
#: ... by more than a busy machine's noise over the whole run ...
_LEAST_GROWTH_S: Final = 0.3
#: ... and steadily: at least this share of all pairs of blocks rises. Ten blocks without a trend do so by
#: chance in about 2 of 100 runs (Kendall's test: 34 of 45 pairs or more).
_STEADY: Final = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class LagTrend:
    """How the lag moved.

    Attributes
    ----------
    slope : float
        Seconds of lag gained in a second: median slope of all pairs of blocks (Theil and Sen).
    rising : float
        Share of pairs of blocks of which the later one lags more, 0 to 1.
    growth_s : float
        What the slope amounts to over the run, seconds.
    """

    slope: float
    rising: float
    growth_s: float

    @property
    def keeps_up(self) -> bool:
        """Whether the pipeline keeps up with what is offered."""
        return self.slope <= _STEEP or self.growth_s <= _LEAST_GROWTH_S or self.rising < _STEADY


def lag_trend(at_s: Sequence[float], lag_s: Sequence[float]) -> LagTrend:
    """Judge a run from when each ECG was due and how much later it was done.

    Parameters
    ----------
    at_s, lag_s : sequence of float
        Seconds, one of each per ECG, in order of being due.
    """
    if len(at_s) < 2 or at_s[-1] <= at_s[0]:
        return LagTrend(slope=0.0, rising=0.0, growth_s=0.0)
    begun_s, lasts_s = at_s[0], at_s[-1] - at_s[0]
    blocks: dict[int, list[float]] = {}
    for at, lag in zip(at_s, lag_s, strict=True):
        blocks.setdefault(min(int((at - begun_s) / lasts_s * _BLOCKS), _BLOCKS - 1), []).append(lag)
    medians = [
        (number * lasts_s / _BLOCKS, percentile(lags, 50) or 0.0) for number, lags in sorted(blocks.items())
    ]
    slopes = [(later - earlier) / (t2 - t1) for (t1, earlier), (t2, later) in combinations(medians, 2)]
    if not slopes:
        return LagTrend(slope=0.0, rising=0.0, growth_s=0.0)
    slope = median(slopes)
    rising = sum(each > 0.0 for each in slopes) / len(slopes)
    return LagTrend(slope=slope, rising=rising, growth_s=slope * lasts_s)
