"""Delivery as it goes on: each alert that is ours, planned, carried out step by step, and noted.

What is to be done follows from the book alone (:func:`streams.deliver.plan.plan`), so a process that was
killed, or that takes over from another, goes on where the acts on Kafka end. Each step runs by itself: a slow
channel, or Kafka away, holds up neither other alerts nor other channels.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Final

import structlog

from schemas.alert import TechnicalAlarm
from schemas.audit import CareVerb
from schemas.errors import DiastoleError, FatalError, RetriableError
from streams.adapters.kafka_follower import TopicBehindError
from streams.deliver.asked import levels
from streams.deliver.book import CURRENT_WITHIN_S, FollowedBook
from streams.deliver.case import ANSWERS, AlertCase
from streams.deliver.channels.channel import Channel
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.deliver.ends import Ends
from streams.deliver.lanes import Lane
from streams.deliver.life import UNANSWERED
from streams.deliver.own_acts import act_of
from streams.deliver.plan import is_overdue, next_due, plan
from streams.deliver.routing import Routes
from streams.deliver.sending import LinkOf, Sender
from streams.deliver.steps import Send, Step
from streams.deliver.undelivered import alert_and_level, has_ended, undelivered_alarm
from streams.deliver.unreadable import unreadable_alarm
from streams.health import Health
from streams.stage import UtcClock, utc_now
from streams.tally import where_raised

log = structlog.get_logger()

STAGE: Final = "deliver"

#: All that nobody answered is looked at so often, s, should a wake-up be missed; also finds overdue ones.
_LOOK_EVERY_S: Final = 2.0

#: What is under way may end within this before the partitions go to another process, s.
_LET_GO_S: Final = 5.0

_FIRST_PAUSE_S: Final = 0.5
_MOST_PAUSE_S: Final = 10.0

#: The loop has not come round for this long: something holds it up, and the process is to be restarted, s.
_STALLED_AFTER_S: Final = 60.0

#: Alert, kind of step, channel, level: what is done once at a time.
_Key = tuple[str, str, str, int]


class DeliverFaultError(FatalError):
    """A step ended in a way nobody foresaw; the process leaves to a fresh one."""

    code = "DELIVER_FAULT"


class Deliverer:
    """Carries out what is planned for the alerts of the partitions it owns.

    Parameters
    ----------
    book : FollowedBook
    channels : mapping of str to Channel
        By the names the routes use.
    """

    def __init__(
        self,
        book: FollowedBook,
        routes: Routes,
        channels: Mapping[str, Channel],
        *,
        now: UtcClock = utc_now,
        link_of: LinkOf = lambda alert_id: "",
        metrics: DeliverMetrics | None = None,
    ) -> None:
        self._book, self._routes, self._now = book, routes, now
        self.metrics = metrics or DeliverMetrics()
        self._sender = Sender(
            book=book.book,
            routes=routes,
            channels=channels,
            lanes={name: Lane() for name in channels},
            metrics=self.metrics,
            now=now,
            link_of=link_of,
        )
        self._ends = Ends(self._sender)
        self._changes = book.changes()
        self._owned: frozenset[int] = frozenset()
        self._has_joined = False
        self._under_way: dict[_Key, asyncio.Task[None]] = {}
        self._due: dict[str, datetime] = {}
        self._answered: set[str] = set()
        self._fault: DeliverFaultError | None = None
        self._came_round_at = monotonic()

    async def own(self, partitions: frozenset[int]) -> None:
        """Be responsible for the alerts of these partitions from now on, and for no others.

        Before it lets go it lets what is under way end, for a while; before it begins it reads what the
        process before it did.
        """
        if not partitions:
            self._owned = frozenset()
            await self._let_go()
            return
        await _until_done(self._book.catch_up)
        self._owned, self._has_joined = partitions, True
        self._answered.update(each for each, case in self._cases() if case.last(*ANSWERS) is not None)
        self._changes.tell(self._book.book.cases)

    async def run(self) -> None:
        """Deliver until cancelled.

        Raises
        ------
        DeliverFaultError
            When a step ended in a way nobody foresaw.
        """
        try:
            while self._fault is None:
                changed = await self._changed()
                if monotonic() - self._came_round_at > CURRENT_WITHIN_S:
                    # This process stood still: others may have acted, and somebody may have answered.
                    with suppress(TopicBehindError):
                        await self._book.catch_up()
                self._came_round_at = monotonic()
                self._look_at(changed)
            raise self._fault
        finally:
            await self.own(frozenset())

    def health(self) -> Health:
        """Say how it is, for /readyz."""
        since_s = monotonic() - self._came_round_at
        return Health(
            stage=STAGE,
            assigned=bool(self._owned) or self._has_joined,
            held_up_by=None if self._book.is_current else TopicBehindError.code,
            in_flight=len(self._under_way),
            idle_s=round(since_s, 1),
            stalled=since_s > _STALLED_AFTER_S,
        )

    async def _changed(self) -> frozenset[str]:
        """Wait for changes, the next due step, or the next look; empty: look at all."""
        due_s = min(
            ((due - self._now()).total_seconds() for due in self._due.values()), default=_LOOK_EVERY_S
        )
        try:
            async with asyncio.timeout(max(0.0, min(due_s, _LOOK_EVERY_S))):
                return await self._changes.all()
        except TimeoutError:
            return frozenset()

    def _look_at(self, changed: frozenset[str]) -> None:
        cases = self._book.book.cases
        if not changed or not changed.issubset(cases):
            # Time passed, or a ward was muted, or an alarm ended.
            changed |= {each for each, case in self._cases() if case.state in UNANSWERED}
            changed |= self._ends.waiting
            self._end_alarms()
            self._tell_unreadable()
            self._show()
        for alert_id in changed & cases.keys():
            if self._is_ours(alert_id):
                self._carry_on(cases[alert_id])
            else:
                self._due.pop(alert_id, None)

    def _carry_on(self, case: AlertCase) -> None:
        alert_id, now = case.alert.alert_id, self._now()
        self._note_answer(case)
        for step in plan(case, self._book.book, self._routes, now):
            self._begin(alert_id, step)
        if is_overdue(case, self._book.book, self._routes, now):
            self._raise_alarm(case)
        for channel, level in self._ends.due(case, now):
            self._start((alert_id, "End", channel, level), partial(self._tell_end, alert_id, channel, level))
        due = next_due(case, self._book.book, self._routes, now)
        if due is None:
            self._due.pop(alert_id, None)
        else:
            # A step that is due and under way is not to be waited for in a circle.
            self._due[alert_id] = max(due, now + timedelta(milliseconds=50))

    def _begin(self, alert_id: str, step: Step) -> None:
        channel, level = (step.channel, step.level) if isinstance(step, Send) else ("", 0)
        self._start((alert_id, type(step).__name__, channel, level), lambda: self._carry_out(alert_id, step))

    async def _carry_out(self, alert_id: str, step: Step) -> None:
        if isinstance(step, Send):
            act = await self._sender.send(alert_id, step, lambda: self._is_ours(alert_id))
        else:
            act = act_of(self._book.book.cases[alert_id], step, self._now())
        if act is None:
            return
        await _until_done(partial(self._book.append, act))
        if act.verb is CareVerb.ESCALATED:
            self.metrics.escalations.labels(str(act.level)).inc()
        log.info("act", verb=act.verb.value, alert=alert_id, step=act.level, channel=act.channel)

    async def _tell_end(self, alert_id: str, channel: str, level: int) -> None:
        act = await self._ends.tell(alert_id, channel, level, lambda: self._is_ours(alert_id))
        if act is not None:
            await _until_done(partial(self._book.append, act))

    def _raise_alarm(self, case: AlertCase) -> None:
        level = levels(case, self._book.book, self._now())[-1]
        alarm = undelivered_alarm(case, self._routes.severity(case.alert), level)
        # One that was raised before a quiet and has not ended since speaks for this time too.
        if not self._book.knows_alarm(alarm.alarm_id) and not self._book.is_alarmed(alarm.source):
            key = (case.alert.alert_id, "alarm", "", level.number)
            self._start(key, lambda: self._write_alarm(alarm))

    def _end_alarms(self) -> None:
        now = self._now()
        for alarm in self._book.alarms:
            about = alert_and_level(alarm)
            if about is None:
                continue
            alert_id, level = about
            case = self._book.book.cases.get(alert_id)
            if case is not None and not self._is_ours(alert_id):
                continue
            if has_ended(case, level, self._book.book, self._routes, now):
                ended = replace(alarm, ended_at=now)
                self._start((alert_id, "alarm ends", "", level), partial(self._write_alarm, ended))

    def _tell_unreadable(self) -> None:
        """Alarm of what cannot be read, whoever owns it: processes that do so at once write the same."""
        if not self._owned:
            return
        unreadable = self._book.unreadable
        over = (
            replace(each, ended_at=self._now()) for each in self._book.alarms if unreadable.has_ended(each)
        )
        for alarm in (*map(unreadable_alarm, unreadable.kept), *over):
            if alarm.ended_at is not None or not self._book.knows_alarm(alarm.alarm_id):
                key = (alarm.source, "alarm of unreadable", "", 0)
                self._start(key, partial(self._write_alarm, alarm))

    async def _write_alarm(self, alarm: TechnicalAlarm) -> None:
        await _until_done(partial(self._book.append_alarm, alarm))
        log.warning("technical_alarm", source=alarm.source, has_ended=alarm.ended_at is not None)

    def _start(self, key: _Key, work: Callable[[], Coroutine[None, None, None]]) -> None:
        if key in self._under_way:
            return
        task = self._under_way[key] = asyncio.create_task(work())
        task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: _Key, task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Neither text nor traceback: what others raise may quote a patient.
            code = error.code if isinstance(error, DiastoleError) else type(error).__name__
            self._fault = DeliverFaultError(f"the step {key[1]} ended with {code} in {where_raised(error)}")
        self._changes.tell((key[0],))

    async def _let_go(self) -> None:
        """Let what is under way end; break off what does not, to be done again under the same key."""
        if not self._under_way:
            return
        _, still = await asyncio.wait(self._under_way.values(), timeout=_LET_GO_S)
        for task in still:
            task.cancel()
        if still:
            log.warning("broken_off", n=len(still), then="done again by whoever owns the alert")
            await asyncio.wait(still)

    def _is_ours(self, alert_id: str) -> bool:
        return self._book.partition_of(alert_id) in self._owned

    def _cases(self) -> list[tuple[str, AlertCase]]:
        return [(each, case) for each, case in self._book.book.cases.items() if self._is_ours(each)]

    def _note_answer(self, case: AlertCase) -> None:
        answer = next((act for act in case.acts if act.verb in ANSWERS), None)
        if answer is not None and case.alert.alert_id not in self._answered:
            self._answered.add(case.alert.alert_id)
            self.metrics.answer.observe(max(0.0, (answer.acted_at - case.raised_at).total_seconds()))

    def _show(self) -> None:
        self._answered &= self._book.book.cases.keys()
        ours = self._cases()
        self.metrics.show_states(case.state for _, case in ours)
        alarmed = [about[0] for about in map(alert_and_level, self._book.alarms) if about is not None]
        self.metrics.alarms.set(sum(map(self._is_ours, alarmed)))
        self.metrics.behind.set(self._book.behind_s)
        self.metrics.show_unreadable(self._book.unreadable.n)


async def _until_done(attempt: Callable[[], Coroutine[None, None, None]]) -> None:
    """Wait out Kafka's absence: what was done must be known before more is planned."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            await attempt()
        except RetriableError as error:
            log.warning("kafka_waited_for", code=error.code)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)
        else:
            return
