"""Rates of counted events."""

from typing import Final

from scipy.stats import chi2

from models.study.estimate import Estimate

_TAIL: Final = 0.025  # on each side of a 95 % interval


def per_100_beds_a_day(n: int, *, beds: int, days: float) -> Estimate:
    """Rate with Garwood's exact interval of a Poisson count; all NaN of no time.

    Source: Garwood, Biometrika 28 (1936) 437.

    >>> rate = per_100_beds_a_day(10, beds=50, days=10)
    >>> rate.value, round(rate.low, 3), round(rate.high, 3)
    (2.0, 0.959, 3.678)
    """
    if days <= 0:
        return Estimate(value=float("nan"))
    scale = 100 / beds / days
    low = 0.0 if n == 0 else float(chi2.ppf(_TAIL, 2 * n)) / 2
    high = float(chi2.ppf(1 - _TAIL, 2 * n + 2)) / 2
    return Estimate(value=n * scale, low=low * scale, high=high * scale)
