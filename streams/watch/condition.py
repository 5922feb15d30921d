"""How one thing that is watched fares: a table from what was seen to whether an alarm is due.

Decides alone. What was seen comes as a :class:`Finding`; the time is passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.alert import AlarmKind, Priority


class State(StrEnum):
    """Of one thing that is watched."""

    WELL = "WELL"
    SUSPECT = "SUSPECT"
    ALARMED = "ALARMED"


class Sight(StrEnum):
    """What a look came to: OVERDUE is ILL for longer than is borne, UNKNOWN saw nothing either way."""

    WELL = "WELL"
    ILL = "ILL"
    OVERDUE = "OVERDUE"
    UNKNOWN = "UNKNOWN"


#: What follows. Whoever could not look begins anew with its suspicion, but takes back no alarm.
NEXT: Final[Mapping[tuple[State, Sight], State]] = {
    (State.WELL, Sight.WELL): State.WELL,
    (State.WELL, Sight.ILL): State.SUSPECT,
    (State.WELL, Sight.OVERDUE): State.ALARMED,
    (State.WELL, Sight.UNKNOWN): State.WELL,
    (State.SUSPECT, Sight.WELL): State.WELL,
    (State.SUSPECT, Sight.ILL): State.SUSPECT,
    (State.SUSPECT, Sight.OVERDUE): State.ALARMED,
    (State.SUSPECT, Sight.UNKNOWN): State.WELL,
    (State.ALARMED, Sight.WELL): State.WELL,
    (State.ALARMED, Sight.ILL): State.ALARMED,
    (State.ALARMED, Sight.OVERDUE): State.ALARMED,
    (State.ALARMED, Sight.UNKNOWN): State.ALARMED,
}

#: Kind of alarm and its source: what can be ill by itself.
Subject = tuple[AlarmKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look says of one subject.

    Attributes
    ----------
    is_ill : bool or None
        None when nothing could be seen.
    cause : str
        In one word; another cause is borne for its own time.
    bound_s : float
        How long it is borne, s.
    since : datetime or None
        UTC; since when it is ill, where the look knows; else the first look that saw it counts.
    message, action_text : str
        What is wrong, and what to do next.
    """

    kind: AlarmKind
    source: str
    is_ill: bool | None
    cause: str = ""
    bound_s: float = 0.0
    since: datetime | None = None
    priority: Priority = Priority.MEDIUM
    message: str = ""
    action_text: str = ""

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.kind, self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A subject up to now.

    Attributes
    ----------
    ill_since : datetime or None
        UTC; None while it is well.
    finding : Finding or None
        What was seen last that was known; None before the first look.
    """

    state: State = State.WELL
    ill_since: datetime | None = None
    finding: Finding | None = None


def after(condition: Condition, finding: Finding, now: datetime) -> Condition:
    """Take one look in.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> ill = Finding(kind=AlarmKind.STAGE_STALLED, source="infer", is_ill=True, bound_s=10)
    >>> seen = after(Condition(), ill, noon)
    >>> seen.state.value, after(seen, ill, noon + timedelta(seconds=10)).state.value
    ('SUSPECT', 'ALARMED')
    """
    since = _ill_since(condition, finding, now)
    state = NEXT[condition.state, _sight(finding, since, now)]
    if finding.is_ill is None:
        kept = condition.ill_since if state is State.ALARMED else None
        return Condition(state=state, ill_since=kept, finding=condition.finding)
    return Condition(state=state, ill_since=since, finding=finding)


def _ill_since(condition: Condition, finding: Finding, now: datetime) -> datetime | None:
    if not finding.is_ill:
        return None
    before = condition.finding
    if before is not None and before.cause == finding.cause and condition.ill_since is not None:
        return min(condition.ill_since, finding.since or now)
    return finding.since or now


def _sight(finding: Finding, since: datetime | None, now: datetime) -> Sight:
    if finding.is_ill is None:
        return Sight.UNKNOWN
    if since is None:
        return Sight.WELL
    return Sight.OVERDUE if now - since >= timedelta(seconds=finding.bound_s) else Sight.ILL
