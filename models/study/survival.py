"""Compare two groups over time: tests of their curves, and ratios of their hazards.

With competing events: Gray's test (Ann. Stat. 16 (1988) 1141) and the subdistribution hazard ratio of Fine &
Gray (JASA 94 (1999) 496), both by comprisk, which tests of ours check. Without: the log-rank test and Cox's
model by lifelines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.estimate import BoolArray, Estimate, FloatArray, ratio_interval, two_sided_p
from models.study.incidence import Events


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveTest:
    """Whether two groups' curves are the same."""

    name: str
    chi2: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatio:
    """High risk over low: of what, by which regression, and what it was adjusted for."""

    name: str
    ratio: Estimate
    p: float
    adjusted_for: tuple[str, ...] = ()


#: With fewer events in a group a ratio's interval is no normal one, if it is finite at all.
_FEWEST_EVENTS: Final = 5


def grays_test(years: FloatArray, event: Events, is_high: BoolArray) -> CurveTest:
    """Test whether the cumulative incidence of event 1 is the same in both groups, event 2 competing."""
    if not (event == 1).any():
        return CurveTest(name="Gray's test", chi2=0.0, p=1.0)
    from comprisk import gray_test

    found = gray_test(years, event, is_high.astype(int), cause=1)
    return CurveTest(name="Gray's test", chi2=float(found.stat), p=float(found.pvalue))


def log_rank_test(years: FloatArray, event: Events, is_high: BoolArray) -> CurveTest:
    """Test whether any event happens at the same rate in both groups."""
    happened = event > 0
    if not happened.any():
        return CurveTest(name="log-rank test", chi2=0.0, p=1.0)
    from lifelines.statistics import logrank_test

    found = logrank_test(years[is_high], years[~is_high], happened[is_high], happened[~is_high])
    return CurveTest(name="log-rank test", chi2=float(found.test_statistic), p=float(found.p_value))


def subdistribution_hazard(
    years: FloatArray, event: Events, is_high: BoolArray, adjust_for: Mapping[str, FloatArray]
) -> HazardRatio | None:
    """Fine & Gray's ratio for event 1 with event 2 competing; robust variance.

    It says how the groups' cumulative incidences differ, and is no ratio of rates among those still alive.
    Columns of ``adjust_for``, (n,), have no NaN.

    Returns
    -------
    HazardRatio or None
        None where a group has fewer than 5 events 1, or where the fit does not converge.
    """
    if not _enough(event == 1, is_high):
        return None
    from comprisk import FineGrayRegression

    fit = FineGrayRegression(cause=1, robust_se=True, max_iter=50)
    fit.fit(_columns(is_high, adjust_for), time=years, event=event)
    if not fit.converged_:
        return None
    return _ratio("subdistribution hazard (Fine–Gray)", fit.coef_[0], fit.se_[0], adjust_for)


def cox_hazard(
    years: FloatArray, event: Events, is_high: BoolArray, adjust_for: Mapping[str, FloatArray]
) -> HazardRatio | None:
    """Cox's hazard ratio for any event (Efron's ties); the rest as :func:`subdistribution_hazard`."""
    happened = event > 0
    if not _enough(happened, is_high):
        return None
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError
    from pandas import DataFrame

    columns = DataFrame(_columns(is_high, adjust_for)).add_prefix("x").assign(years=years, happened=happened)
    try:
        fit = CoxPHFitter().fit(columns, duration_col="years", event_col="happened")
    except ConvergenceError:
        return None
    return _ratio("hazard (Cox)", fit.params_["x0"], fit.standard_errors_["x0"], adjust_for)


def _enough(happened: BoolArray, is_high: BoolArray) -> bool:
    return min(int(happened[is_high].sum()), int(happened[~is_high].sum())) >= _FEWEST_EVENTS


def _columns(is_high: BoolArray, adjust_for: Mapping[str, FloatArray]) -> FloatArray:
    """Group first, then what is adjusted for, in standard deviations; (n, 1 + k)."""
    others = [(column - column.mean()) / (column.std() or 1.0) for column in adjust_for.values()]
    return np.column_stack([is_high.astype(float), *others])


def _ratio(name: str, log_ratio: float, se: float, adjust_for: Mapping[str, FloatArray]) -> HazardRatio:
    return HazardRatio(
        name=name,
        ratio=ratio_interval(float(log_ratio), float(se)),
        p=two_sided_p(float(log_ratio / se)),
        adjusted_for=tuple(adjust_for),
    )
