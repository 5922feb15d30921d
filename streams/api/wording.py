"""Words of the care team for what the records say in codes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final

from schemas.alert import AlertKind, Priority
from schemas.audit import CareVerb
from streams.deliver.life import LifeState

#: More leads than this with the same trouble are counted, not named.
_MOST_LEADS_NAMED: Final = 3

#: What a reader is told instead of a code of :mod:`models.quality` or :mod:`streams.infer`.
_REASONS: Final[Mapping[str, str]] = {
    "TOO_SHORT": "shorter than 10 s",
    "UNSUPPORTED_RATE": "sampling rate not supported",
    "MISSING_LEAD": "lead missing",
    "LEAD_OFF": "lead off",
    "FLAT": "flat",
    "NO_BEATS": "no beats found",
    "AMPLITUDE_IMPLAUSIBLE": "implausible amplitude",
    "CLIPPED": "clipped",
    "NOISE": "noise",
    "NOT_EINTHOVEN": "limb leads contradict each other",
    "LEADS_RESCALED": "limb leads rescaled",
    "ARM_LEADS_SWAPPED": "arm leads swapped",
    "ARM_LEG_LEADS_SWAPPED": "arm and leg leads swapped",
    "CHEST_LEADS_REVERSED": "chest leads reversed",
    "PACED": "paced rhythm",
    "QUALITY": "poor quality",
    "ACQUIRED_IN_FUTURE": "the cart's clock runs ahead",
}

#: What a part of :data:`models.features.PARTS` is, to who treats the patient.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "motion": ("Synthetic wall motion", "velocities of the mitral annulus, generated from the ECG"),
    "foundation": ("Whole ECG", "what the encoder reads out of the 10 s"),
    "rhythm": ("Rate and rhythm", "heart rate and its variation"),
    "atria": ("Atria", "PR interval and P wave"),
    "conduction": ("Conduction", "QRS duration and axis"),
    "repolarisation": ("Repolarisation", "QTc, ST and T wave"),
    "voltage": ("Voltage", "height of R and S waves"),
    "age": ("Age", "against the reference population"),
    "sex": ("Sex", "against the reference population"),
}

KINDS: Final[Mapping[AlertKind, str]] = {
    AlertKind.ENTERED_HIGH: "Moved into HIGH",
    AlertKind.STEPPED_UP: "Rose further while HIGH",
    AlertKind.UNKNOWN: "Alert",
}

STATES: Final[Mapping[LifeState, str]] = {
    LifeState.RAISED: "New",
    LifeState.DELIVERED: "Delivered, no answer",
    LifeState.ESCALATED: "Escalated",
    LifeState.ACKNOWLEDGED: "Acknowledged",
    LifeState.ACCEPTED: "Accepted",
    LifeState.REJECTED: "Rejected",
    LifeState.MUTED: "Muted",
    LifeState.EXPIRED: "Expired unanswered",
    LifeState.CLOSED: "Risk fell again",
}

VERBS: Final[Mapping[CareVerb, str]] = {
    CareVerb.DELIVERED: "Delivered",
    CareVerb.ACKNOWLEDGED: "Acknowledged",
    CareVerb.ACCEPTED: "Accepted",
    CareVerb.REJECTED: "Rejected",
    CareVerb.ESCALATED: "Escalated",
    CareVerb.MUTED: "Muted",
    CareVerb.UNMUTED: "Mute ended",
    CareVerb.VIEWED: "Viewed",
    CareVerb.DELIVERY_FAILED: "Delivery failed",
    CareVerb.EXPIRED: "Expired unanswered",
    CareVerb.OUTCOME: "Outcome noted",
    CareVerb.LISTED: "Listed without paging",
    CareVerb.UNKNOWN: "Unknown act",
}

#: Marks of IEC 60601-1-8: colour is never the only sign of a priority.
MARKS: Final[Mapping[Priority, str]] = {Priority.HIGH: "!!!", Priority.MEDIUM: "!!", Priority.LOW: "!"}

_AGES: Final = ((timedelta(days=2), timedelta(days=1), "d"), (timedelta(hours=2), timedelta(hours=1), "h"))


def reason_words(reasons: Sequence[str]) -> str:
    """Write reasons of quality or of not scoring as words.

    >>> reason_words(["LEAD_OFF:V3", "TOO_SHORT", *(f"NOISE:V{n}" for n in range(1, 6))])
    'lead off (V3), shorter than 10 s, noise (5 leads)'
    """
    leads: dict[str, list[str]] = {}
    for reason in reasons:
        code, _, lead = reason.partition(":")
        leads.setdefault(code, []).extend([lead] if lead else [])
    words = []
    for code, named in leads.items():
        which = f"{len(named)} leads" if len(named) > _MOST_LEADS_NAMED else ", ".join(named)
        plain = _REASONS.get(code, code.replace("_", " ").lower())
        words.append(f"{plain} ({which})" if which else plain)
    return ", ".join(words) or "no reason stated"


def moment(at: datetime, zone: tzinfo) -> str:
    """Write an instant in the reader's zone.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 3, 1, 9, 5, tzinfo=UTC), UTC)
    '1 Mar 2026 09:05'
    """
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M}"


def age_words(age: timedelta) -> str:
    """Write an age as short as a list needs it, rounded down; the script counts it on in the same form.

    >>> [age_words(timedelta(seconds=s)) for s in (42, 90, 5400, 3 * 3600, 3 * 86400)]
    ['42 s', '1 min', '90 min', '3 h', '3 d']
    """
    for least, unit, name in _AGES:
        if age >= least:
            return f"{age // unit} {name}"
    seconds = max(0, int(age.total_seconds()))
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def weight_words(log_odds: float) -> str:
    """Say how much a part moves the risk: half a unit of log-odds is a factor of 1.6 in the odds.

    >>> weight_words(0.9), weight_words(-0.3), weight_words(0.02)
    ('raises the risk clearly', 'lowers the risk somewhat', 'hardly matters')
    """
    size = abs(log_odds)
    if size < 0.1:
        return "hardly matters"
    how = "strongly" if size >= 1.0 else "clearly" if size >= 0.5 else "somewhat"
    return f"{'raises' if log_odds > 0 else 'lowers'} the risk {how}"
