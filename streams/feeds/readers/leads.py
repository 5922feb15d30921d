"""Which of a source's channels are the twelve leads, and whether they are enough to be worth taking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.leads import plan_leads, standard_name
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: A name longer than this is cut in a refusal: it may be any text of a damaged file.
_SHOWN_CHARS: Final = 24

#: A refusal names at most this many channels; a file of a sleep laboratory has forty.
_SHOWN_NAMES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A channel that is one of the twelve leads.

    Attributes
    ----------
    column : int
        Its place among the source's channels.
    lead : str
        Its standard name.
    sign : float
        −1 where the source recorded the inverted lead (−aVR of the Cabrera sequence), else 1.
    """

    column: int
    lead: str
    sign: float


def pick_leads(source_names: Sequence[str]) -> tuple[Picked, ...]:
    """Pick the channels that are one of the twelve leads, the first of each name, in the source's order.

    All else (Frank's leads, V7, respiration, pressure) is left out before its unit or scale is looked at.

    >>> [(pick.column, pick.lead, pick.sign) for pick in pick_leads(["RESP", "DII", "-aVR", "ii"])]
    [(1, 'II', 1.0), (2, 'aVR', -1.0)]
    """
    picked: dict[str, Picked] = {}
    for column, source_name in enumerate(source_names):
        standard = standard_name(source_name)
        if standard is not None:
            lead, sign = standard
            picked.setdefault(lead, Picked(column=column, lead=lead, sign=sign))
    return tuple(picked.values())


def missing_leads(source_names: Sequence[str]) -> tuple[str, ...]:
    """Return which of the twelve leads are neither there nor can be derived from those that are."""
    return plan_leads(tuple(source_names)).missing


def require_twelve_leads(source_names: Sequence[str], seconds: float) -> None:
    """Refuse what can never become a 12-lead ECG.

    Raises
    ------
    FeedRefusedError
        Naming what was found and what is missing.
    """
    missing = missing_leads(source_names)
    if missing:
        found = ", ".join(shown(name) for name in source_names[:_SHOWN_NAMES]) or "no lead"
        raise FeedRefusedError(
            f"no simultaneous 12-lead recording in it: found {found} "
            f"({seconds:.1f} s), missing {', '.join(missing)}; export the 10 s rhythm recording of all leads",
            RefusalReason.LEADS_MISSING,
        )


def shown(source_text: str) -> str:
    """Cut a source's text to what fits a message, without control characters."""
    printable = "".join(char if char.isprintable() else "?" for char in source_text)
    return printable if len(printable) <= _SHOWN_CHARS else f"{printable[:_SHOWN_CHARS]}…"
