"""Alerts through real ``deliver`` processes that are killed at each step: none is silently unanswered."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer
from deliver_process import deliver_server, write_routes
from notices import alert_of, closed_of
from receivers import HttpReceiver, Reply, Request, receiving

from ops.services import RunningBroker
from ops.services.process import Server
from ops.services.waiting import becomes_true
from ops.topics import apply_topics
from schemas.alert import AlertClosed, AlertRaised
from schemas.audit import CareAction, CareVerb
from schemas.codec import Codec
from schemas.identity import action_id
from schemas.registry import FileRegistry
from streams.deliver.book import FollowedBook, open_case_book
from streams.deliver.case import AlertCase
from streams.deliver.life import UNANSWERED, LifeState
from streams.stage import utc_now
from streams.topology import ECG_ALERT

CODEC = Codec(FileRegistry())
DEADLINE_S = 60.0
MEDIUM, HIGH = 0.6, 0.9


class Site:
    """A site's Kafka, the receiver of its notices, and a book of the test's own."""

    def __init__(self, bootstrap: str, receiver: HttpReceiver, book: FollowedBook) -> None:
        self.bootstrap, self.receiver, self.book = bootstrap, receiver, book
        self.raised: list[str] = []
        self.answer: Callable[[Request], Reply | None] = lambda request: Reply()

    def told(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.receiver.requests]

    def case(self, alert_id: str) -> AlertCase:
        return self.book.book.cases[alert_id]

    def verbs(self, alert_id: str) -> Counter[CareVerb]:
        case = self.book.book.cases.get(alert_id)
        return Counter(act.verb for act in case.acts) if case is not None else Counter()

    async def raise_alert(self, probability: float) -> str:
        number = len(self.raised) + 1
        alert_id = str(uuid.uuid4())
        now = utc_now()
        alert = alert_of(
            number,
            alert_id=alert_id,
            patient_id=f"P{number}",
            probability=probability,
            probability_low=None,
            probability_high=None,
            acquired_at=now,
        )
        await self.write(alert)
        self.raised.append(alert_id)
        return alert_id

    async def write(self, record: AlertRaised | AlertClosed) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            await producer.send_and_wait(ECG_ALERT, CODEC.encode(record), key=record.patient_id.encode())

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

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the book or of what was received."""
        assert await asyncio.to_thread(becomes_true, holds, DEADLINE_S), self.told()

    async def until_delivered(self, alert_id: str) -> None:
        await self.until(lambda: self.verbs(alert_id)[CareVerb.DELIVERED] > 0)


@asynccontextmanager
async def site_on(bootstrap: str) -> AsyncIterator[Site]:
    await apply_topics(bootstrap, 4)
    async with (
        receiving(lambda request: site.answer(request)) as receiver,
        open_case_book(bootstrap, CODEC, writer="test") as book,
    ):
        site = Site(bootstrap, receiver, book)
        yield site


async def start(server: Server) -> None:
    await asyncio.to_thread(server.start)


