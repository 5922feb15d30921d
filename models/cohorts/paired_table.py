"""``cohort.csv`` of a folder of our paired ECG–echo layout (docs/paired-cohort.md)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from models.cohorts.errors import CohortError
from models.cohorts.paired_description import DESCRIPTION_FILE
from models.cohorts.preparation import MOST_CHARS
from models.cohorts.rows import LABEL
from models.cohorts.tables import (
    NumberParser,
    Table,
    coded,
    column_names,
    flag,
    number,
    number_between,
    read_table,
)
from schemas.invariants import MAX_AGE_YEARS
from schemas.recorded import Sex

TABLE_FILE: Final = "cohort.csv"
TEXTS: Final = ("key", "patient_key", "centre", "split")
#: Columns that must be there.
REQUIRED: Final = TEXTS[:2]
AGE: Final = "age_years"
SEX: Final = "sex"
#: Columns that are no outcomes.
RESERVED: Final = (*TEXTS, AGE, SEX)
#: In front of a column's name: it is a remark, and not read.
REMARK: Final = "_"
#: Above this a tissue velocity is in another unit, or an artefact.
MOST_CM_S: Final = 50.0

_MALE, _FEMALE = 1.0, 0.0
_SEX_CODES: Final = {
    **dict.fromkeys(("male", "m"), _MALE),
    **dict.fromkeys(("female", "f"), _FEMALE),
    **dict.fromkeys(("", "unknown", "u"), math.nan),
}


def read_paired_table(folder: Path, centres: Sequence[str]) -> Table:
    """Read ``cohort.csv``; every column that is not reserved and no remark is a number.

    Raises
    ------
    CohortError
        When a column is missing, a field cannot be read, a key stands twice, a centre is none of ``centres``,
        or a patient is in two splits.
    """
    path = folder / TABLE_FILE
    there = column_names(path)
    numbers = {name: _parser(name) for name in there if name not in TEXTS and _is_read(name)}
    texts = [name for name in TEXTS if name in there or name in REQUIRED]
    table = read_table(path, numbers=numbers, texts=texts)
    _require_keys(table)
    for row, centre in enumerate(table.texts.get("centre", [])):
        if centre and centres and centre not in centres:
            raise CohortError(
                f"{table.where(row)}, column centre: is none of {', '.join(centres)}, the centres "
                f"that {DESCRIPTION_FILE} lists"
            )
    return table


def sex_of(code: float) -> Sex:
    """Sex of a code of the table's column."""
    if math.isnan(code):
        return Sex.UNKNOWN
    return Sex.MALE if code == _MALE else Sex.FEMALE


def outcome_names(table: Table) -> tuple[str, ...]:
    """Name the columns that are outcomes, in the table's order."""
    return tuple(name for name in table.numbers if name not in RESERVED)


def _is_read(name: str) -> bool:
    return bool(name) and not name.startswith(REMARK)


def _parser(name: str) -> NumberParser:
    if name == AGE:
        return number_between(0, MAX_AGE_YEARS)
    if name == SEX:
        return coded(_SEX_CODES)
    if name == LABEL:
        return flag
    return number_between(0, MOST_CM_S) if name.endswith("_cm_s") else number


def _require_keys(table: Table) -> None:
    first: dict[str, int] = {}
    split_of: dict[str, str] = {}
    splits = table.texts.get("split", [""] * len(table))
    for row, (key, patient) in enumerate(zip(table.texts["key"], table.texts["patient_key"], strict=True)):
        for name, text in (("key", key), ("patient_key", patient)):
            if not 0 < len(text) <= MOST_CHARS:
                what = f"has {len(text)} characters, more than {MOST_CHARS}" if text else "is blank"
                raise CohortError(f"{table.where(row)}, column {name}: {what}")
        if key in first:
            raise CohortError(
                f"{table.where(row)}, column key: stands in line {table.lines[first[key]]} already"
            )
        first[key] = row
        if split_of.setdefault(patient, splits[row]) != splits[row]:
            raise CohortError(
                f"{table.where(row)}, column split: this patient is in another split in an earlier "
                "line; all ECGs of a patient belong in one"
            )
