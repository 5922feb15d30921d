"""What becomes of those at high and at low risk: cumulative incidence, 4-year rates, tests and hazard ratios.

Where the cause of death is known, the event in question competes with the other, and both are told, beside
death of any cause. Where it is not, there is death of any cause alone, and it is called that.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.estimate import Estimate, plain_interval, ratio_interval
from models.study.facts import CohortFacts
from models.study.incidence import Events, Incidence, cumulative_incidence
from models.study.scored import ANY_DEATH, OutcomeCohort
from models.study.survival import (
    CurveTest,
    HazardRatio,
    cox_hazard,
    grays_test,
    log_rank_test,
    subdistribution_hazard,
)

#: As published.
HORIZON_YEARS: Final = 4.0
#: A curve ends where fewer are left at risk: its next step would be one person.
_FEWEST_AT_RISK: Final = 20
_STEPS_A_YEAR: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidenceCurve:
    """One group's cumulative incidence month by month, and how many were at risk at whole years."""

    years: tuple[float, ...]
    incidence: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    at_risk: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventComparison:
    """One event in the high- and the low-risk group.

    Attributes
    ----------
    competes_with : str or None
        The event that may come first; None for death of any cause.
    rate_high, rate_low : Estimate
        Cumulative incidence at ``HORIZON_YEARS``; NaN where follow-up is shorter.
    rate_ratio, rate_difference : Estimate
        High over low, and high minus low, at the same time.
    hazard, adjusted_hazard : HazardRatio or None
        The latter for age and sex; None where there is no finite one.
    """

    event: str
    competes_with: str | None
    n_high: int
    n_low: int
    events_high: int
    events_low: int
    horizon_years: float
    rate_high: Estimate
    rate_low: Estimate
    rate_ratio: Estimate
    rate_difference: Estimate
    test: CurveTest
    hazard: HazardRatio | None
    adjusted_hazard: HazardRatio | None
    curve_high: IncidenceCurve
    curve_low: IncidenceCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All comparisons of a cohort; the first is the one judged. None where a risk group is empty."""

    cohort: CohortFacts
    are_causes_known: bool
    comparisons: tuple[EventComparison, ...]


def judge_outcomes(cohort: OutcomeCohort) -> Outcomes:
    """Compare the groups, if there are two."""
    comparisons: list[EventComparison] = []
    if cohort.is_high.all() or not cohort.is_high.any():
        return Outcomes(cohort=cohort.facts, are_causes_known=cohort.are_causes_known, comparisons=())
    if cohort.are_causes_known:
        swapped = np.choose(cohort.event, [0, 2, 1])
        first, second = cohort.event_names
        comparisons = [
            _compared(cohort, cohort.event, first, second),
            _compared(cohort, swapped, second, first),
        ]
    comparisons.append(_compared(cohort, (cohort.event > 0).astype(np.int64), ANY_DEATH, None))
    return Outcomes(
        cohort=cohort.facts, are_causes_known=cohort.are_causes_known, comparisons=tuple(comparisons)
    )


def _compared(cohort: OutcomeCohort, event: Events, name: str, competes_with: str | None) -> EventComparison:
    years, is_high = cohort.years, cohort.is_high
    high, low = (cumulative_incidence(years[own], event[own]) for own in (is_high, ~is_high))
    rates = high.at(HORIZON_YEARS), low.at(HORIZON_YEARS)
    ses = high.se_at(HORIZON_YEARS), low.se_at(HORIZON_YEARS)
    test, regression = (
        (log_rank_test, cox_hazard) if competes_with is None else (grays_test, subdistribution_hazard)
    )
    known = np.all([np.full_like(is_high, True), *map(np.isfinite, cohort.covariates.values())], axis=0)
    covariates = {
        column: each[known] for column, each in cohort.covariates.items() if np.ptp(each[known]) > 0
    }
    return EventComparison(
        event=name,
        competes_with=competes_with,
        n_high=int(is_high.sum()),
        n_low=int((~is_high).sum()),
        events_high=int((event[is_high] == 1).sum()),
        events_low=int((event[~is_high] == 1).sum()),
        horizon_years=HORIZON_YEARS,
        rate_high=rates[0],
        rate_low=rates[1],
        rate_ratio=_ratio(rates, ses),
        rate_difference=plain_interval(rates[0].value - rates[1].value, float(np.hypot(*ses))),
        test=test(years, event, is_high),
        hazard=regression(years, event, is_high, {}),
        adjusted_hazard=regression(years[known], event[known], is_high[known], covariates)
        if covariates
        else None,
        curve_high=_curve(high, _until(high, low)),
        curve_low=_curve(low, _until(high, low)),
    )


def _ratio(rates: tuple[Estimate, Estimate], ses: tuple[float, float]) -> Estimate:
    """Ratio with its interval by the delta method on the logarithm."""
    high, low = rates[0].value, rates[1].value
    if not high > 0.0 or not low > 0.0:
        return Estimate(value=float("inf") if high > 0.0 else float("nan"))
    return ratio_interval(float(np.log(high / low)), float(np.hypot(ses[0] / high, ses[1] / low)))


def _until(*groups: Incidence) -> float:
    """Last time at which each group still has enough at risk, in whole steps."""
    last = min(
        float(group.followed_years[-min(_FEWEST_AT_RISK, len(group.followed_years))]) for group in groups
    )
    return float(np.floor(last * _STEPS_A_YEAR) / _STEPS_A_YEAR)


def _curve(group: Incidence, until: float) -> IncidenceCurve:
    grid = np.arange(round(until * _STEPS_A_YEAR) + 1) / _STEPS_A_YEAR
    steps = [group.at(float(years)) for years in grid]
    return IncidenceCurve(
        years=tuple(grid.tolist()),
        incidence=tuple(step.value for step in steps),
        low=tuple(step.low for step in steps),
        high=tuple(step.high for step in steps),
        at_risk=tuple(group.at_risk(year) for year in range(int(until) + 1)),
    )