def crash(server: Server) -> None:
    """SIGKILL, at this very moment."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def crashed(server: Server) -> None:
    await asyncio.to_thread(server.kill)


def crashing_once(server: Server, reply: Reply | None, place: str) -> Callable[[Request], Reply | None]:
    """Kill the sender when a notice arrives there for the first time; ``reply`` may still reach the wire."""
    has_crashed = False

    def answer(request: Request) -> Reply | None:
        nonlocal has_crashed
        if has_crashed or not request.path.endswith(place):
            return Reply()
        has_crashed = True
        crash(server)
        return reply

    return answer


async def test_killed_at_each_step_no_alert_is_unanswered_and_none_is_told_twice_without_its_key(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    async with site_on(own_apache_broker.bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        one = deliver_server(site.bootstrap, routes, tmp_path / "one")
        two = deliver_server(site.bootstrap, routes, tmp_path / "two")
        try:
            # While a notice is on its way, and one more raised while nobody is there to send it.
            site.answer = crashing_once(one, None, "/ward")
            await start(one)
            during = await site.raise_alert(MEDIUM)
            await site.until(lambda: len(site.receiver.requests) == 1)
            await crashed(one)
            assert site.verbs(during)[CareVerb.DELIVERED] == 0
            before = await site.raise_alert(MEDIUM)
            await start(one)
            await site.until_delivered(during)
            await site.until_delivered(before)
            assert Counter(site.told()) == {f"{during}:ward:0": 2, f"{before}:ward:0": 1}

            # After the act: it is not sent again. Taken by the receiver, not noted: again under its key.
            crash(one)
            await crashed(one)
            site.answer = crashing_once(one, Reply(), "/ward")
            unnoted = await site.raise_alert(MEDIUM)
            await start(one)
            await site.until(lambda: f"{unnoted}:ward:0" in site.told())
            await crashed(one)

            # Between the escalation and its notice.
            site.answer = crashing_once(one, None, "/senior")
            await start(one)
            await site.until_delivered(unnoted)
            escalated = await site.raise_alert(HIGH)
            await site.until(lambda: f"{escalated}:senior:1" in site.told())
            await crashed(one)
            assert site.verbs(escalated)[CareVerb.ESCALATED] == 1
            site.answer = lambda request: Reply()

            # Two share the alerts; one is killed and the other takes over what it held.
            await asyncio.gather(start(one), start(two))
            await site.until(lambda: ("senior", 1) in site.case(escalated).delivered)
            shared = [await site.raise_alert(MEDIUM) for _ in range(8)]
            await asyncio.gather(*map(site.until_delivered, shared))
            await crashed(two)
            orphaned = [await site.raise_alert(MEDIUM) for _ in range(8)]
            await asyncio.gather(*map(site.until_delivered, orphaned))

            for alert_id in site.raised:
                await site.acknowledge(alert_id)
            await asyncio.to_thread(one.stop)
        finally:
            one.stop()
            two.stop()

        sent = Counter(site.told())
        assert {key.split(":")[0] for key in sent} == set(site.raised), "no alert was silently unanswered"
        twice = {during: "ward:0", unnoted: "ward:0", escalated: "senior:1"}
        assert {key for key, n in sent.items() if n > 1} <= {f"{each}:{at}" for each, at in twice.items()}
        for alert_id in site.raised:
            assert site.case(alert_id).state is LifeState.ACKNOWLEDGED
            levels = 2 if alert_id == escalated else 1
            assert site.verbs(alert_id)[CareVerb.DELIVERED] == levels
        await assert_rebuilt(site)


async def assert_rebuilt(site: Site) -> None:
    """Read both topics again from their start: the same cases come of them."""
    await site.book.catch_up()
    async with open_case_book(site.bootstrap, CODEC, writer="again") as again:
        assert {each: life(again, each) for each in again.book.cases} == {
            each: life(site.book, each) for each in site.book.book.cases
        }
        assert again.alarms == site.book.alarms


def life(book: FollowedBook, alert_id: str) -> tuple[LifeState, datetime, int, tuple[CareAction, ...]]:
    case = book.book.cases[alert_id]
    return case.state, case.raised_at, case.level, case.acts


async def test_the_ladder_climbs_until_somebody_answers_and_failing_channels_are_an_alarm(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    async with site_on(embedded_broker.bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        with deliver_server(site.bootstrap, routes, tmp_path / "one") as server:
            await start(server)
            nobody, answered = await site.raise_alert(HIGH), await site.raise_alert(HIGH)
            await site.until_delivered(answered)
            await site.acknowledge(answered)
            await site.until(lambda: ("senior", 1) in site.case(nobody).delivered)
            assert site.verbs(answered)[CareVerb.ESCALATED] == 0
            assert not any(key.startswith(f"{answered}:senior") for key in site.told())

            site.answer = lambda request: Reply(status=503)
            undelivered = await site.raise_alert(MEDIUM)
            await site.until(lambda: len(site.book.alarms) == 1)
            (alarm,) = site.book.alarms
            assert undelivered in alarm.source
            assert site.verbs(undelivered)[CareVerb.DELIVERY_FAILED] >= 2
            site.answer = lambda request: Reply()
            await site.until_delivered(undelivered)
            await site.until(lambda: not site.book.alarms)

            over = await site.raise_alert(HIGH)
            await site.until_delivered(over)
            await site.write(closed_of(site.case(over).alert))
            await site.until(lambda: site.case(over).state not in UNANSWERED)
            await assert_rebuilt(site)
        twice = [key for key, n in Counter(site.told()).items() if n > 1]
        assert all(key.startswith(undelivered) for key in twice)
