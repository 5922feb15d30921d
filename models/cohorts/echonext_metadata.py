"""The metadata of EchoNext: which columns are what, and what a flag of 0 means.

**An echo value that was not measured is stored as flag 0.** Whether it was measured is told by the finer
columns, numbers and grades in words, which are filled for ECGs of the year before an echocardiogram only.
"""

from pathlib import Path
from typing import Final

import numpy as np

from models.cohorts.errors import CohortError
from models.cohorts.tables import (
    Table,
    coded,
    column_names,
    flag,
    is_blank,
    number,
    number_between,
    read_table,
)
from schemas.invariants import MAX_AGE_YEARS

METADATA_FILE: Final = "echonext_metadata_100k.csv"
SPLITS: Final = ("train", "val", "test", "no_split")
INTERVALS: Final = ("ventricular_rate", "atrial_rate", "pr_interval", "qrs_duration", "qt_corrected")

#: Which of the finer columns tells whether what a flag is about was measured: any of them is enough.
MEASURED_BY: Final[dict[str, tuple[str, ...]]] = {
    "lvef_lte_45_flag": ("lvef_value",),
    "lvwt_gte_13_flag": ("ivs_measurement", "lvpw_measurement"),
    "aortic_stenosis_moderate_or_greater_flag": ("aortic_stenosis_value",),
    "aortic_regurgitation_moderate_or_greater_flag": ("aortic_regurgitation_value",),
    "mitral_regurgitation_moderate_or_greater_flag": ("mitral_regurgitation_value",),
    "tricuspid_regurgitation_moderate_or_greater_flag": ("tricuspid_regurgitation_value",),
    "pulmonary_regurgitation_moderate_or_greater_flag": ("pulmonary_regurgitation_value",),
    "rv_systolic_dysfunction_moderate_or_greater_flag": ("rv_systolic_function_value",),
    "pericardial_effusion_moderate_large_flag": ("pericardial_effusion_value",),
    "pasp_gte_45_flag": ("pasp_value",),
    "tr_max_gte_32_flag": ("tr_max_velocity_value",),
}
#: Set when any other flag is. Taken as measured where anything at all was: whether *everything* was measured
#: depends on how ill the heart looked, and rows chosen by that would flatter or slander a model.
ANY_DISEASE: Final = "shd_moderate_or_greater_flag"
FLAGS: Final = (*MEASURED_BY, ANY_DISEASE)
ECHO_NUMBERS: Final = (
    "lvef_value",
    "ivs_measurement",
    "lvpw_measurement",
    "pasp_value",
    "tr_max_velocity_value",
)

_GRADES: Final = tuple(name for names in MEASURED_BY.values() for name in names if name not in ECHO_NUMBERS)
#: A grade that nobody gave: the reader of the report took silence for absence ("presumed none").
_PRESUMED: Final = "presumed"
_SEX: Final = {"male": 1.0, "m": 1.0, "1": 1.0, "1.0": 1.0, "female": 0.0, "f": 0.0, "0": 0.0, "0.0": 0.0}


def read_metadata(folder: Path) -> Table:
    """Read the CSV: sex (1 is male), age, intervals, flags and the finer columns.

    Grades are kept as they are worded. Where a column of grades is not there, whether its flag was measured
    is not known.

    Raises
    ------
    CohortError
        When any other column is missing, or a field is not as it must be.
    """
    path = folder / METADATA_FILE
    numbers = {
        "age_at_ecg": number_between(0, MAX_AGE_YEARS),
        "sex": coded(_SEX),
        **dict.fromkeys((*INTERVALS, *ECHO_NUMBERS), number),
        **dict.fromkeys(FLAGS, flag),
    }
    there = column_names(path)
    grades = [name for name in _GRADES if name in there]
    table = read_table(path, numbers=numbers, texts=("ecg_key", "patient_key", "split", *grades))
    for row, split in enumerate(table.texts["split"]):
        if split not in SPLITS:
            raise CohortError(f"{table.where(row)}, column split: is none of {', '.join(SPLITS)}")
    return table


def outcomes(table: Table, row: int) -> dict[str, float]:
    """Give a row's flags, ``<flag>_measured`` (1, 0; NaN: not known), the echo's numbers, and intervals."""
    numbers = {name: float(table.numbers[name][row]) for name in ECHO_NUMBERS}
    grades = {name: table.texts[name][row] for name in _GRADES if name in table.texts}
    measured = {name: not np.isnan(value) for name, value in numbers.items()}
    measured |= {name: _is_graded(grade) for name, grade in grades.items()}
    out: dict[str, float] = {}
    for name in FLAGS:
        out[name] = float(table.numbers[name][row])
        by = [measured[each] for each in MEASURED_BY.get(name, ()) if each in measured]
        out[f"{name}_measured"] = float(any(by)) if by else float("nan")
    anything = any(measured[name] for name in numbers) or not all(map(is_blank, grades.values()))
    out[f"{ANY_DISEASE}_measured"] = float(anything)
    return out | numbers | {name: float(table.numbers[name][row]) for name in INTERVALS}


def _is_graded(grade: str) -> bool:
    return not is_blank(grade) and _PRESUMED not in grade.lower()
