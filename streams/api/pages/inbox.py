"""The inbox as it is shown: which alerts, in which groups, in which order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from schemas.alert import Priority
from schemas.audit import CareScope, CareVerb
from streams.api.pages.delivery_words import delivery_words, silence_words
from streams.api.pages.offers import offers
from streams.api.pages.risk_bar import risk_bar_svg
from streams.api.wording import KINDS, MARKS, STATES, age_words, moment
from streams.change_text import RISK
from streams.deliver.case import ANSWERS, AlertCase, CaseBook
from streams.deliver.life import LifeState
from streams.deliver.routing import Routes

#: Loudest first.
_ORDER: Final = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}

#: How long an ended alert is listed; one that expired leaves the open ones then, and stays with the ended.
ENDED_FOR: Final = timedelta(days=7)

#: Which states stand under which heading, and what the heading says.
GROUPS: Final[tuple[tuple[str, str, tuple[LifeState, ...]], ...]] = (
    ("waiting", "Waiting for an answer", (LifeState.RAISED, LifeState.DELIVERED, LifeState.ESCALATED)),
    ("taken", "Acknowledged, decision open", (LifeState.ACKNOWLEDGED,)),
    ("fell", "Risk fell again, nobody answered", (LifeState.CLOSED,)),
    ("expired", "Expired without an answer", (LifeState.EXPIRED,)),
    ("quiet", "Kept quiet", (LifeState.MUTED,)),
)
_ENDED: Final = frozenset({LifeState.ACCEPTED, LifeState.REJECTED, LifeState.CLOSED, LifeState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One alert of the list; texts are whole sentences or words, never codes.

    Attributes
    ----------
    ward_id, ward_now : str
        Where it was raised, and where the patient lies now; the same where no move is known.
    """

    alert_id: str
    severity: Priority
    mark: str
    patient_id: str
    ward_id: str
    ward_now: str
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
    """With whose eyes the list is seen: when, in which zone, with which routes, mutes and thresholds."""

    now: datetime
    zone: tzinfo
    routes: Routes
    book: CaseBook
    enter_threshold: float
    lying: Mapping[str, str]
    may_act: bool


def groups(cases: Iterable[AlertCase], look: Look, *, ended: bool = False) -> list[Group]:
    """Put alerts under their headings, the loudest first, of equals the one that waits longest.

    Parameters
    ----------
    ended : bool
        Show what has ended instead, the newest first: in seven days, and all that expired unanswered.
    """
    known = list(cases)
    if ended:
        found = [case for case in known if case.state in _ENDED and _is_kept(case, look.now)]
        newest = sorted(found, key=_ended_at, reverse=True)
        return [Group(key="ended", title="Ended", rows=[row(case, look) for case in newest])]
    shown = []
    for key, title, states in GROUPS:
        found = [case for case in known if case.state in states and _is_listed(case, look.now)]
        ordered = sorted(found, key=lambda case: (_ORDER[look.routes.severity(case.alert)], case.raised_at))
        shown.append(Group(key=key, title=title, rows=[row(case, look) for case in ordered]))
    return shown


def _is_listed(case: AlertCase, now: datetime) -> bool:
    """Whether it stands in the inbox: what ended unanswered does, for a while or until it is."""
    if case.state is LifeState.CLOSED and case.last(*ANSWERS) is not None:
        return False
    return case.state not in (LifeState.CLOSED, LifeState.EXPIRED) or now - _ended_at(case) < ENDED_FOR


def _is_kept(case: AlertCase, now: datetime) -> bool:
    """Whether what has ended is still listed: as long as it is known where it expired unanswered."""
    return case.state is LifeState.EXPIRED or now - _ended_at(case) < ENDED_FOR


def _ended_at(case: AlertCase) -> datetime:
    """When the last came of it: its end, its answer, or that it expired."""
    last = case.last(*ANSWERS, CareVerb.EXPIRED)
    return max(case.closed_at or case.raised_at, case.raised_at if last is None else last.acted_at)


def row(case: AlertCase, look: Look) -> Row:
    """Make one alert a row."""
    alert, severity = case.alert, look.routes.severity(case.alert)
    detail, is_trouble = _state_detail(case, look)
    return Row(
        alert_id=alert.alert_id,
        severity=severity,
        mark=MARKS[severity],
        patient_id=alert.patient_id,
        ward_id=alert.ward_id,
        ward_now=look.lying.get(alert.patient_id, alert.ward_id),
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
            act = case.last(*ANSWERS)
            return ("" if act is None else f"by {act.actor}, {_ago(act.acted_at, look)}"), False
        case LifeState.MUTED:
            act = case.last(CareVerb.MUTED)
            until = "" if act is None or act.expires_at is None else moment(act.expires_at, look.zone)
            return (f"until {until} by {act.actor}" if act else ""), False
        case LifeState.EXPIRED | LifeState.CLOSED:
            answer = case.last(*ANSWERS)
            return (f"answered by {answer.actor}" if answer else "nobody answered"), answer is None
        case _:
            return _delivery(case, look)


def _delivery(case: AlertCase, look: Look) -> tuple[str, bool]:
    quiet = _quiet(case, look)
    if quiet is not None:
        return quiet
    escalated = case.last(CareVerb.ESCALATED)
    if case.state is not LifeState.ESCALATED or escalated is None:
        return delivery_words(case, look.book, look.routes, look.now)
    silence = silence_words(case, look.book, look.routes, look.now)
    reached = f"to level {case.level}, {_ago(escalated.acted_at, look)}"
    return (f"{reached}; {silence}" if silence else reached), True


def _quiet(case: AlertCase, look: Look) -> tuple[str, bool] | None:
    """Say what keeps an alert quiet beyond itself; None when nothing does.

    A ward's quiet was asked for those who lie there, and holds for alerts raised there: that of a patient who
    was moved since pages nobody, though the new ward is not quiet.
    """
    covering = [mute for mute in look.book.mutes_over(case.alert) if mute.covers(case.alert, look.now)]
    if not covering:
        return None
    # What holds wherever the patient is goes before what holds for a ward; of equals the longest.
    mute = max(covering, key=lambda each: (each.scope is not CareScope.WARD, each.until, each.key))
    until = moment(mute.until, look.zone)
    ward_now = look.lying.get(case.alert.patient_id, case.alert.ward_id)
    if mute.scope is not CareScope.WARD or look.book.mute_of(replace(case.alert, ward_id=ward_now), look.now):
        return f"{mute.scope.lower()} muted until {until}", False
    return f"muted in {mute.subject} until {until}, patient now in {ward_now or 'no named ward'}", True


def _ago(at: datetime, look: Look) -> str:
    return f"{age_words(look.now - at)} ago"
