"""The book of alerts as Kafka tells it: followed as it grows, and written into.

``ecg.alert.v1`` and ``care.audit.v1`` are read from a window of time on, folded, and followed. Nothing else
knows the state of an alert, so whoever opens a book, or opens it again, comes to the same one.

An alert with its strip, its motion curves and a few acts takes about 8 kB here (a test measures it): a ward
with fifty a day has some 40 MB in 90 days. What is older than the window is forgotten, and of more cases than
``max_cases`` the oldest that are answered; an open one is never forgotten for room.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import structlog

from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.codec import Codec
from schemas.errors import PoisonError, RetriableError
from streams.access import Broker
from streams.adapters.kafka_follower import TopicBehindError, TopicFollower, open_follower
from streams.deliver.case import CaseBook
from streams.deliver.changes import Changes, Readers
from streams.deliver.unreadable import UnreadableRecord, UnreadableRecords
from streams.deliver.writing import OnceWriter
from streams.feeds.producer import LastingProducer, open_producer
from streams.kafka_time import instant_of
from streams.stage import UtcClock, utc_now
from streams.topology import CARE_AUDIT, ECG_ALERT

log = structlog.get_logger()

#: Alerts are 20 kB, acts 1 kB: the limit of what all other records may have (``ops.topics``).
_REQUEST_BYTES: Final = 2**20

#: Kafka is asked so often whether there is more than is known, s: two small requests.
_LOOK_EVERY_S: Final = 2.0

#: A book that was at the end so long ago is behind, s: four looks that failed.
CURRENT_WITHIN_S: Final = 4 * _LOOK_EVERY_S

#: Time for one look, and until an act must be acknowledged, s.
_LOOK_S: Final = 5.0
APPEND_S: Final = 10.0

#: Cases kept at most, about 160 MB.
MAX_CASES: Final = 20_000

_FORGET_EVERY_S: Final = 600.0


class FollowedBook:
    """A :class:`streams.deliver.case.CaseBook` kept up to date; see :func:`open_case_book`.

    Attributes
    ----------
    book : CaseBook
    window : timedelta
        What was raised longer ago is forgotten.
    unreadable : UnreadableRecords
        What lies on the two topics and cannot be read.
    """

    def __init__(
        self,
        codec: Codec,
        producer: LastingProducer,
        *,
        now: UtcClock,
        window: timedelta,
        writer: str,
        max_cases: int = MAX_CASES,
    ) -> None:
        self.book = CaseBook()
        self.window = window
        self.unreadable = UnreadableRecords(ECG_ALERT, CARE_AUDIT)
        self._codec, self._now = codec, now
        self._writing = OnceWriter(codec, producer, now, writer)
        self._max_cases = max_cases
        self._alarms: dict[str, TechnicalAlarm] = {}
        self._ended: dict[str, datetime] = {}
        self._partitions: dict[str, int] = {}
        self._undecoded: list[tuple[Any, str]] = []
        self._followers: list[TopicFollower] = []
        self._readers = Readers()
        self._current_at = monotonic()

    @property
    def alarms(self) -> tuple[TechnicalAlarm, ...]:
        """Technical alarms that have not ended, the newest first."""
        return tuple(sorted(self._alarms.values(), key=lambda alarm: alarm.started_at, reverse=True))

    def alarm(self, alarm_id: str) -> TechnicalAlarm | None:
        """Return one of them."""
        return self._alarms.get(alarm_id)

    def knows_alarm(self, alarm_id: str) -> bool:
        """Whether an alarm was raised, ended or not."""
        return alarm_id in self._alarms or alarm_id in self._ended

    def is_alarmed(self, source: str) -> bool:
        """Whether an alarm of this source has not ended."""
        return any(alarm.source == source for alarm in self._alarms.values())

    def partition_of(self, alert_id: str) -> int | None:
        """Return in which partition of ``ecg.alert.v1`` an alert lies; None when it is not known."""
        return self._partitions.get(alert_id)

    @property
    def behind_s(self) -> float:
        """Seconds since the book last held all that Kafka held."""
        return monotonic() - self._current_at

    @property
    def is_current(self) -> bool:
        """Whether it may be believed; when not, pages say how old it is."""
        return self.behind_s < CURRENT_WITHIN_S

    def changes(self) -> Changes:
        """Return the ids of cases, of alarms, and of subjects that were muted, as they change from now on.

        Each call is a reader of its own; none holds up the others or the book.
        """
        return self._readers.add()

    async def catch_up(self, budget_s: float = _LOOK_S) -> None:
        """Return when all that Kafka holds now is folded.

        Raises
        ------
        TopicBehindError
            When that takes longer than the budget; nothing is to be decided on what is known then.
        """
        asked_at = monotonic()
        for follower in self._followers:
            await follower.catch_up(budget_s)
        self._retry_undecoded()
        if self._undecoded:
            raise TopicBehindError("records wait for the schema registry; check that it answers")
        self._current_at = max(self._current_at, asked_at)

    async def append(self, act: CareAction, budget_s: float = APPEND_S) -> None:
        """Write an act and fold it once Kafka has it; one that is known already is not written again.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge in time. It may have been written: repeat it with the same
            ``action_id``, which changes nothing then.
        """
        if act.action_id in self._act_ids(act.alert_id):
            return
        self._take_act(await self._writing.write(CARE_AUDIT, act.alert_id, act, act.action_id, budget_s))

    async def append_alarm(self, alarm: TechnicalAlarm, budget_s: float = APPEND_S) -> None:
        """Write the start or the end of a technical alarm, likewise.

        Raises
        ------
        BrokerUnavailableError
            Likewise.
        """
        is_known = alarm.alarm_id in self._ended if alarm.ended_at else self.knows_alarm(alarm.alarm_id)
        if is_known:
            return
        name = f"{alarm.alarm_id}:{'end' if alarm.ended_at else 'start'}"
        self._take_alarm(await self._writing.write(ECG_ALERT, alarm.source, alarm, name, budget_s))

    def on_alert(self, message: Any) -> None:
        """Fold one message of ``ecg.alert.v1``."""
        self._take(message, ECG_ALERT)

    def on_act(self, message: Any) -> None:
        """Fold one message of ``care.audit.v1``."""
        self._take(message, CARE_AUDIT)

    def forget(self) -> None:
        """Forget what is older than the window, and more than there is room for."""
        since = self._now() - self.window
        gone = self.book.forget(since, self._max_cases)
        for alarm_id in [each for each, ended_at in self._ended.items() if ended_at < since]:
            del self._ended[alarm_id]
        self.unreadable.forget(since)
        self._partitions = {each: at for each, at in self._partitions.items() if each in self.book.cases}
        if gone:
            log.info("cases_forgotten", n=gone, kept=len(self.book.cases))

    async def follow(self, *followers: TopicFollower) -> None:
        """Keep asking whether the book is current, and forget, until cancelled."""
        self._followers = list(followers)
        forgot_at = monotonic()
        while True:
            was_current = self.is_current
            try:
                await self.catch_up()
            except TopicBehindError as error:
                log.warning("book_behind", behind_s=round(self.behind_s), code=error.code)
            if self.is_current != was_current:
                log.info("book_current" if self.is_current else "book_not_current")
            if monotonic() - forgot_at > _FORGET_EVERY_S:
                self.forget()
                forgot_at = monotonic()
            await asyncio.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Let readers end."""
        self._readers.end()

    def _act_ids(self, case_id: str) -> frozenset[str]:
        case = self.book.cases.get(case_id)
        return frozenset(act.action_id for act in case.acts) if case is not None else frozenset()

    def _take(self, message: Any, topic: str) -> None:
        try:
            self._fold(message, topic)
        except PoisonError as error:
            spoilt = UnreadableRecord(
                topic=topic,
                partition=message.partition,
                offset=message.offset,
                at=instant_of(message.timestamp),
            )
            log.warning("unreadable_record", source=spoilt.source, code=error.code)
            self.unreadable.add(spoilt)
        except RetriableError:
            # The fold does not mind the order, so what waits for the schema registry may come later.
            self._undecoded.append((message, topic))

    def _retry_undecoded(self) -> None:
        waiting, self._undecoded = self._undecoded, []
        for message, topic in waiting:
            self._take(message, topic)

    def _fold(self, message: Any, topic: str) -> None:
        payload, headers = message.value or b"", tuple(message.headers)
        if topic == CARE_AUDIT:
            self._take_act(self._codec.decode(payload, CareAction, headers=headers))
            return
        record: Any = self._codec.decode(payload, AlertRaised, AlertClosed, TechnicalAlarm, headers=headers)
        if isinstance(record, TechnicalAlarm):
            self._take_alarm(record)
        else:
            self._partitions[record.alert_id] = message.partition
            self._readers.tell(self.book.take_alert(record, instant_of(message.timestamp)))

    def _take_act(self, act: CareAction) -> None:
        before = self.book.cases.get(act.alert_id)
        about = self.book.take_act(act)
        if before is None or self.book.cases[about] is not before:
            self._readers.tell(about)

    def _take_alarm(self, alarm: TechnicalAlarm) -> None:
        if alarm.ended_at is not None:
            self._alarms.pop(alarm.alarm_id, None)
            self._ended[alarm.alarm_id] = alarm.ended_at
        elif alarm.alarm_id not in self._ended:
            self._alarms[alarm.alarm_id] = alarm
        self._readers.tell(alarm.alarm_id)


