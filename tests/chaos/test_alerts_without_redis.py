"""Redis is away, then empty: alerts keep coming all the while, and the history is back within a minute."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import redis.asyncio
from aiokafka import AIOKafkaProducer
from assessments import START, assessed

from ops.services import RunningBroker, start_redis
from ops.topic_reader import TopicReader, open_topic_reader
from ops.topics import apply_topics
from ops.worker_processes import running_workers
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.patient_link import PatientLinked
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.adapters.redis_history import RedisHistory
from streams.topology import ECG_ALERT, ECG_RISK, PATIENT_LINK

CODEC = Codec(FileRegistry())
PATIENTS = 100

#: What must hold: from Redis's return, or its emptying, to a history that lacks nothing.
WITHIN_S = 60

Histories = dict[str, list[str]]


def calm(number: int) -> RiskAssessed:
    """Assess a patient of the time before the outage."""
    risk: RiskAssessed = assessed(number, 0.1, hour=number / 100, patient_id=f"P-{number % PATIENTS}")
    return risk


def alarming(number: int) -> RiskAssessed:
    """Assess a patient who is first seen during the outage, at high risk: one alert each."""
    risk: RiskAssessed = assessed(number, 0.9, hour=number / 100, patient_id=f"Q-{number % PATIENTS}")
    return risk


def merged() -> PatientLinked:
    """Tell that two of the patients are one; no link stage runs, so only a refill can bring it to Redis."""
    return PatientLinked(
        prior_patient_id="P-0", surviving_patient_id="P-1", linked_at=START, origin="adt-a40", actor="engine"
    )


def expected(risks: Iterable[RiskAssessed]) -> Histories:
    histories: Histories = defaultdict(list)
    for risk in risks:
        histories["P-1" if risk.patient_id == "P-0" else risk.patient_id].append(risk.ecg_id)
    return {patient: sorted(ecgs) for patient, ecgs in histories.items()}


@pytest.fixture
async def producer(own_apache_broker: RunningBroker) -> AsyncIterator[AIOKafkaProducer]:
    await apply_topics(own_apache_broker.bootstrap, partitions=4)
    running = AIOKafkaProducer(bootstrap_servers=own_apache_broker.bootstrap)
    await running.start()
    yield running
    await running.stop()


async def publish(producer: AIOKafkaProducer, topic: str, key: str, record: object) -> None:
    await producer.send(topic, CODEC.encode(record), key=key.encode())


async def publish_all(
    producer: AIOKafkaProducer, make: Callable[[int], RiskAssessed], numbers: range
) -> list[RiskAssessed]:
    risks = [make(number) for number in numbers]
    for risk in risks:
        await publish(producer, ECG_RISK, risk.patient_id, risk)
    await producer.flush()
    return risks


async def until_alerted(reader: TopicReader, risks: Sequence[RiskAssessed]) -> None:
    """Return when each of these patients has its alert."""
    missing = {risk.ecg_id for risk in risks}
    while missing:
        raised = [seen.record for seen in await reader.poll(1.0) if isinstance(seen.record, AlertRaised)]
        missing -= {alert.ecg_id for alert in raised}


async def until_history_is(url: str, histories: Histories) -> None:
    """Return when every history is complete and in order, and the merge is known."""
    history = RedisHistory(url, now=lambda: START + timedelta(days=2))
    try:
        while True:
            if await incomplete(history, histories) is None:
                break
            await asyncio.sleep(0.2)  # between two looks at the condition
        assert await history.identifiers("P-0") == ("P-1", "P-0")
    finally:
        await history.close()


async def incomplete(history: RedisHistory, histories: Histories) -> str | None:
    """Name a patient whose history is not what it must be."""
    for patient, ecgs in histories.items():
        if [point.ecg_id for point in await history.read(patient)] != ecgs:
            return patient
    return None


async def test_alerts_do_not_wait_for_redis_and_the_history_returns_by_itself(
    own_apache_broker: RunningBroker, producer: AIOKafkaProducer, services_root: Path
) -> None:
    bootstrap = own_apache_broker.bootstrap
    await publish(producer, PATIENT_LINK, "P-0", merged())
    await producer.flush()
    with start_redis(services_root) as server:
        environment = {
            "DIASTOLE_BROKER": bootstrap,
            "DIASTOLE_REDIS_URL": server.url,
            "DIASTOLE_SESSION_TIMEOUT_S": "6",
        }
        with (
            running_workers(("history", "alert"), services_root, environment),
            running_workers(("history",), services_root, environment),
        ):
            async with open_topic_reader(bootstrap, [ECG_ALERT], CODEC, from_beginning=True) as alerts:
                before = await publish_all(producer, calm, range(1000))
                async with asyncio.timeout(WITHIN_S):
                    await until_history_is(server.url, expected(before))

                await asyncio.to_thread(server.kill)
                during = await publish_all(producer, alarming, range(1000, 1000 + PATIENTS))
                async with asyncio.timeout(30):
                    await until_alerted(alerts, during)
                assert not server.running

                await asyncio.to_thread(server.start)
                async with asyncio.timeout(WITHIN_S):
                    await until_history_is(server.url, expected([*before, *during]))

                async with redis.asyncio.Redis.from_url(server.url) as client:
                    await client.flushall()
                async with asyncio.timeout(WITHIN_S):
                    await until_history_is(server.url, expected([*before, *during]))
