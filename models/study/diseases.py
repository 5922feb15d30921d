"""The phenotype's probability as a score for structural heart disease, disease by disease (EchoNext).

What was not measured is stored there as "not there". Areas of all rows repeat that; areas of the measured
rows do not, but are of other people, whom somebody had reason to measure. Both are told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.delong import Auc, auc_interval
from models.study.estimate import BoolArray, FloatArray
from models.study.facts import CohortFacts
from models.study.scored import DiseaseCohort
from models.study.subgroups import FEWEST

#: In words, in the order they are shown.
TITLES: Final = {
    "shd_moderate_or_greater_flag": "any structural heart disease",
    "lvef_lte_45_flag": "LV ejection fraction ≤ 45 %",
    "lvwt_gte_13_flag": "LV wall ≥ 13 mm",
    "aortic_stenosis_moderate_or_greater_flag": "aortic stenosis",
    "aortic_regurgitation_moderate_or_greater_flag": "aortic regurgitation",
    "mitral_regurgitation_moderate_or_greater_flag": "mitral regurgitation",
    "tricuspid_regurgitation_moderate_or_greater_flag": "tricuspid regurgitation",
    "pulmonary_regurgitation_moderate_or_greater_flag": "pulmonary regurgitation",
    "rv_systolic_dysfunction_moderate_or_greater_flag": "RV systolic dysfunction",
    "pericardial_effusion_moderate_large_flag": "pericardial effusion",
    "pasp_gte_45_flag": "PA systolic pressure ≥ 45 mmHg",
    "tr_max_gte_32_flag": "TR velocity ≥ 3.2 m/s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disease:
    """How well each model's probability finds one disease.

    Attributes
    ----------
    n_with : int
        ECGs flagged.
    n_measured : int or None
        ECGs where it was looked for; None where that is not known.
    all_rows, measured_rows : mapping of str to Auc
        By model, variance of clusters of one patient; empty with too few, or where it is not known.
    """

    flag: str
    title: str
    n_with: int
    n_measured: int | None
    all_rows: Mapping[str, Auc]
    measured_rows: Mapping[str, Auc]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diseases:
    """All diseases of a cohort."""

    cohort: CohortFacts
    diseases: tuple[Disease, ...]


def judge_diseases(cohort: DiseaseCohort) -> Diseases:
    """Judge every flag, those with a title first and in their order."""
    flags = [flag for flag in TITLES if flag in cohort.flags]
    flags += [flag for flag in cohort.flags if flag not in TITLES]
    return Diseases(cohort=cohort.facts, diseases=tuple(_judged(cohort, flag) for flag in flags))


def _judged(cohort: DiseaseCohort, flag: str) -> Disease:
    label, measured = cohort.flags[flag], cohort.is_measured.get(flag)
    return Disease(
        flag=flag,
        title=TITLES.get(flag, flag),
        n_with=int(label.sum()),
        n_measured=None if measured is None else int(measured.sum()),
        all_rows=_areas(cohort, label, np.full(len(label), True)),
        measured_rows={} if measured is None else _areas(cohort, label, measured),
    )


def _areas(cohort: DiseaseCohort, label: FloatArray, rows: BoolArray) -> Mapping[str, Auc]:
    with_it = int(label[rows].sum())
    if min(with_it, int(rows.sum()) - with_it) < FEWEST:
        return {}
    patients = cohort.patient_keys[rows]
    return {
        model: auc_interval(label[rows], probability[rows], patients=patients)
        for model, probability in cohort.probability.items()
    }
