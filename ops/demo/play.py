"""The play: services, workers, what is published, and reading along until everything has ended."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer

from ops.demo.cast import garbage, read_real, real_files, ward_rounds
from ops.demo.view import View, is_simulated
from ops.ledger import LEDGER_TOPICS, Ledger
from ops.services import BrokerKind, start_broker, start_redis
from ops.topic_reader import TopicReader, open_topic_reader
from ops.topics import apply_topics
from ops.worker_processes import WORKER_ENVIRONMENT, running_workers
from schemas.codec import Codec
from streams.adapters.redis_history import RedisHistory
from streams.feeds.publish import EcgPublisher, open_publisher
from streams.history import HistoryPoint
from streams.stage import utc_now
from streams.topology import ECG_RECORDED, ROUTES

_POLL_S: Final = 0.1
#: After the last ECG ended, how long to wait for what follows from it: alerts, and dead letters of alert.
_SETTLE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How large the demo is.

    Attributes
    ----------
    beds, rounds : int
        Simulated patients, and ECGs of each.
    every : timedelta
        Simulated time between two rounds.
    ecgs_per_s : float
        Pace of publishing.
    ends_within_s : float
        How long after publishing everything may take to end.
    shared_ecg : Path or None
        Folder of more real recordings.
    keep : bool
        Go on showing what arrives until interrupted.
    """

    beds: int = 14
    rounds: int = 22
    every: timedelta = timedelta(days=2)
    ecgs_per_s: float = 14.0
    ends_within_s: float = 40.0
    partitions: int = 4
    broker: BrokerKind = "embedded"
    shared_ecg: Path | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoOutcome:
    """What came of it; ``history`` is one alerted patient's, as Redis has it."""

    ledger: Ledger
    bootstrap: str
    history: list[HistoryPoint] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the counts close and at least one alert was raised."""
        return self.ledger.closes and bool(self.ledger.alerts)


async def play_demo(plan: DemoPlan, home: Path, codec: Codec, view: View) -> DemoOutcome:
    """Play the demo on servers of its own, which end with it.

    Raises
    ------
    ServiceError
        When a server or a worker does not start.
    """
    with ExitStack() as stack:
        view.say(f"data folder: {home}")
        broker = stack.enter_context(start_broker(plan.broker, home))
        redis = stack.enter_context(start_redis(home))
        view.say(f"broker ({plan.broker}) at {broker.bootstrap}, Redis at {redis.url}")
        applied = await apply_topics(broker.bootstrap, plan.partitions)
        view.say(f"{len(applied.created)} topics of {plan.partitions} partitions made")
        environment = {
            **WORKER_ENVIRONMENT,
            "DIASTOLE_BROKER": broker.bootstrap,
            "DIASTOLE_REDIS_URL": redis.url,
            "DIASTOLE_HOME": str(home),
            "DIASTOLE_PARTITIONS": str(plan.partitions),
        }
        await asyncio.to_thread(
            stack.enter_context, running_workers(tuple(ROUTES), home, environment, _says_ready(view))
        )
        ledger = await _publish_and_watch(plan, broker.bootstrap, codec, view)
        history = await _history_of_an_alerted_patient(ledger, redis.url)
        return DemoOutcome(ledger=ledger, bootstrap=broker.bootstrap, history=history)


def _says_ready(view: View) -> Callable[[str], None]:
    started_s = time.monotonic()
    return lambda stage: view.say(f"worker {stage} ready after {time.monotonic() - started_s:.1f} s")


async def _publish_and_watch(plan: DemoPlan, bootstrap: str, codec: Codec, view: View) -> Ledger:
    ledger = Ledger()
    reading = open_topic_reader(bootstrap, LEDGER_TOPICS, codec, from_beginning=True)
    async with (
        reading as reader,
        _raw_producer(bootstrap) as raw,
        open_publisher(bootstrap, codec) as publisher,
    ):
        publishing = asyncio.create_task(_publish(plan, publisher, raw, codec, view))
        while not publishing.done():
            await _look(reader, ledger, view)
        await publishing
        published = publishing.result()
        deadline_s = time.monotonic() + plan.ends_within_s
        while (ledger.messages_in < published or ledger.open_count) and time.monotonic() < deadline_s:
            await _look(reader, ledger, view)
        settled_s = time.monotonic() + _SETTLE_S
        while time.monotonic() < settled_s:
            await _look(reader, ledger, view)
        if plan.keep:
            await _keep_looking(reader, ledger, view, bootstrap)
    return ledger


async def _keep_looking(reader: TopicReader, ledger: Ledger, view: View, bootstrap: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    view.say(f"the play is over; still running until Ctrl-C. Publish more: DIASTOLE_BROKER={bootstrap}")
    while not stop.is_set():
        await _look(reader, ledger, view)


async def _look(reader: TopicReader, ledger: Ledger, view: View) -> None:
    for seen in await reader.poll(_POLL_S):
        if ledger.enter(seen):
            view.saw(seen, ledger)
    view.tick(ledger)


async def _publish(
    plan: DemoPlan, publisher: EcgPublisher, raw: AIOKafkaProducer, codec: Codec, view: View
) -> int:
    """Publish the whole cast and return how many messages that were."""
    count = 0
    for file in real_files(plan.shared_ecg):
        await publisher.publish(await asyncio.to_thread(read_real, file))
        view.say(f"published the real recording {file.path.name}")
        count += 1
    rounds = ward_rounds(plan.beds, plan.rounds, plan.every, utc_now())
    first = next(rounds)
    for piece in garbage(codec.encode(first)):
        await raw.send_and_wait(ECG_RECORDED, value=piece.payload, key=b"garbage")
        view.say(f"published {piece.what}, which must end as a dead letter")
        count += 1
    view.say(
        f"publishing {plan.beds} simulated patients × {plan.rounds} ECGs, {plan.every.days} days apart …"
    )
    await publisher.publish(first)  # once more among the others below: a sender that was not sure
    begun_s = time.monotonic()
    for number, ecg in enumerate(itertools.chain([first], rounds)):
        await asyncio.sleep(max(0.0, begun_s + number / plan.ecgs_per_s - time.monotonic()))
        await publisher.publish(ecg)
        count += 1
    return count + 1


@asynccontextmanager
async def _raw_producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _history_of_an_alerted_patient(ledger: Ledger, redis_url: str) -> list[HistoryPoint]:
    """Return the history of a simulated patient who was seen to rise, as Redis has it."""
    simulated = [alert for alert in ledger.alerts.values() if is_simulated(alert.patient_id)]
    risen = [alert for alert in simulated if not alert.first_seen] or simulated
    if not risen:
        return []
    history = RedisHistory(redis_url)
    try:
        return await history.read(risen[0].patient_id)
    finally:
        await history.close()
