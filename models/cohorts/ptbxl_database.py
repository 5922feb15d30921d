"""The table of PTB-XL, and the codes of its columns."""

from pathlib import Path
from typing import Final

import numpy as np

from models.cohorts.errors import CohortError
from models.cohorts.tables import (
    NumberParser,
    Table,
    column_names,
    flag,
    is_blank,
    number_between,
    read_table,
)
from schemas.invariants import MAX_AGE_YEARS

DATABASE_FILE: Final = "ptbxl_database.csv"
#: A remark in German or English where there is a pacemaker, else blank.
PACEMAKER: Final = "pacemaker"
#: Ages above 89 are stored as this, as their bearers could be known by them.
_ABOVE_89: Final = 300.0
_ABOVE_89_YEARS: Final = 90.0
_LAST_TRAINING_FOLD: Final = 8


def read_database(folder: Path) -> Table:
    """Read ``ptbxl_database.csv``; ``sex`` is 0 for male and 1 for female.

    Raises
    ------
    CohortError
        When a column is missing, or a field is not as it must be.
    """
    path = folder / DATABASE_FILE
    numbers: dict[str, NumberParser] = {
        "ecg_id": _identifier,
        "patient_id": _identifier,
        "age": _age,
        "sex": flag,
        "strat_fold": _fold,
    }
    if PACEMAKER in column_names(path):
        numbers[PACEMAKER] = _remark
    table = read_table(path, numbers=numbers, texts=("scp_codes", "filename_hr"))
    _, first, which = np.unique(table.numbers["ecg_id"], return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[which] != np.arange(len(table)))[:1].tolist():
        earlier = table.lines[first[which[row]]]
        raise CohortError(f"{table.where(row)}, column ecg_id: stands in line {earlier} already")
    return table


def age_years(table: Table, row: int) -> float | None:
    """Age; 90 where it is only known to be above 89."""
    age = float(table.numbers["age"][row])
    if np.isnan(age):
        return None
    return _ABOVE_89_YEARS if age == _ABOVE_89 else age


def split_of_fold(fold: float) -> str:
    """Part that the publisher recommends a fold for: 1–8 train, 9 val, 10 test."""
    if fold <= _LAST_TRAINING_FOLD:
        return "train"
    return "val" if fold == _LAST_TRAINING_FOLD + 1 else "test"


def _identifier(text: str) -> float:
    """Read an identifier; written like 15709.0 where a table went through pandas."""
    read = number_between(0, 2**53)(text)
    if not read.is_integer():
        raise ValueError("is no identifier")
    return read


def _remark(text: str) -> float:
    return 0.0 if is_blank(text) else 1.0


def _age(text: str) -> float:
    return _ABOVE_89 if text.strip() in {"300", "300.0"} else number_between(0, MAX_AGE_YEARS)(text)


def _fold(text: str) -> float:
    read = number_between(1, 10)(text)
    if not read.is_integer():
        raise ValueError("is no fold from 1 to 10")
    return read
