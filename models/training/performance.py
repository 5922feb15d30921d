"""Performance as a manifest states it: every model on everybody, and the ensemble in subgroups."""

from models.manifest import ALL, Performance, finite_or_none
from models.study.calibration import calibration
from models.study.delong import auc_interval
from models.study.estimate import Estimate
from models.study.scored import ENSEMBLE, ScoredCohort
from models.study.subgroups import Subgroup, subgroups


def performances(cohort: ScoredCohort) -> tuple[Performance, ...]:
    """Judge a scored cohort; sensitivity and specificity are those of the ensemble at its threshold."""
    whole = tuple(_of_model(cohort, model) for model in cohort.probability)
    parts = tuple(_of_subgroup(cohort, each) for each in subgroups(cohort) if each.of != ALL)
    return (*whole, *parts)


def _of_model(cohort: ScoredCohort, model: str) -> Performance:
    label, chances = cohort.label, cohort.probability[model]
    area, calibrated = auc_interval(label, chances).auc, calibration(label, chances)
    is_ensemble = model == ENSEMBLE
    high = chances >= cohort.threshold
    return Performance(
        cohort=cohort.name,
        subgroup=ALL,
        model=model,
        n=len(label),
        events=int(label.sum()),
        auc=finite_or_none(area.value),
        auc_low=finite_or_none(area.low),
        auc_high=finite_or_none(area.high),
        brier=finite_or_none(calibrated.brier),
        calibration_slope=_value(calibrated.slope),
        calibration_intercept=_value(calibrated.intercept),
        sensitivity=finite_or_none(high[label == 1].mean()) if is_ensemble else None,
        specificity=finite_or_none((~high)[label == 0].mean()) if is_ensemble else None,
    )


def _of_subgroup(cohort: ScoredCohort, part: Subgroup) -> Performance:
    area = part.auc.auc if part.auc else None
    return Performance(
        cohort=cohort.name,
        subgroup=f"{part.of}: {part.level}",
        model=ENSEMBLE,
        n=part.n,
        events=part.n_positive,
        auc=_value(area),
        auc_low=finite_or_none(area.low) if area else None,
        auc_high=finite_or_none(area.high) if area else None,
        sensitivity=_value(part.sensitivity),
        specificity=_value(part.specificity),
    )


def _value(estimate: Estimate | None) -> float | None:
    return finite_or_none(estimate.value) if estimate else None
