"""Does any single measurement of the ECG give the label away? In a sound cohort none does.

Each is judged as it is, as its distance from the median (an axis is ill to either side), and by whether it
is missing at all. The largest of so many areas is somewhat too large by chance: the judgement errs to the
strict side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.delong import Auc, auc_interval
from models.study.estimate import FloatArray
from models.study.scored import ScoredCohort

#: With fewer on a side an area says nothing.
_FEWEST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleMeasurement:
    """How well one reading of one measurement discriminates, to whichever side it does.

    Attributes
    ----------
    reading : str
        ``higher``, ``lower``, ``far from the median``, ``near the median``, ``missing`` or ``present``.
    """

    name: str
    reading: str
    n: int
    auc: Auc


def single_measurements(cohort: ScoredCohort) -> tuple[SingleMeasurement, ...]:
    """Find the best reading of each measurement; the most telling first."""
    best = (
        max(_judged(cohort.label, name, column), key=lambda each: each.auc.auc.value, default=None)
        for name, column in cohort.measurements.items()
    )
    return tuple(sorted((each for each in best if each), key=lambda each: -each.auc.auc.value))


def _judged(label: FloatArray, name: str, column: FloatArray) -> Iterator[SingleMeasurement]:
    known = np.isfinite(column)
    for reading, opposite, rows, score in (
        ("higher", "lower", known, column),
        ("far from the median", "near the median", known, np.abs(column - np.median(column[known])))
        if known.any()
        else ("", "", known, column),
        ("missing", "present", np.full_like(known, True), (~known).astype(float)),
    ):
        own, scored = label[rows], score[rows]
        if min(own.sum(), len(own) - own.sum()) < _FEWEST or scored.min() == scored.max():
            continue
        auc = auc_interval(own, scored)
        if auc.auc.value < 0.5:
            auc, reading = auc_interval(own, -scored), opposite
        yield SingleMeasurement(name=name, reading=reading, n=len(own), auc=auc)
