r"""Escape sequences of HL7 v2 text (HL7 v2.5.1 §2.7)."""

import re
from functools import lru_cache
from typing import Final

from streams.feeds.mllp.message import Delimiters

#: Sequences that stand for a line end or a blank in formatted text (§2.7.6), and those that only mark
#: something: highlighting, indents, other character sets.
_LINE_ENDS: Final = (".br", ".sp", ".ce")
_KNOWN: Final = (
    r"[FSTREHN]|X[0-9A-Fa-f]++|\.(?:br|sp|fi|nf|in|ti|sk|ce)(?:[+-]?\d{0,4})"
    r"|C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?|Z[0-9A-Fa-f]{2,8}"
)


@lru_cache(maxsize=16)
def _pattern(escape: str) -> "re.Pattern[str]":
    sign = re.escape(escape)
    return re.compile(f"{sign}({_KNOWN}){sign}")


def unescape(text: str, delimiters: Delimiters, codec: str = "utf-8") -> str:
    r"""Undo escape sequences; what is none stays as it is, since not every sender escapes its backslashes.

    Parameters
    ----------
    codec : str
        Character set of ``\X..\``, the message's own.

    >>> unescape(r"a\T\amp; \X0D0A\C:\dir \.br\b", Delimiters())
    'a&amp; \r\nC:\\dir \nb'
    """
    if delimiters.escape not in text:
        return text
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
    }

    def meaning(match: "re.Match[str]") -> str:
        sequence = match[1]
        if sequence in plain:
            return plain[sequence]
        if sequence[0] == "X":
            hexadecimal = sequence[1:]
            is_whole = len(hexadecimal) % 2 == 0
            return bytes.fromhex(hexadecimal).decode(codec, errors="replace") if is_whole else match[0]
        if sequence.startswith(_LINE_ENDS):
            return "\n"
        return " " if sequence.startswith(".sk") else ""

    return _pattern(delimiters.escape).sub(meaning, text)


def escape(text: str, delimiters: Delimiters, *, ascii_only: bool = True) -> str:
    r"""Write text for a field: separators escaped, all that cannot be printed as a question mark.

    Parameters
    ----------
    ascii_only : bool
        Whether all beyond ASCII is made a question mark too: where the other side's characters are not known.

    >>> escape("a|b^c", Delimiters())
    'a\\F\\b\\S\\c'
    """
    signs = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        delimiters.escape: "E",
    }
    sign = delimiters.escape
    printable = "".join(
        char if " " <= char <= "~" or (char.isprintable() and not ascii_only) else "?" for char in text
    )
    return "".join(f"{sign}{signs[char]}{sign}" if char in signs else char for char in printable)
