"""Which of a source's channels are the twelve leads, and whether they are enough to be worth taking."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.leads import plan_leads, standard_name
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: A sender's own name that or a label that is longer than this is cut.
_SHOWN_CHARS: Final = 24

#: Words of labels and units that may be repeated: what a recorder carries beside the leads. A damaged file,
#: or a hostile one, may hold a patient's name or number in any other, and refusals are logged and sent back.
_KNOWN_WORDS: Final = frozenset(
    (
        *("abp", "art", "co2", "cvp", "eeg", "emg", "eog", "icp", "nibp", "pap", "pleth", "spo2", "temp"),
        *(
            "beat",
            "channel",
            "chest",
            "ecg",
            "lead",
            "marker",
            "mcl",
            "mdc",
            "mlii",
            "signal",
            "status",
            "time",
        ),
        *(
            "flow",
            "impedance",
            "motion",
            "oximetry",
            "pace",
            "pacer",
            "pressure",
            "pulse",
            "resp",
            "respiration",
        ),
        *("rhythm", "sound", "trigger", "vector", "venous", "v3r", "v4r", "v5r", "v6r", "vx", "vy", "vz"),
        *("by", "of", "the", "x", "y", "z"),
        *("adu", "bpm", "cel", "counts", "db", "deg", "degc", "g", "hz", "kg", "kohm", "kpa", "l", "m", "ma"),
        *(
            "min",
            "ml",
            "mm",
            "mmhg",
            "mohm",
            "ms",
            "mv",
            "n",
            "nv",
            "ohm",
            "pa",
            "percent",
            "s",
            "ua",
            "uv",
            "v",
        ),
    )
)
_BETWEEN_WORDS: Final = re.compile(r"[\s_:./-]+")

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
        found = shown_words(source_names[:_SHOWN_NAMES]) or "no lead"
        raise FeedRefusedError(
            f"no simultaneous 12-lead recording in it: found {found} "
            f"({seconds:.1f} s), missing {', '.join(missing)}; export the 10 s rhythm recording of all leads",
            RefusalReason.LEADS_MISSING,
        )


def shown_words(source_names: Sequence[str]) -> str:
    """Repeat names of leads and labels that are made of known words, of others say how many there are.

    >>> shown_words(["DII", "Resp chest", "MDC_ECG_LEAD_PACE", "Doe, Jane", "4711"])
    'DII, Resp chest, MDC_ECG_LEAD_PACE, 2 of other names'
    """
    known = [shown(name) for name in source_names if _is_harmless(name)]
    n_others = len(source_names) - len(known)
    return ", ".join([*known, *([f"{n_others} of other names"] if n_others else [])])


def shown_word(source_word: str) -> str:
    """Repeat one lead or unit where it is a known word.

    >>> shown_word("mmHg"), shown_word("Doe, Jane")
    ('mmHg', '(unknown)')
    """
    return shown(source_word) if _is_harmless(source_word) else "(unknown)"


def _is_harmless(name: str) -> bool:
    if standard_name(name) is not None:
        return True
    words = [word.rstrip("0123456789") or word for word in _BETWEEN_WORDS.split(name.lower())]
    return all(word in _KNOWN_WORDS or standard_name(word) is not None for word in words)


def shown(source_text: str) -> str:
    """Cut the name that a sender gives itself to what fits a log, without control characters."""
    printable = "".join(char if char.isprintable() else "?" for char in source_text)
    return printable if len(printable) <= _SHOWN_CHARS else f"{printable[:_SHOWN_CHARS]}…"
