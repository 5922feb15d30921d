"""Labels of ECGs from a CSV: what ``diastole alerts labels`` writes, or a cohort's own table."""

import csv
from pathlib import Path
from typing import Final

from models.cohorts.rows import LABEL
from schemas.errors import ConfigurationError

#: Names of the column that holds the ``ecg_id``.
_KEYS: Final = ("key", "ecg_id")
_MEANING: Final = {"1": True, "1.0": True, "0": False, "0.0": False}


def read_labels(path: Path) -> dict[str, bool]:
    """Read which ECGs' patients have the phenotype; lines without a label are left out.

    Raises
    ------
    ConfigurationError
        When the file cannot be read, lacks a column, or holds another label than 0 and 1; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="", strict=True)
            key = next((name for name in _KEYS if name in (reader.fieldnames or ())), None)
            if key is None or LABEL not in (reader.fieldnames or ()):
                raise ConfigurationError(
                    f"{path} needs the columns {_KEYS[0]} and {LABEL}, as diastole alerts labels"
                )
            return dict(_labels(path, reader, key))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as labels ({type(error).__name__})") from None


def _labels(path: Path, reader: "csv.DictReader[str]", key: str) -> list[tuple[str, bool]]:
    found = []
    for line in reader:
        written = line[LABEL].strip()
        if not written:
            continue
        if written not in _MEANING:
            raise ConfigurationError(f"{path}, line {reader.line_num}: {LABEL} must be 0, 1 or empty")
        found.append((line[key].strip().lower(), _MEANING[written]))
    return found
