"""Numbers as the study writes them: so many digits, thin spaces, and a dash where there is none."""

import math
from typing import Final

from models.study.estimate import Estimate

#: A narrow space that no line breaks at.
THIN: Final = "\u202f"
NO_BREAK: Final = "\u00a0"
NONE: Final = "—"
#: Below, a p-value says nothing more and depends on how tails are computed.
_SMALLEST_P: Final = 0.001


def count(n: int) -> str:
    """Write a count.

    >>> count(233770) == f"233{THIN}770"
    True
    """
    return f"{n:,}".replace(",", THIN)


def unbroken(text: str) -> str:
    """Keep words on one line."""
    return text.replace(" ", NO_BREAK)


def number(x: float | None, digits: int = 2) -> str:
    """Write a number; a dash for None and NaN, a true minus, no minus before a rounded nought.

    >>> number(-0.126), number(-0.001), number(None), number(float("inf"))
    ('−0.13', '0.00', '—', '∞')
    """
    if x is None or math.isnan(x):
        return NONE
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    text = f"{x:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as per cent.

    >>> percent(0.085) == f"8.5{THIN}%", percent(None)
    (True, '—')
    """
    return NONE if share is None or math.isnan(share) else f"{number(100 * share, digits)}{THIN}%"


def estimate(of: Estimate | None, digits: int = 2) -> str:
    """Write a number with its interval.

    >>> estimate(Estimate(value=0.861, low=0.838, high=0.881))
    '0.86 (0.84 to 0.88)'
    """
    if of is None or math.isnan(of.low) or math.isnan(of.high):
        return number(None if of is None else of.value, digits)
    return f"{number(of.value, digits)} ({number(of.low, digits)} to {number(of.high, digits)})"


def percent_estimate(of: Estimate, digits: int = 1) -> str:
    """Write a share with its interval, as per cent.

    >>> percent_estimate(Estimate(value=0.085, low=0.081, high=0.089)).replace(THIN, " ")
    '8.5 % (8.1 to 8.9)'
    """
    if math.isnan(of.low):
        return percent(of.value, digits)
    return f"{percent(of.value, digits)} ({number(100 * of.low, digits)} to {number(100 * of.high, digits)})"


def p_value(p: float | None) -> str:
    """Write a p-value with its sign, for a sentence.

    >>> [p_value(p).replace(THIN, " ") for p in (0.0321, 0.00001, 0.4, None)]
    ['= 0.032', '< 0.001', '= 0.40', '—']
    """
    said = p_cell(p)
    return said if said == NONE or said.startswith("<") else f"={THIN}{said}"


def p_cell(p: float | None) -> str:
    """Write a p-value for a column of them.

    >>> p_cell(0.0321), p_cell(0.00001) == f"<{THIN}0.001"
    ('0.032', True)
    """
    if p is None or math.isnan(p):
        return NONE
    if p < _SMALLEST_P:
        return f"<{THIN}{_SMALLEST_P}"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}"
