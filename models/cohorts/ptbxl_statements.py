"""Statements of PTB-XL: SCP codes of each ECG, and the diagnostic class that a code belongs to."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.cohorts.errors import CohortError
from models.cohorts.tables import Table, column_names, flag, is_blank, read_table

STATEMENTS_FILE: Final = "scp_statements.csv"
CLASS_PREFIX: Final = "diagnostic_class_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What can be stated.

    Attributes
    ----------
    codes : tuple of str
        All codes, in order.
    class_of : mapping of str to str
        Diagnostic class of those codes that are diagnoses: ``NORM``, ``MI``, ``STTC``, ``CD``, ``HYP``.
    """

    codes: tuple[str, ...]
    class_of: Mapping[str, str]

    def outcomes(self, stated: Sequence[str]) -> dict[str, float]:
        """Give 1 or 0 for each code, and for each diagnostic class."""
        said = set(stated)
        classes = {self.class_of[code] for code in said if code in self.class_of}
        out = {code: float(code in said) for code in self.codes}
        return out | {
            f"{CLASS_PREFIX}{name}": float(name in classes) for name in sorted(set(self.class_of.values()))
        }


def read_statements(folder: Path, stated: Sequence[Sequence[str]]) -> Statements:
    """Read ``scp_statements.csv``; codes that are ``stated`` and not in it are added, without a class."""
    path = folder / STATEMENTS_FILE
    code = column_names(path)[0]  # its name is empty
    table = read_table(path, numbers={"diagnostic": flag}, texts=(code, "diagnostic_class"))
    codes = table.texts[code]
    class_of = {
        each: table.texts["diagnostic_class"][row]
        for row, each in enumerate(codes)
        if table.numbers["diagnostic"][row] == 1.0 and not is_blank(table.texts["diagnostic_class"][row])
    }
    others = sorted({each for row in stated for each in row} - set(codes))
    return Statements(codes=(*codes, *others), class_of=class_of)


def stated_codes(table: Table, row: int) -> tuple[str, ...]:
    """Read the codes of one ECG from ``scp_codes``, a Python dict in text: code to likelihood in percent.

    A likelihood of 0 says that none was given (as for rhythms), not that the statement does not hold.

    Raises
    ------
    CohortError
        When it is anything else.
    """
    text = table.texts["scp_codes"][row]
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        codes = None
    if not isinstance(codes, dict) or not all(isinstance(code, str) for code in codes):
        raise CohortError(f"{table.where(row)}, column scp_codes: is not like {{'NORM': 100.0, 'SR': 0.0}}")
    return tuple(codes)
