"""A site's paired cohort, parted into what each learnt part is trained and judged on."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.paired import PairedCohort
from models.cohorts.subset import SubsetRows
from models.study.labelled import LABEL
from models.training.sources import TrainingSources
from models.training.splits import patient_folds

#: What the column ``split`` may say. Rows of other splits are not used.
UNLABELLED, MOTION, DEVELOPMENT, EXTERNAL = "unlabelled", "motion", "development", "external"
#: Without splits patients are dealt out to twenty hands: 10 for motion, 7 for development, 3 to judge.
_HANDS: Final = (MOTION,) * 10 + (DEVELOPMENT,) * 7 + (EXTERNAL,) * 3
#: With fewer, neither a generator nor a cross-validated ensemble says anything.
_FEWEST: Final = 50


def paired_sources(folder: Path, seed: int) -> TrainingSources:
    """Part a paired cohort by its column ``split``, or where it has none by patient, under the seed.

    The encoder learns from rows of ``unlabelled`` and ``motion``; those of ``motion`` need tissue Doppler,
    those of ``development`` and ``external`` a label.

    Raises
    ------
    CohortError
        When a part has too few usable rows; the message says what it needs.
    """
    cohort = PairedCohort(folder)
    part = _parts(cohort, seed)
    is_labelled = np.isfinite(cohort.outcome(LABEL))
    rows = {
        MOTION: np.flatnonzero((part == MOTION) & cohort.has_velocities()),
        DEVELOPMENT: np.flatnonzero((part == DEVELOPMENT) & is_labelled),
        EXTERNAL: np.flatnonzero((part == EXTERNAL) & is_labelled),
    }
    needs = {MOTION: "tissue Doppler", DEVELOPMENT: f"a value of {LABEL}"}
    for name, need in needs.items():
        if len(rows[name]) < _FEWEST:
            raise CohortError(
                f"{folder}: {len(rows[name])} ECGs of the part {name} have {need}, {_FEWEST} are needed; "
                f"the column split may say {UNLABELLED}, {MOTION}, {DEVELOPMENT} or {EXTERNAL}"
            )
    unlabelled = np.flatnonzero((part == UNLABELLED) | (part == MOTION))
    return TrainingSources(
        registry=SubsetRows(cohort, unlabelled, "encoder"),
        doppler=SubsetRows(cohort, rows[MOTION], MOTION),
        development=SubsetRows(cohort, rows[DEVELOPMENT], DEVELOPMENT),
        external=SubsetRows(cohort, rows[EXTERNAL], EXTERNAL) if len(rows[EXTERNAL]) else None,
        what=f"patients of the paired cohort {cohort.provenance.name}",
    )


def _parts(cohort: PairedCohort, seed: int) -> npt.NDArray[np.str_]:
    """Part of each row: str, (n,)."""
    said = np.array(cohort.splits, dtype=np.str_)
    if np.isin(said, (UNLABELLED, MOTION, DEVELOPMENT, EXTERNAL)).any():
        return said
    hand = patient_folds(np.array(cohort.patient_keys, dtype=np.str_), len(_HANDS), seed)
    return np.array(_HANDS, dtype=np.str_)[hand]
