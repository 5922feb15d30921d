"""Reading CSV files by column, in one pass: numbers as arrays, texts once each.

Messages name file, line and column, and never what stands there: it may be a patient's name.
"""

import csv
import hashlib
import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError

if TYPE_CHECKING:
    import _csv

#: Reads one field as a number, NaN where nothing is known; ValueError says in a few words what it is not.
NumberParser = Callable[[str], float]

# Not "none": where a finding is graded, that is a grade.
_BLANK: Final = frozenset({"", "na", "nan"})
_FLAGS: Final = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}


def is_blank(text: str) -> bool:
    """Whether a field says nothing, as spreadsheets and pandas write it."""
    return text.strip().lower() in _BLANK


def number(text: str) -> float:
    """Read a finite number; NaN when blank."""
    if is_blank(text):
        return math.nan
    try:
        read = float(text)
    except ValueError:
        raise ValueError("is no number") from None
    if not math.isfinite(read):
        raise ValueError("is not finite")
    return read


def flag(text: str) -> float:
    """Read 0 or 1, false or true, no or yes; NaN when blank."""
    if is_blank(text):
        return math.nan
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError("is neither 0 nor 1") from None


def number_between(low: float, high: float) -> NumberParser:
    """Make a reader of numbers from ``low`` to ``high``; NaN when blank."""

    def read(text: str) -> float:
        found = number(text)
        if found < low or found > high:
            raise ValueError(f"is not between {low:g} and {high:g}")
        return found

    return read


def coded(codes: Mapping[str, float]) -> NumberParser:
    """Make a reader of words, whatever their case; NaN when blank, unless that is a code too."""

    def read(text: str) -> float:
        word = "" if is_blank(text) else text.strip().lower()
        if word in codes:
            return codes[word]
        if not word:
            return math.nan
        raise ValueError(f"is none of {', '.join(code for code in codes if code)}")

    return read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Columns of one CSV file, row by row.

    Attributes
    ----------
    numbers : dict of str to numpy.ndarray
        float64, (n,).
    texts : dict of str to list of str
        Stripped; a text that occurs often is held once.
    sha256 : str
        Of the file, in hexadecimal: rows made of another version of it are not the same rows.
    lines : numpy.ndarray
        int64, (n,): line of the file in which a row ends, from 1, to name it in messages.
    """

    path: Path
    numbers: dict[str, npt.NDArray[np.float64]]
    texts: dict[str, list[str]]
    sha256: str
    lines: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    @property
    def version(self) -> str:
        """Name of the file and the beginning of its SHA-256."""
        return f"{self.path.name} {self.sha256[:12]}"

    def where(self, row: int) -> str:
        """Name a row for a message."""
        return f"{self.path}, line {self.lines[row]}"


def column_names(path: Path) -> list[str]:
    """Names in the first line of a CSV file.

    Raises
    ------
    CohortError
        When there is no such file, it is empty, or two columns have one name.
    """
    with _opened(path) as lines:
        return _header(path, lines)


def read_table(path: Path, *, numbers: Mapping[str, NumberParser], texts: Sequence[str]) -> Table:
    """Read some columns of a CSV file; it is read once, and other columns are not kept.

    Parameters
    ----------
    numbers : mapping
        Columns to read as numbers, each with its reader.
    texts : sequence of str
        Columns to keep as text.

    Raises
    ------
    CohortError
        When the file or a column is missing, a row has too few fields, or a field cannot be read; the message
        names file, line and column.
    """
    with _opened(path) as lines:
        header = _header(path, lines)
        _require_columns(path, header, [*numbers, *texts])
        parsers = [(header.index(name), name, parser, array("d")) for name, parser in numbers.items()]
        kept: list[tuple[int, list[str]]] = [(header.index(name), []) for name in texts]
        line_numbers, once = array("q"), dict[str, str]()
        for row in lines:
            if not row:
                continue
            _require_whole(path, lines.line_num, row, header)
            for i, name, parser, values in parsers:
                values.append(_parsed(path, lines.line_num, name, row[i], parser))
            for i, words in kept:
                word = row[i].strip()
                words.append(once.setdefault(word, word))
            line_numbers.append(lines.line_num)
    return Table(
        path=path,
        numbers={name: np.array(values, dtype=np.float64) for _, name, _, values in parsers},
        texts=dict(zip(texts, (words for _, words in kept), strict=True)),
        sha256=file_sha256(path),
        lines=np.array(line_numbers, dtype=np.int64),
    )


class _Lines:
    """Rows of an open CSV file, whose faults are ours to tell."""

    def __init__(self, path: Path, reader: "_csv.Reader") -> None:
        self._path, self._reader = path, reader

    @property
    def line_num(self) -> int:
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise CohortError(
                f"{self._path}, after line {self.line_num}: {error}; save it as CSV in UTF-8"
            ) from error


@contextmanager
def _opened(path: Path) -> Iterator[_Lines]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet may put a mark in front
            yield _Lines(path, csv.reader(file))
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror}): put the file there") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _header(path: Path, lines: _Lines) -> list[str]:
    header = [name.strip() for name in next(iter(lines), [])]
    twice = [i + 1 for i, name in enumerate(header) if name and header.count(name) > 1]
    if not header or twice:
        what = f"has one name over columns {', '.join(map(str, twice))}" if twice else "is empty"
        raise CohortError(f"{path} {what}: its first line must name each column once")
    return header


def _require_columns(path: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in header]
    if missing:
        raise CohortError(
            f"{path} has no column {', '.join(missing)} among its {len(header)}: name each in the first line"
        )


def _require_whole(path: Path, line: int, row: Sequence[str], header: Sequence[str]) -> None:
    if len(row) != len(header):
        raise CohortError(f"{path}, line {line}: {len(row)} fields under {len(header)} column names")


def _parsed(path: Path, line: int, name: str, text: str, parser: NumberParser) -> float:
    try:
        return parser(text)
    except ValueError as error:
        raise CohortError(f"{path}, line {line}, column {name}: {error}") from None
