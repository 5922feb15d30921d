"""How those at high and at low risk differ in what is known beside the ECG.

Sources: Welch, Biometrika 34 (1947) 28, for means; Cohen, Statistical Power Analysis (1988), for d; Woolf,
Ann. Hum. Genet. 19 (1955) 251, for the odds ratio's interval, with Haldane's half added to each cell where
one is empty; Fisher's exact test. Adjusted for age and sex by linear and logistic regression.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact, ttest_ind

from models.study.estimate import BoolArray, Estimate, FloatArray, plain_interval, ratio_interval
from models.study.regression import design, linear, logistic


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousAssociation:
    """A measured quantity in the high- and the low-risk group.

    Attributes
    ----------
    difference : Estimate
        Mean of the high-risk group minus that of the low, Welch's interval, in the quantity's own unit.
    effect_size : Estimate
        The same in pooled standard deviations (Cohen's d).
    adjusted : Estimate or None
        Difference among people of the same age and sex; None where it cannot be had.
    adjusted_for : tuple of str
        What was adjusted for: never the quantity itself.
    """

    name: str
    n_high: int
    n_low: int
    mean_high: float
    sd_high: float
    mean_low: float
    sd_low: float
    difference: Estimate
    effect_size: Estimate
    p: float
    adjusted: Estimate | None
    adjusted_p: float | None
    adjusted_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryAssociation:
    """A condition in the high- and the low-risk group.

    Attributes
    ----------
    with_high, with_low : int
        How many of ``n_high`` and ``n_low`` have it.
    odds_ratio, adjusted : Estimate
        Odds of the condition at high risk, over those at low; ``adjusted`` for age and sex.
    p : float
        Fisher's exact test, two-sided.
    """

    name: str
    n_high: int
    n_low: int
    with_high: int
    with_low: int
    odds_ratio: Estimate
    p: float
    adjusted: Estimate | None
    adjusted_p: float | None
    adjusted_for: tuple[str, ...]


def continuous_association(
    name: str, quantity: FloatArray, is_high: BoolArray, adjust_for: Mapping[str, FloatArray]
) -> ContinuousAssociation | None:
    """Compare a quantity, (n,) with NaN where unknown, between the groups.

    Parameters
    ----------
    adjust_for : mapping of str to numpy.ndarray
        Columns, (n,), by name; rows where one is NaN are left out of the adjusted difference alone.

    Returns
    -------
    ContinuousAssociation or None
        None where a group has fewer than two known.
    """
    known = np.isfinite(quantity)
    high, low = quantity[known & is_high], quantity[known & ~is_high]
    if min(len(high), len(low)) < 2:
        return None
    welch = ttest_ind(high, low, equal_var=False)
    interval = welch.confidence_interval(0.95)
    difference = Estimate(
        value=float(high.mean() - low.mean()), low=float(interval.low), high=float(interval.high)
    )
    columns, rows = _adjusting(name, known, is_high, adjust_for)
    fit = linear(columns, quantity[rows]) if is_high[rows].any() and not is_high[rows].all() else None
    return ContinuousAssociation(
        name=name,
        n_high=len(high),
        n_low=len(low),
        mean_high=float(high.mean()),
        sd_high=float(high.std(ddof=1)),
        mean_low=float(low.mean()),
        sd_low=float(low.std(ddof=1)),
        difference=difference,
        effect_size=_cohens_d(high, low),
        p=float(welch.pvalue),
        adjusted=fit.difference(1) if fit else None,
        adjusted_p=fit.p(1) if fit else None,
        adjusted_for=tuple(other for other in adjust_for if other != name),
    )


def binary_association(
    name: str, condition: FloatArray, is_high: BoolArray, adjust_for: Mapping[str, FloatArray]
) -> BinaryAssociation | None:
    """Compare how frequent a condition, (n,) 0, 1 or NaN, is in the groups; the rest as above."""
    known = np.isfinite(condition)
    high, low = condition[known & is_high] > 0.5, condition[known & ~is_high] > 0.5
    if not len(high) or not len(low):
        return None
    table = np.array([[high.sum(), (~high).sum()], [low.sum(), (~low).sum()]])
    columns, rows = _adjusting(name, known, is_high, adjust_for)
    fit = logistic(columns, condition[rows]) if len(rows) else None
    return BinaryAssociation(
        name=name,
        n_high=len(high),
        n_low=len(low),
        with_high=int(high.sum()),
        with_low=int(low.sum()),
        odds_ratio=_odds_ratio(table),
        p=float(fisher_exact(table).pvalue),
        adjusted=fit.odds_ratio(1) if fit else None,
        adjusted_p=fit.p(1) if fit else None,
        adjusted_for=tuple(other for other in adjust_for if other != name),
    )


def _adjusting(
    name: str, known: BoolArray, is_high: BoolArray, adjust_for: Mapping[str, FloatArray]
) -> tuple[FloatArray, BoolArray]:
    """Design of group and what is adjusted for, and the rows where all of it is known."""
    others = [column for other, column in adjust_for.items() if other != name]
    rows = known & np.all([np.isfinite(column) for column in others] or [known], axis=0)
    centred = [column[rows] - column[rows].mean() for column in others]
    return design(is_high[rows].astype(float), *centred), rows


def _cohens_d(high: FloatArray, low: FloatArray) -> Estimate:
    """Difference in pooled standard deviations; normal interval, Hedges & Olkin (1985)."""
    n_high, n_low = len(high), len(low)
    pooled = ((n_high - 1) * high.var(ddof=1) + (n_low - 1) * low.var(ddof=1)) / (n_high + n_low - 2)
    if not pooled:
        return Estimate(value=float("nan"))
    d = float((high.mean() - low.mean()) / np.sqrt(pooled))
    se = np.sqrt((n_high + n_low) / (n_high * n_low) + d**2 / (2 * (n_high + n_low)))
    return plain_interval(d, float(se))


def _odds_ratio(table: FloatArray) -> Estimate:
    counts = table + 0.5 * (table == 0).any()
    log_ratio = float(np.log(counts[0, 0] * counts[1, 1] / (counts[0, 1] * counts[1, 0])))
    return ratio_interval(log_ratio, float(np.sqrt((1.0 / counts).sum())))
