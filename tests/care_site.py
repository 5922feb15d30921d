"""A site of real parts in which alerts live: its Kafka, the receiver of its notices, a book of its own."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer
from notices import alert_of
from receivers import HttpReceiver, Reply, Request, receiving

from ops.services.process import Server
from ops.services.waiting import becomes_true
from ops.topics import apply_topics
from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction, CareVerb
from schemas.codec import Codec
from schemas.identity import action_id
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.adapters.kafka_follower import open_follower
from streams.deliver.book import FollowedBook, open_case_book
from streams.deliver.case import AlertCase
from streams.deliver.life import LifeState
from streams.stage import utc_now
from streams.topology import CARE_AUDIT, ECG_ALERT

CODEC = Codec(FileRegistry())
DEADLINE_S = 60.0
MEDIUM, HIGH = 0.6, 0.9

Answer = Callable[[Request], Reply | None]


class Site:
    """What a test does at the site, and what it can see of it.

    Attributes
    ----------
    had_at : float
        When Kafka had acknowledged what was last written, on the monotonic clock.
    """

    def __init__(self, bootstrap: str, receiver: HttpReceiver, book: FollowedBook) -> None:
        self.bootstrap, self.receiver, self.book = bootstrap, receiver, book
        self.raised: list[str] = []
        self.had_at = 0.0
        self.answer: Answer = lambda request: Reply()

    def told(self) -> list[str]:
        """Idempotency keys of all notices that arrived, repeats too."""
        return [request.headers["idempotency-key"] for request in self.receiver.requests]

    def case(self, alert_id: str) -> AlertCase:
        return self.book.book.cases[alert_id]

    def verbs(self, alert_id: str) -> Counter[CareVerb]:
        case = self.book.book.cases.get(alert_id)
        return Counter(act.verb for act in case.acts) if case is not None else Counter()

    async def raise_alert(self, probability: float) -> str:
        number = len(self.raised) + 1
        alert_id = str(uuid.uuid4())
        alert = alert_of(
            number,
            alert_id=alert_id,
            patient_id=f"P{number}",
            probability=probability,
            probability_low=None,
            probability_high=None,
            acquired_at=utc_now(),
        )
        await self.write(alert)
        self.raised.append(alert_id)
        return alert_id

    async def write(self, record: AlertRaised | AlertClosed | RiskAssessed, topic: str = ECG_ALERT) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            await producer.send_and_wait(topic, CODEC.encode(record), key=record.patient_id.encode())
            self.had_at = monotonic()

    async def acknowledge(self, alert_id: str) -> None:
        verb = CareVerb.ACKNOWLEDGED
        await self.book.append(
            CareAction(
                action_id=action_id(verb=verb, alert_id=alert_id, actor="nurse"),
                alert_id=alert_id,
                verb=verb,
                actor="nurse",
                acted_at=utc_now(),
                origin="inbox",
            )
        )

    def at_the_moment(self, holds: Callable[[], bool], then: Callable[[], None]) -> "asyncio.Task[None]":
        """Do something as soon as Kafka shows something; await it to know that it was done."""

        async def follow() -> None:
            changes = self.book.changes()
            async with asyncio.timeout(DEADLINE_S):
                while not holds():
                    await changes.all()
            then()

        return asyncio.create_task(follow())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the book or of what was received."""
        assert await asyncio.to_thread(becomes_true, holds, DEADLINE_S), self.told()

    async def until_delivered(self, alert_id: str) -> None:
        await self.until(lambda: self.verbs(alert_id)[CareVerb.DELIVERED] > 0)

    async def acts_written(self) -> list[CareAction]:
        """All acts as Kafka holds them, repeats too."""
        return await self._written(CARE_AUDIT, CareAction)

    async def alarms_written(self) -> list[TechnicalAlarm]:
        """All starts and ends of technical alarms as Kafka holds them, repeats too."""
        kinds = (AlertRaised, AlertClosed, TechnicalAlarm)
        return [each for each in await self._written(ECG_ALERT, *kinds) if isinstance(each, TechnicalAlarm)]

    async def _written(self, topic: str, *kinds: type[Any]) -> list[Any]:
        written: list[Any] = []

        def take(message: Any) -> None:
            written.append(CODEC.decode(message.value, *kinds, headers=tuple(message.headers)))

        async with open_follower(self.bootstrap, topic, take):
            return written

    async def assert_rebuilt(self) -> None:
        """Read both topics again from their start: the same cases come of them."""
        await self.book.catch_up()
        async with open_case_book(self.bootstrap, CODEC, writer="again") as again:
            assert {each: _life(again, each) for each in again.book.cases} == {
                each: _life(self.book, each) for each in self.book.book.cases
            }
            assert again.alarms == self.book.alarms


def _life(book: FollowedBook, alert_id: str) -> tuple[LifeState, datetime, int, tuple[CareAction, ...]]:
    case = book.book.cases[alert_id]
    return case.state, case.raised_at, case.level, case.acts


@asynccontextmanager
async def site_on(bootstrap: str) -> AsyncIterator[Site]:
    await apply_topics(bootstrap, 4)
    async with (
        receiving(lambda request: site.answer(request)) as receiver,
        open_case_book(bootstrap, CODEC, writer="test") as book,
    ):
        site = Site(bootstrap, receiver, book)
        yield site


async def start(*servers: Server) -> None:
    """Start all of them at once and wait until they serve."""
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))


def crash(*servers: Server) -> None:
    """SIGKILL, at this very moment."""
    for server in servers:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)


async def crashed(*servers: Server) -> None:
    """Wait for the end of what was killed, or kill it now."""
    await asyncio.gather(*(asyncio.to_thread(server.kill) for server in servers))


def crashing_once(server: Server, reply: Reply | None, place: str) -> Answer:
    """Kill a server when a notice arrives there for the first time; ``reply`` may still reach the wire.

    Parameters
    ----------
    place : str
        End of the notice's path, or of its idempotency key.
    """
    has_crashed = False

    def answer(request: Request) -> Reply | None:
        nonlocal has_crashed
        is_there = request.path.endswith(place) or request.headers["idempotency-key"].endswith(place)
        if has_crashed or not is_there:
            return Reply()
        has_crashed = True
        crash(server)
        return reply

    return answer
