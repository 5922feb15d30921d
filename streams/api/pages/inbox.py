"""The inbox as it is shown: which alerts, in which groups, in which order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from schemas.alert import Priority
from schemas.audit import CareVerb
from streams.api.pages.offers import offers
from streams.api.pages.risk_bar import risk_bar_svg
from streams.api.wording import KINDS, MARKS, STATES, age_words, moment
from streams.change_text import RISK
from streams.deliver.case import AlertCase
from streams.deliver.life import LifeState
from streams.deliver.mutes import Mute

#: Loudest first.
_ORDER: Final = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}

#: How long an ended alert is listed.
ENDED_FOR: Final = timedelta(days=7)

#: Which states stand under which heading, and what the heading says.
GROUPS: Final[tuple[tuple[str, str, tuple[LifeState, ...]], ...]] = (
    ("waiting", "Waiting for an answer", (LifeState.RAISED, LifeState.DELIVERED, LifeState.ESCALATED)),
    ("taken", "Acknowledged, decision open", (LifeState.ACKNOWLEDGED,)),
    ("expired", "Expired without an answer", (LifeState.EXPIRED,)),
    ("quiet", "Kept quiet", (LifeState.MUTED,)),
)
_ENDED: Final = frozenset({LifeState.ACCEPTED, LifeState.REJECTED, LifeState.CLOSED})

SeverityOf = Callable[[AlertCase], Priority]
MuteOf = Callable[[AlertCase], Mute | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One alert of the list; texts are whole sentences or words, never codes."""

    alert_id: str
    severity: Priority
    mark: str
    patient_id: str
    ward_id: str
    kind: str
    change_text: str
    before: float | None
    after: float
    risk_svg: str
    state: LifeState
    state_words: str
    state_detail: str
    is_trouble: bool
    raised_at: datetime
    age: str
    acquired: str
    may_acknowledge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts under one heading."""

    key: str
    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """With whose eyes the list is seen: when, in which zone, and with which thresholds."""

    now: datetime
    zone: tzinfo
    severity_of: SeverityOf
    enter_threshold: float
    mute_of: MuteOf
    may_act: bool


def groups(cases: Iterable[AlertCase], look: Look, *, ended: bool = False) -> list[Group]:
    """Put alerts under their headings, the loudest first, of equals the one that waits longest.

    Parameters
    ----------
    ended : bool
        Show what has ended instead, the newest first.
    """
    known = list(cases)
    if ended:
        recent = [case for case in known if case.state in _ENDED and look.now - case.raised_at < ENDED_FOR]
        newest = sorted(recent, key=lambda case: case.raised_at, reverse=True)
        return [Group(key="ended", title="Ended", rows=[row(case, look) for case in newest])]
    shown = []
    for key, title, states in GROUPS:
        found = [case for case in known if case.state in states]
        if key == "expired":
            found = [case for case in found if look.now - case.raised_at < ENDED_FOR]
        ordered = sorted(found, key=lambda case: (_ORDER[look.severity_of(case)], case.raised_at))
        shown.append(Group(key=key, title=title, rows=[row(case, look) for case in ordered]))
    return shown


def row(case: AlertCase, look: Look) -> Row:
    """Make one alert a row."""
    alert, severity = case.alert, look.severity_of(case)
    detail, is_trouble = _state_detail(case, look)
    return Row(
        alert_id=alert.alert_id,
        severity=severity,
        mark=MARKS[severity],
        patient_id=alert.patient_id,
        ward_id=alert.ward_id,
        kind="First ECG already HIGH" if alert.first_seen else KINDS[alert.kind],
        change_text=short_change(alert.change_text),
        before=alert.probability_before,
        after=alert.probability,
        risk_svg=risk_bar_svg(
            before=alert.probability_before,
            after=alert.probability,
            low=alert.probability_low,
            high=alert.probability_high,
            threshold=look.enter_threshold,
        ),
        state=case.state,
        state_words=STATES[case.state],
        state_detail=detail,
        is_trouble=is_trouble,
        raised_at=case.raised_at,
        age=age_words(look.now - case.raised_at),
        acquired=moment(alert.acquired_at, look.zone),
        may_acknowledge=look.may_act and CareVerb.ACKNOWLEDGED in offers(case),
    )


def short_change(change_text: str) -> str:
    """Leave out of a change what every line of the list would repeat.

    >>> short_change(f"{RISK} rose from 0.20 to 0.80 within 3 days; HIGH on this ECG.")
    'Risk rose from 0.20 to 0.80 within 3 days; HIGH on this ECG.'
    """
    return f"Risk{change_text.removeprefix(RISK)}" if change_text.startswith(RISK) else change_text


def _state_detail(case: AlertCase, look: Look) -> tuple[str, bool]:
    """Say what stands behind the state, and whether it is trouble."""
    match case.state:
        case LifeState.ACKNOWLEDGED | LifeState.ACCEPTED | LifeState.REJECTED:
            act = case.last(CareVerb.ACKNOWLEDGED, CareVerb.ACCEPTED, CareVerb.REJECTED)
            return ("" if act is None else f"by {act.actor}, {_ago(act.acted_at, look)}"), False
        case LifeState.MUTED:
            act = case.last(CareVerb.MUTED)
            until = "" if act is None or act.expires_at is None else moment(act.expires_at, look.zone)
            return (f"until {until} by {act.actor}" if act else ""), False
        case LifeState.ESCALATED:
            act = case.last(CareVerb.ESCALATED)
            return (f"to level {case.level}, {_ago(act.acted_at, look)}" if act else ""), True
        case LifeState.EXPIRED | LifeState.CLOSED:
            answer = case.last(CareVerb.ACKNOWLEDGED, CareVerb.ACCEPTED, CareVerb.REJECTED)
            return (f"answered by {answer.actor}" if answer else "nobody answered"), answer is None
        case _:
            return _delivery(case, look)


def _delivery(case: AlertCase, look: Look) -> tuple[str, bool]:
    mute = look.mute_of(case)
    if mute is not None:
        return f"{mute.scope.lower()} muted until {moment(mute.until, look.zone)}", False
    act = case.last(CareVerb.DELIVERED, CareVerb.DELIVERY_FAILED, CareVerb.LISTED)
    if act is None:
        return "not delivered yet", False
    if act.verb is CareVerb.DELIVERY_FAILED:
        return f"delivery failed: {act.channel}", True
    if act.verb is CareVerb.LISTED:
        return "listed, nobody paged", False
    return f"{act.channel}, {_ago(act.acted_at, look)}", False


def _ago(at: datetime, look: Look) -> str:
    return f"{age_words(look.now - at)} ago"
