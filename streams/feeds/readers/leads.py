"""The names sources give their leads, and which leads an ECG must carry to be worth taking."""

from collections.abc import Iterable
from typing import Final

from schemas.leads import LEADS_12
from streams.feeds.refusal import FeedRefusedError

_BY_LOWER: Final = {lead.lower(): lead for lead in LEADS_12}

#: Lead numbers of SCP-ECG (EN 1064 table 5) and, the same, of ISO/IEEE 11073-10101 (MDC 2:n).
_BY_NUMBER: Final = {
    1: "I",
    2: "II",
    3: "V1",
    4: "V2",
    5: "V3",
    6: "V4",
    7: "V5",
    8: "V6",
    61: "III",
    62: "aVR",
    63: "aVL",
    64: "aVF",
}

_LIMB: Final = frozenset(LEADS_12[:6])
_CHEST: Final = LEADS_12[6:]


def standard_name(source_name: str) -> str:
    """Write a lead's name the standard way where it is one of the twelve, else return it as it came.

    >>> [standard_name(name) for name in ("Lead I (Einthoven)", "MDC_ECG_LEAD_AVR", "avf", "vx")]
    ['I', 'aVR', 'aVF', 'vx']
    """
    name = source_name.strip()
    bare = name.lower().removeprefix("mdc_ecg_lead_").removeprefix("lead ")
    return _BY_LOWER.get(bare.split("(")[0].strip(), name)


def name_of_number(lead_number: int) -> str | None:
    """Return the standard name of an SCP-ECG or MDC lead number; None when it is not one of the twelve."""
    return _BY_NUMBER.get(lead_number)


def missing_leads(names: Iterable[str]) -> tuple[str, ...]:
    """Return which leads are missing for a 12-lead ECG; empty when the twelve are there or can be derived.

    Any two limb leads give the other four (Einthoven, Goldberger); a chest lead comes from nowhere else.
    """
    present = set(names)
    absent_chest = tuple(lead for lead in _CHEST if lead not in present)
    limb = present & _LIMB
    if len(limb) >= 2:
        return absent_chest
    return tuple(lead for lead in ("I", "II") if lead not in limb) + absent_chest


def require_twelve_leads(names: Iterable[str], n_samples: int, sample_rate_hz: float) -> None:
    """Refuse what can never become a 12-lead ECG.

    Raises
    ------
    FeedRefusedError
        Naming what was found and what is missing.
    """
    found = tuple(names)
    missing = missing_leads(found)
    if missing:
        seconds = n_samples / sample_rate_hz if sample_rate_hz else 0.0
        raise FeedRefusedError(
            f"no simultaneous 12-lead recording in it: found {', '.join(found) or 'no lead'} "
            f"({seconds:.1f} s), missing {', '.join(missing)}; export the 10 s rhythm recording of all leads"
        )
