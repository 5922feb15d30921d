"""A site's paired cohort, parted into what each learnt part is trained and judged on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.joined import JoinedRows
from models.cohorts.paired import PairedCohort
from models.cohorts.rows import LABEL, RowSource
from models.cohorts.subset import SubsetRows
from models.training.sources import SAME_SITE, TrainingSources
from models.training.splits import patient_folds

#: What the column ``split`` may say. Rows that it leaves blank are not used where it names any.
PARTS: Final = ("unlabelled", "motion", "development", "external")
UNLABELLED, MOTION, DEVELOPMENT, EXTERNAL = PARTS
#: Without splits patients are dealt out to twenty hands: 10 for motion, 7 for development, 3 to judge.
_HANDS: Final = (MOTION,) * 10 + (DEVELOPMENT,) * 7 + (EXTERNAL,) * 3
#: With fewer, neither a generator nor a cross-validated ensemble says anything.
_FEWEST: Final = 50
_AS_WORDS: Final = f"{', '.join(PARTS[:-1])} or {PARTS[-1]}"


def paired_sources(folder: Path, seed: int, alerted: Sequence[Path] = ()) -> TrainingSources:
    """Part a paired cohort by its column ``split``, or where it has none by patient, under the seed.

    The encoder learns from rows of ``unlabelled`` and ``motion``; those of ``motion`` need tissue Doppler,
    those of ``development`` and ``external`` a label.

    Parameters
    ----------
    alerted : sequence of pathlib.Path
        Folders of ``diastole alerts cohort``: their labelled ECGs join ``development``, but for those of
        patients whom the cohort has in another part, and those that were there already.

    Raises
    ------
    CohortError
        When a part has too few usable rows of the cohort's own, ``split`` names something else, or a folder
        of ``alerted`` adds nothing; the message says what is needed.
    """
    cohort = PairedCohort(folder)
    named = _named_parts(folder, cohort)
    part = _dealt_parts(cohort, seed) if named is None else named
    how = f", dealt under the seed {seed}," if named is None else ""
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
                f"the column split may say {_AS_WORDS}"
            )
    who = "simulated patients" if cohort.provenance.is_simulated else "patients"
    unlabelled = np.flatnonzero((part == UNLABELLED) | (part == MOTION))
    development: RowSource = SubsetRows(cohort, rows[DEVELOPMENT], DEVELOPMENT + how)
    added = _alerted_rows(alerted, cohort, part)
    beside = ""
    if added:
        development = JoinedRows([development, *added])
        beside = f", the ensemble also on {sum(map(len, added))} ECGs labelled by what became of alerts"
    return TrainingSources(
        registry=SubsetRows(cohort, unlabelled, f"encoder{how}"),
        doppler=SubsetRows(cohort, rows[MOTION], MOTION + how),
        development=development,
        external=SubsetRows(cohort, rows[EXTERNAL], EXTERNAL + how) if len(rows[EXTERNAL]) else None,
        what=f"{who} of the paired cohort {cohort.provenance.name}{beside}",
        external_what=SAME_SITE,
    )


def _alerted_rows(
    folders: Sequence[Path], cohort: PairedCohort, part: npt.NDArray[np.str_]
) -> list[RowSource]:
    """Labelled rows of each folder that belong to no patient of another part, no ECG twice."""
    elsewhere = {
        patient for patient, of in zip(cohort.patient_keys, part, strict=True) if of not in ("", DEVELOPMENT)
    }
    taken = set(cohort.keys)
    added: list[RowSource] = []
    for folder in folders:
        more = PairedCohort(folder)
        is_labelled = np.isfinite(more.outcome(LABEL))
        rows = [
            row
            for row, (key, patient) in enumerate(zip(more.keys, more.patient_keys, strict=True))
            if is_labelled[row] and key not in taken and patient not in elsewhere
        ]
        if not rows:
            raise CohortError(
                f"{folder}: of its {len(more)} ECGs {int(is_labelled.sum())} have a value of {LABEL}, and "
                "none of these is new and of a patient in no other part; write labels into it with: "
                "diastole alerts labels OUT.csv --into FOLDER"
            )
        taken.update(more.keys[row] for row in rows)
        added.append(SubsetRows(more, rows, "labelled by alerts"))
    return added


def paired_part(folder: Path, part: str) -> RowSource:
    """Open one part of a paired cohort, where its column ``split`` names parts; else all its rows.

    Raises
    ------
    CohortError
        When no row is of the part, or ``split`` names something else than parts.
    """
    cohort = PairedCohort(folder)
    named = _named_parts(folder, cohort)
    if named is None:
        return cohort
    rows = np.flatnonzero(named == part)
    if not len(rows):
        raise CohortError(f"{folder}: its column split names parts, and no row is of the part {part}")
    return SubsetRows(cohort, rows, part)


def _named_parts(folder: Path, cohort: PairedCohort) -> npt.NDArray[np.str_] | None:
    """Part of each row by the column ``split``: str, (n,); None where it names none."""
    said = np.array(cohort.splits, dtype=np.str_)
    others = np.flatnonzero(~np.isin(said, ("", *PARTS)))
    if len(others):
        raise CohortError(
            f"{folder}: the column split names other parts than {_AS_WORDS} in {len(others)} rows, the first "
            f"is row {others[0]}: name these, leave it blank where a row is not to be used, or leave the "
            "column out, and patients are dealt into parts"
        )
    return said if (said != "").any() else None


def _dealt_parts(cohort: PairedCohort, seed: int) -> npt.NDArray[np.str_]:
    """Part of each row, its patient's under the seed: str, (n,)."""
    hand = patient_folds(np.array(cohort.patient_keys, dtype=np.str_), len(_HANDS), seed)
    return np.array(_HANDS, dtype=np.str_)[hand]
