"""One alert with all that happened to it, and the fold that makes it of the two topics' records.

The fold is a function of the *set* of records: events are ordered by time and id, not by arrival, so reading
``ecg.alert.v1`` and ``care.audit.v1`` in any interleaving, or again from the start, gives the same cases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from schemas.alert import AlertClosed, AlertRaised
from schemas.audit import CareAction, CareScope, CareVerb
from streams.deliver.life import OPEN, UNANSWERED, LifeEvent, LifeState, is_allowed, next_state


@dataclass(frozen=True, kw_only=True, eq=False)
class AlertCase:
    """An alert and its life so far.

    Attributes
    ----------
    alert : AlertRaised
    raised_at : datetime
        UTC; when Kafka took the alert. Ages and the escalation ladder count from here.
    acts : tuple of CareAction
        In order of ``acted_at``, then ``action_id``; each once.
    closed : AlertClosed or None
    closed_at : datetime or None
        UTC; when Kafka took that.
    """

    alert: AlertRaised
    raised_at: datetime
    acts: tuple[CareAction, ...] = ()
    closed: AlertClosed | None = None
    closed_at: datetime | None = None

    @cached_property
    def state(self) -> LifeState:
        """Where it stands, whatever the time; a mute that has run out is ended by an act of its own."""
        state = LifeState.RAISED
        for event in self._events():
            # Acts are checked before they are written; of two written at once the later may make no sense.
            if is_allowed(state, event):
                state = next_state(state, event)
        return state

    @property
    def is_open(self) -> bool:
        """Whether nobody has answered yet."""
        return self.state in OPEN

    @cached_property
    def level(self) -> int:
        """Highest step of the ladder it was escalated to; 0 before."""
        return max((act.level for act in self.acts if act.verb is CareVerb.ESCALATED), default=0)

    @cached_property
    def delivered(self) -> Mapping[tuple[str, int], datetime]:
        """When it was first delivered, by channel and level."""
        first: dict[tuple[str, int], datetime] = {}
        for act in self.acts:
            if act.verb is CareVerb.DELIVERED:
                first.setdefault((act.channel, act.level), act.acted_at)
        return first

    def last(self, *verbs: CareVerb) -> CareAction | None:
        """Return the newest act of these kinds."""
        return next((act for act in reversed(self.acts) if act.verb in verbs), None)

    def with_act(self, act: CareAction) -> "AlertCase":
        """Add an act; one that is there already changes nothing."""
        if any(known.action_id == act.action_id for known in self.acts):
            return self
        acts = sorted((*self.acts, act), key=lambda each: (each.acted_at, each.action_id))
        return replace(self, acts=tuple(acts))

    def with_end(self, closed: AlertClosed, at: datetime) -> "AlertCase":
        """Note that the episode ended; the first end holds."""
        return self if self.closed is not None else replace(self, closed=closed, closed_at=at)

    def _events(self) -> Iterable[LifeEvent]:
        timed = [
            (act.acted_at, act.action_id, LifeEvent(act.verb.value)) for act in self.acts if _is_event(act)
        ]
        if self.closed_at is not None:
            timed.append((self.closed_at, "", LifeEvent.CLOSE))
        return [event for _, _, event in sorted(timed)]


def _is_event(act: CareAction) -> bool:
    return act.scope is CareScope.ALERT and act.verb is not CareVerb.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Alerts of a patient, ward or site are kept quiet: listed, not paged.

    Attributes
    ----------
    until : datetime
        UTC.
    """

    scope: CareScope
    subject: str
    until: datetime
    actor: str
    reason: str
    since: datetime

    def covers(self, alert: AlertRaised, now: datetime) -> bool:
        """Whether it keeps this alert quiet now."""
        subject = {
            CareScope.PATIENT: alert.patient_id,
            CareScope.WARD: alert.ward_id,
            CareScope.SITE: alert.site_id,
        }.get(self.scope)
        return subject == self.subject and self.since <= now < self.until


