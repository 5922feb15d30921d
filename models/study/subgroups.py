"""Discrimination in parts of the cohort: by sex, age, rhythm, disease, centre and recorder.

A subgroup with few on either side says nothing: its area is None, and its numbers are told all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.manifest import ALL
from models.study.delong import Auc, auc_interval
from models.study.estimate import BoolArray, Estimate, FloatArray, share_interval
from models.study.scored import ENSEMBLE, ScoredCohort

#: With 20 on the smaller side the interval of an AUC of 0.85 is about 0.17 wide; with fewer it says nothing.
FEWEST: Final = 20

#: Lower bounds of age bands, years.
_AGES: Final = (0, 50, 65, 80)

_YES_NO: Final = {
    "is_male": ("sex", "male", "female"),
    "atrial_fibrillation": ("rhythm", "atrial fibrillation", "no atrial fibrillation"),
    "hypertension": ("hypertension", "hypertension", "no hypertension"),
    "kidney_disease": ("kidney disease", "chronic kidney disease", "no chronic kidney disease"),
}
_SELF_EXPLAINED: Final = frozenset(of for of, _, _ in _YES_NO.values()) | {"age", ALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """How well a model does among some.

    Attributes
    ----------
    of, level : str
        ``sex``, ``female``.
    n, n_positive : int
        People, and those with the phenotype.
    auc : Auc or None
        None with fewer than ``FEWEST`` with or without the phenotype.
    sensitivity, specificity : Estimate
        At the cohort's threshold, Wilson's interval.
    """

    of: str
    level: str
    n: int
    n_positive: int
    auc: Auc | None
    sensitivity: Estimate
    specificity: Estimate

    @property
    def title(self) -> str:
        """Level, with what it is one of where it does not say so itself: ``centre north``, ``female``."""
        return self.level if self.of in _SELF_EXPLAINED else f"{self.of} {self.level}"


def subgroups(cohort: ScoredCohort, model: str = ENSEMBLE) -> tuple[Subgroup, ...]:
    """Judge a model in every subgroup that the cohort's covariates and places allow."""
    return tuple(_judged(cohort, model, of, level, rows) for of, level, rows in _levels(cohort))


def _levels(cohort: ScoredCohort) -> Iterator[tuple[str, str, BoolArray]]:
    """Which people each subgroup holds, (n,); those of whom it is not known are in none."""
    yield ALL, ALL, np.full(len(cohort.label), True)
    for name, (of, yes, no) in _YES_NO.items():
        if name in cohort.covariates:
            yield of, yes, cohort.covariates[name] == 1.0
            yield of, no, cohort.covariates[name] == 0.0
    if "age_years" in cohort.covariates:
        yield from _age_bands(cohort.covariates["age_years"])
    for of, places in cohort.places.items():
        levels = [level for level in np.unique(places).tolist() if level]
        for level in levels if len(levels) > 1 else ():
            yield of, level, places == level


def _age_bands(age: FloatArray) -> Iterator[tuple[str, str, BoolArray]]:
    for start, stop in zip(_AGES, (*_AGES[1:], None), strict=True):
        level = (
            f"{start} years and over"
            if stop is None
            else f"{start}–{stop - 1} years"
            if start
            else f"under {stop} years"
        )
        yield "age", level, (age >= start) & (age < (np.inf if stop is None else stop))


def _judged(cohort: ScoredCohort, model: str, of: str, level: str, rows: BoolArray) -> Subgroup:
    label, probability = cohort.label[rows], cohort.probability[model][rows]
    n_positive = int(label.sum())
    high = probability >= cohort.threshold
    enough = min(n_positive, len(label) - n_positive) >= FEWEST
    return Subgroup(
        of=of,
        level=level,
        n=len(label),
        n_positive=n_positive,
        auc=auc_interval(label, probability) if enough else None,
        sensitivity=share_interval(int(high[label == 1].sum()), n_positive),
        specificity=share_interval(int((~high)[label == 0].sum()), len(label) - n_positive),
    )