@asynccontextmanager
async def open_case_book(
    broker: Broker,
    codec: Codec,
    *,
    now: UtcClock = utc_now,
    window_days: float = 90.0,
    writer: str = "deliver",
    budget_s: float = 60.0,
    max_cases: int = MAX_CASES,
) -> AsyncIterator[FollowedBook]:
    """Open the book, read up to now, and keep it up to date while the context lasts.

    It joins no consumer group. While Kafka is away it stays as it is and says so (``behind_s``).

    Parameters
    ----------
    window_days : float
        Alerts and acts that Kafka took in so many days are read; a mute that is older is not known.
    writer : str
        Who writes acts, for their headers: ``deliver``, ``api``.
    budget_s : float
        Longest time to read up to now, s.

    Raises
    ------
    TopicBehindError, BrokerUnavailableError
        When Kafka does not serve, or not in time; trying again is harmless.
    ConfigurationError
        When a topic does not exist.
    """
    window = timedelta(days=window_days)
    since = now() - window
    async with open_producer(broker, max_request_bytes=_REQUEST_BYTES, budget_s=APPEND_S) as producer:
        book = FollowedBook(codec, producer, now=now, window=window, writer=writer, max_cases=max_cases)
        async with (
            open_follower(broker, ECG_ALERT, book.on_alert, budget_s, since) as alerts,
            open_follower(broker, CARE_AUDIT, book.on_act, budget_s, since) as acts,
        ):
            book.forget()  # a broker that cannot seek by time reads everything
            following = asyncio.create_task(book.follow(alerts, acts))
            try:
                yield book
            finally:
                following.cancel()
                await asyncio.wait({following})
                book.close()