@dataclass(slots=True, kw_only=True)
class CaseBook:
    """All cases and mutes, folded from records as they come; the same whatever their order.

    ``on_change`` of the follower's owner is told the id of each case that changed.
    """

    cases: dict[str, AlertCase] = field(default_factory=dict)
    mutes: dict[tuple[CareScope, str], Mute] = field(default_factory=dict)
    _early: dict[str, list[CareAction]] = field(default_factory=dict)
    _early_ends: dict[str, tuple[AlertClosed, datetime]] = field(default_factory=dict)
    _muted_at: dict[tuple[CareScope, str], tuple[datetime, str]] = field(default_factory=dict)

    def take_alert(self, record: AlertRaised | AlertClosed, at: datetime) -> str:
        """Fold one record of ``ecg.alert.v1``; ``at`` is its Kafka timestamp, UTC. Returns the case's id."""
        known = self.cases.get(record.alert_id)
        if isinstance(record, AlertClosed):
            if known is None:
                self._early_ends.setdefault(record.alert_id, (record, at))
            else:
                self.cases[record.alert_id] = known.with_end(record, at)
        elif known is None:
            case = AlertCase(alert=record, raised_at=at)
            for act in self._early.pop(record.alert_id, []):
                case = case.with_act(act)
            if record.alert_id in self._early_ends:
                case = case.with_end(*self._early_ends.pop(record.alert_id))
            self.cases[record.alert_id] = case
        return record.alert_id

    def take_act(self, act: CareAction) -> str:
        """Fold one record of ``care.audit.v1``. Returns the id of the case, or of the subject."""
        if act.scope is not CareScope.ALERT:
            self._take_mute(act)
        elif act.alert_id in self.cases:
            self.cases[act.alert_id] = self.cases[act.alert_id].with_act(act)
        else:
            self._early.setdefault(act.alert_id, []).append(act)
        return act.alert_id

    def forget(self, before: datetime, max_cases: int) -> int:
        """Drop what was raised or done before a time, and the oldest answered cases over a number.

        An open case is never dropped for room.

        Returns
        -------
        int
            How many cases were dropped.
        """
        by_age = sorted(self.cases.values(), key=lambda case: case.raised_at)
        over = max(0, len(by_age) - max_cases)
        old = [case for case in by_age if case.raised_at < before]
        answered = [case for case in by_age if case.raised_at >= before and case.state not in UNANSWERED]
        for case in (dropped := old + answered[: max(0, over - len(old))]):
            del self.cases[case.alert.alert_id]
        kept = {key: [act for act in acts if act.acted_at >= before] for key, acts in self._early.items()}
        self._early = {key: acts for key, acts in kept.items() if acts}
        self._early_ends = {key: end for key, end in self._early_ends.items() if end[1] >= before}
        self.mutes = {key: mute for key, mute in self.mutes.items() if mute.until >= before}
        self._muted_at = {key: when for key, when in self._muted_at.items() if when[0] >= before}
        return len(dropped)

    def mute_of(self, alert: AlertRaised, now: datetime) -> Mute | None:
        """Return what keeps this alert quiet now beyond itself, if anything does."""
        return next((mute for mute in self.mutes.values() if mute.covers(alert, now)), None)

    def _take_mute(self, act: CareAction) -> None:
        key, when = (act.scope, act.subject), (act.acted_at, act.action_id)
        if act.verb not in (CareVerb.MUTED, CareVerb.UNMUTED) or self._muted_at.get(key, when) > when:
            return
        self._muted_at[key] = when
        self.mutes.pop(key, None)
        if act.verb is CareVerb.MUTED and act.expires_at is not None:
            self.mutes[key] = Mute(
                scope=act.scope,
                subject=act.subject,
                until=act.expires_at,
                actor=act.actor,
                reason=act.reason,
                since=act.acted_at,
            )
