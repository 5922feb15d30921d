"""One alert with all that happened to it, and the fold that makes it of the two topics' records.

The fold is a function of the *set* of records: events are ordered by time and id, not by arrival, so reading
``ecg.alert.v1`` and ``care.audit.v1`` in any interleaving, or again from the start, gives the same cases. Of
records that tell the same twice (one alert, one act, written again after a crash) the earliest holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from schemas.alert import AlertClosed, AlertRaised
from schemas.audit import CareAction, CareScope, CareVerb
from streams.deliver.life import OPEN, OVER, UNANSWERED, LifeEvent, LifeState, is_allowed, next_state
from streams.deliver.mutes import Mute, MuteFold, MuteKey, earlier, moment

__all__ = ["ANSWERS", "AlertCase", "CaseBook", "Mute"]

#: An alert with one of these was read and judged by somebody.
ANSWERS: Final = (CareVerb.ACKNOWLEDGED, CareVerb.ACCEPTED, CareVerb.REJECTED)


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
        return self._states()[-1][0]

    @cached_property
    def over_at(self) -> datetime | None:
        """When it came to ask for nothing more: closed, judged or expired; UTC, None while it asks."""
        since: datetime | None = None
        for state, at in self._states():
            since = None if state not in OVER else since or at
        return since

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

    @cached_property
    def failures(self) -> Mapping[tuple[str, int], tuple[CareAction, ...]]:
        """Deliveries that failed, oldest first, by channel and level."""
        failed: dict[tuple[str, int], tuple[CareAction, ...]] = {}
        for act in self.acts:
            if act.verb is CareVerb.DELIVERY_FAILED:
                failed[act.channel, act.level] = (*failed.get((act.channel, act.level), ()), act)
        return failed

    def last(self, *verbs: CareVerb) -> CareAction | None:
        """Return the newest act of these kinds."""
        return next((act for act in reversed(self.acts) if act.verb in verbs), None)

    def with_act(self, act: CareAction) -> "AlertCase":
        """Add an act; of one act, and of one person's looks, the earliest account holds.

        Returns this case itself when the act adds nothing.
        """
        known = next((each for each in self.acts if _tells_of_the_same(each, act)), None)
        if known is not None and earlier(known) <= earlier(act):
            return self
        others = (each for each in self.acts if each is not known)
        return replace(self, acts=tuple(sorted((*others, act), key=moment)))

    def with_end(self, closed: AlertClosed, at: datetime) -> "AlertCase":
        """Note that the episode ended; the first end holds."""
        known = (
            None if self.closed is None or self.closed_at is None else (self.closed_at, self.closed.ecg_id)
        )
        if known is not None and known <= (at, closed.ecg_id):
            return self
        return replace(self, closed=closed, closed_at=at)

    def _states(self) -> list[tuple[LifeState, datetime]]:
        states = [(LifeState.RAISED, self.raised_at)]
        for event, at in self._events():
            # Acts are checked before they are written; of two written at once the later may make no sense.
            if is_allowed(states[-1][0], event):
                states.append((next_state(states[-1][0], event), at))
        return states

    def _events(self) -> Iterable[tuple[LifeEvent, datetime]]:
        timed = [
            (act.acted_at, act.action_id, LifeEvent(act.verb.value)) for act in self.acts if _is_event(act)
        ]
        if self.closed_at is not None:
            timed.append((self.closed_at, "", LifeEvent.CLOSE))
        return [(event, at) for at, _, event in sorted(timed)]


def _tells_of_the_same(known: CareAction, act: CareAction) -> bool:
    # Whoever looks often is kept once, or the looks would outgrow the alert; all of them are on Kafka.
    looked_again = known.verb is act.verb is CareVerb.VIEWED and known.actor == act.actor
    return known.action_id == act.action_id or looked_again


def _is_event(act: CareAction) -> bool:
    return act.scope is CareScope.ALERT and act.verb is not CareVerb.UNKNOWN


@dataclass(slots=True, kw_only=True)
class CaseBook:
    """All cases and mutes, folded from records as they come; the same whatever their order.

    Attributes
    ----------
    cases : dict of str to AlertCase
        By ``alert_id``.
    """

    cases: dict[str, AlertCase] = field(default_factory=dict)
    _of_patient: dict[str, set[str]] = field(default_factory=dict)
    _early: dict[str, list[CareAction]] = field(default_factory=dict)
    _early_ends: dict[str, list[tuple[AlertClosed, datetime]]] = field(default_factory=dict)
    _mutes: MuteFold = field(default_factory=MuteFold)

    @property
    def mutes(self) -> Mapping[MuteKey, Mute]:
        """The newest mute of each patient, ward and site that nobody lifted.

        It may have run out: :meth:`Mute.covers` says so.
        """
        return self._mutes.standing

    def take_alert(self, record: AlertRaised | AlertClosed, at: datetime) -> str:
        """Fold one record of ``ecg.alert.v1``; ``at`` is its Kafka timestamp, UTC. Returns the case's id."""
        known = self.cases.get(record.alert_id)
        if isinstance(record, AlertClosed):
            if known is None:
                self._early_ends.setdefault(record.alert_id, []).append((record, at))
            else:
                self.cases[record.alert_id] = known.with_end(record, at)
        elif known is None:
            self._open(record, at)
        elif at < known.raised_at:
            self.cases[record.alert_id] = replace(known, alert=record, raised_at=at)
        return record.alert_id

    def take_act(self, act: CareAction) -> str:
        """Fold one record of ``care.audit.v1``. Returns the id of the case, or of the subject."""
        if act.scope is not CareScope.ALERT:
            self._mutes.take(act)
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
            self._drop(case.alert)
        kept = {key: [act for act in acts if act.acted_at >= before] for key, acts in self._early.items()}
        self._early = {key: acts for key, acts in kept.items() if acts}
        ends = {key: [end for end in ends if end[1] >= before] for key, ends in self._early_ends.items()}
        self._early_ends = {key: late for key, late in ends.items() if late}
        self._mutes.forget(before)
        return len(dropped)

    def cases_of(self, patient_id: str) -> tuple[AlertCase, ...]:
        """Return a patient's cases, the newest first."""
        cases = (self.cases[each] for each in self._of_patient.get(patient_id, ()))
        return tuple(sorted(cases, key=lambda case: (case.raised_at, case.alert.alert_id), reverse=True))

    def mute_of(self, alert: AlertRaised, now: datetime) -> Mute | None:
        """Return what keeps this alert quiet now beyond itself, if anything does; the longest of several."""
        covering = [mute for mute in self.mutes_over(alert) if mute.covers(alert, now)]
        return max(covering, key=lambda mute: (mute.until, mute.key), default=None)

    def knows_act_on(self, about: MuteKey, action_id: str) -> bool:
        """Whether a patient, ward or site was muted or unmuted by this very act."""
        return self._mutes.knows(about, action_id)

    def mutes_over(self, alert: AlertRaised) -> tuple[Mute, ...]:
        """Return all mutes there were of the alert's patient, ward and site, each as long as it held."""
        return self._mutes.over(alert)

    def _open(self, record: AlertRaised, at: datetime) -> None:
        case = AlertCase(alert=record, raised_at=at)
        for act in self._early.pop(record.alert_id, []):
            case = case.with_act(act)
        for closed, closed_at in self._early_ends.pop(record.alert_id, []):
            case = case.with_end(closed, closed_at)
        self.cases[record.alert_id] = case
        self._of_patient.setdefault(record.patient_id, set()).add(record.alert_id)

    def _drop(self, alert: AlertRaised) -> None:
        del self.cases[alert.alert_id]
        siblings = self._of_patient[alert.patient_id]
        siblings.discard(alert.alert_id)
        if not siblings:
            del self._of_patient[alert.patient_id]
