"""A number with its 95 % interval, and the intervals that several statistics share."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

#: Half-width of a 95 % interval in standard errors: the 97.5th percentile of the standard normal.
Z_95: Final = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; NaN in ``low`` and ``high`` where it has none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def plain_interval(value: float, se: float) -> Estimate:
    """Make a normal interval on the number's own scale.

    >>> plain_interval(1.0, 0.5).high
    1.979981992270027
    """
    return Estimate(value=value, low=value - Z_95 * se, high=value + Z_95 * se)


def ratio_interval(log_ratio: float, se: float) -> Estimate:
    """Make a normal interval on the logarithm of a ratio, told as the ratio."""
    with np.errstate(over="ignore"):
        value, low, high = np.exp([log_ratio, log_ratio - Z_95 * se, log_ratio + Z_95 * se])
    return Estimate(value=float(value), low=float(low), high=float(high))


def share_interval(count: int, of: int) -> Estimate:
    """Share with Wilson's score interval; all NaN of nothing.

    Source: Wilson, JASA 22 (1927) 209. It stays within 0 and 1 and holds its level for few and for rare.

    >>> share = share_interval(0, 10)
    >>> share.low, round(share.high, 4)
    (0.0, 0.2775)
    """
    if not of:
        return Estimate(value=float("nan"))
    share, spread = count / of, Z_95**2 / of
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # At 0 of n and n of n a bound is exactly the share, 0 or 1; rounding must not carry it away.
    low, high = min(float(centre - half), share), max(float(centre + half), share)
    return Estimate(value=share, low=max(low, 0.0), high=min(high, 1.0))


def two_sided_p(z: float) -> float:
    """Probability of a standard normal at least so far from 0."""
    return float(2.0 * norm.sf(abs(z)))


def percentile_interval(value: float, replicates: FloatArray) -> Estimate:
    """Interval from the 2.5th to the 97.5th percentile of bootstrap replicates."""
    low, high = np.percentile(replicates, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))
