"""The table of CODE-15 %: one line for each exam, follow-up on some, and the codes of its columns.

``death`` and ``timey`` stand on one exam of a patient, the first; where they are blank there is no follow-up,
which is not survival. **Death is of any cause**: the public file says no more. A site that knows causes adds
a column ``cause``, and only then is there an outcome ``event``.
"""

from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.follow_up import CENSORED, HEART_FAILURE_DEATH, OTHER_DEATH
from models.cohorts.tables import Table, coded, column_names, flag, number, number_between, read_table
from schemas.invariants import MAX_AGE_YEARS

EXAMS_FILE: Final = "exams.csv"
#: Optional column of a site's own: what the patient died of, in words or as ``event``; blank while alive.
CAUSE: Final = "cause"
CAUSES: Final = {
    "": float(CENSORED),
    "heart_failure": float(HEART_FAILURE_DEATH),
    "other": float(OTHER_DEATH),
    **{str(event): float(event) for event in (CENSORED, HEART_FAILURE_DEATH, OTHER_DEATH)},
}
#: Outcomes that keep the names of their columns.
FINDINGS: Final = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "normal_ecg")
PREDICTED_AGE: Final = "nn_predicted_age"


def read_exams(folder: Path) -> Table:
    """Read and check ``exams.csv``.

    Raises
    ------
    CohortError
        When a column is missing, a field is not as it must be, an exam has two lines, or follow-up
        contradicts itself: on two exams of a patient, without years, a death without a cause.
    """
    path = folder / EXAMS_FILE
    numbers = {
        "exam_id": number_between(1, 2**53),
        "age": number_between(0, MAX_AGE_YEARS),
        "death": flag,
        "timey": number_between(0, MAX_AGE_YEARS),
        PREDICTED_AGE: number,
        **dict.fromkeys(("is_male", *FINDINGS), flag),
    }
    if CAUSE in column_names(path):
        numbers[CAUSE] = coded(CAUSES)
    table = read_table(path, numbers=numbers, texts=("patient_id", "trace_file"))
    _require_ids(table)
    _require_follow_up(table)
    return table


def has_follow_up(table: Table) -> npt.NDArray[np.bool_]:
    """Whether each exam is one that its patient was followed from: bool, (n,)."""
    return ~np.isnan(table.numbers["timey"])


def outcomes(table: Table, row: int) -> dict[str, float]:
    """Give an exam's ``death_all_cause`` (0, 1), ``follow_up_years`` and findings; NaN is not known.

    With a column of causes also ``event``: 0 censored, 1 death of heart failure, 2 other death.
    """

    def of(name: str) -> float:
        return float(table.numbers[name][row])

    out = {"death_all_cause": of("death"), "follow_up_years": of("timey")}
    if CAUSE in table.numbers:
        out["event"] = of(CAUSE) if has_follow_up(table)[row] else float("nan")
    return out | {name: of(name) for name in (*FINDINGS, PREDICTED_AGE)}


def _require_ids(table: Table) -> None:
    ids = table.numbers["exam_id"]
    blank = np.flatnonzero(np.isnan(ids))
    if blank.size:
        raise CohortError(f"{table.where(int(blank[0]))}, column exam_id: is blank")
    first: dict[float, int] = {}
    for row, exam in enumerate(ids.tolist()):
        if exam in first:
            raise CohortError(
                f"{table.where(row)}, column exam_id: stands in line {table.lines[first[exam]]} already"
            )
        first[exam] = row


def _require_follow_up(table: Table) -> None:
    followed = has_follow_up(table)
    half = np.flatnonzero(followed == np.isnan(table.numbers["death"]))
    if half.size:
        raise CohortError(f"{table.where(int(half[0]))}: one of death and timey is blank, give both or none")
    rows = np.flatnonzero(followed).tolist()
    times = Counter(table.texts["patient_id"][row] for row in rows)
    twice = next((row for row in rows if times[table.texts["patient_id"][row]] > 1), None)
    if twice is not None:
        raise CohortError(
            f"{table.where(twice)}: this patient has death and timey on several exams; "
            "they belong on the first alone"
        )
    if CAUSE in table.numbers:
        contradicting = (table.numbers["death"] == 1.0) != (table.numbers[CAUSE] > CENSORED)
        for row in np.flatnonzero(contradicting)[:1].tolist():
            raise CohortError(
                f"{table.where(row)}, column {CAUSE}: give heart_failure or other where death is 1, "
                "and nothing elsewhere"
            )
