"""A lost history comes back from the topic, whole, without disturbing anybody."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
import redis.asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from assessments import START, assessed, moving

from ops.services import RunningBroker
from ops.topics import TopicSpec, create_topics
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.wire import SCHEMA_ID_HEADER
from streams.adapters.redis_history import RedisHistory
from streams.adapters.redis_wards import RedisWards
from streams.history import HistoryLimits, HistoryPoint, history_point
from streams.rebuild import RebuildCounts, RebuildStalledError, rebuild_history

CODEC = Codec(FileRegistry())
PARTITIONS = 3
PATIENTS = [f"P-{number}" for number in range(10)]


@pytest.fixture
async def history(redis_url: str) -> AsyncIterator[RedisHistory]:
    store = RedisHistory(redis_url, HistoryLimits(), lambda: START + timedelta(days=2))
    yield store
    await store.close()


@pytest.fixture
async def topic(broker: RunningBroker) -> str:
    """Name of a topic of this test's own."""
    spec = TopicSpec(name=f"risk-{uuid.uuid4().hex[:8]}", partitions=PARTITIONS, replication=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await create_topics(admin, [spec])
    finally:
        await admin.close()
    return spec.name


async def publish(
    broker: RunningBroker,
    topic: str,
    values: Sequence[tuple[str, bytes]],
    headers: Sequence[tuple[str, bytes]] = (),
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        for key, value in values:
            await producer.send(topic, value, key=key.encode(), headers=list(headers))
        await producer.flush()
    finally:
        await producer.stop()


def ward() -> list[tuple[str, HistoryPoint, bytes]]:
    """Twenty ECGs of each patient, every third not scored: patient, point, Kafka value."""
    risks = [
        assessed(
            n,
            None if n % 3 == 0 else 0.25,
            hour=n + 0.001 * bed,
            patient_id=patient,
            motion=moving(9.0 - n / 4) if n % 3 == 1 else None,
        )
        for bed, patient in enumerate(PATIENTS)
        for n in range(20)
    ]
    return [(risk.patient_id, history_point(risk), CODEC.encode(risk)) for risk in risks]


async def test_a_wiped_history_is_the_same_after_a_rebuild(
    broker: RunningBroker, topic: str, history: RedisHistory, redis_url: str
) -> None:
    recorded = ward()
    await publish(broker, topic, [(patient, value) for patient, _, value in recorded])
    await history.upsert([point for _, point, _ in recorded])
    before = {patient: await history.read(patient) for patient in PATIENTS}
    async with redis.asyncio.Redis.from_url(redis_url) as server:
        await server.flushall()
        await server.script_flush()
    assert await history.read(PATIENTS[0]) == []

    progress: list[RebuildCounts] = []
    counts = await rebuild_history(broker.bootstrap, CODEC, history, topic=topic, on_progress=progress.append)

    assert counts == RebuildCounts(due=200, read=200, kept=200, undecodable=0)
    assert progress[-1] == counts
    assert {patient: await history.read(patient) for patient in PATIENTS} == before
    assert all(len(points) == 20 for points in before.values())
    assert [point.e_prime_cm_s for point in before["P-0"][:5]] == [None, 8.75, None, None, 8.0]


async def test_wards_come_back_with_the_histories(
    broker: RunningBroker, topic: str, history: RedisHistory, redis_url: str
) -> None:
    def now() -> datetime:
        return START + timedelta(days=2)

    wards = RedisWards(redis_url, now=now)
    await publish(broker, topic, [(patient, value) for patient, _, value in ward()])
    for _ in range(2):
        await rebuild_history(broker.bootstrap, CODEC, history, topic=topic)
        assert await wards.wards() == ["W1"]
        rows = await wards.ward("W1", "age")
        assert [row.patient_id for row in rows] == PATIENTS[::-1]
        assert {(row.probability, row.change, row.last.probability) for row in rows} == {(0.25, 0.0, 0.25)}
    await wards.close()


async def test_rebuilding_twice_and_from_duplicates_changes_nothing(
    broker: RunningBroker, topic: str, history: RedisHistory
) -> None:
    values = [(patient, value) for patient, _, value in ward()]
    await publish(broker, topic, values + values[:50])
    await rebuild_history(broker.bootstrap, CODEC, history, topic=topic)
    once = await history.read(PATIENTS[3])
    counts = await rebuild_history(broker.bootstrap, CODEC, history, topic=topic)
    assert counts.kept == 250
    assert await history.read(PATIENTS[3]) == once
    assert len(once) == 20


async def test_what_is_no_assessment_is_counted_and_does_not_stop_the_rebuild(
    broker: RunningBroker, topic: str, history: RedisHistory
) -> None:
    values = [(patient, value) for patient, _, value in ward()]
    garbage = [("P-0", b"\x00garbage"), ("P-1", b""), ("P-2", values[0][1][:-3])]
    await publish(broker, topic, garbage + values)
    counts = await rebuild_history(broker.bootstrap, CODEC, history, topic=topic)
    assert (counts.read, counts.kept, counts.undecodable) == (203, 200, 3)


async def test_an_empty_topic_is_rebuilt_at_once(
    broker: RunningBroker, topic: str, history: RedisHistory
) -> None:
    assert await rebuild_history(broker.bootstrap, CODEC, history, topic=topic) == RebuildCounts()


async def test_no_broker_is_said_in_one_line(history: RedisHistory) -> None:
    with pytest.raises(RebuildStalledError, match=r"cannot be read from 127\.0\.0\.1:1 .*; check the broker"):
        await rebuild_history("127.0.0.1:1", CODEC, history)


async def test_assessments_that_name_their_schema_in_a_header_are_kept(
    broker: RunningBroker, topic: str, history: RedisHistory
) -> None:
    risk = assessed(1, 0.25)
    value = CODEC.encode(risk)
    prefix, body = value[:5], value[5:]
    await publish(broker, topic, [(risk.patient_id, body)], [(SCHEMA_ID_HEADER, prefix)])
    assert await rebuild_history(broker.bootstrap, CODEC, history, topic=topic) == RebuildCounts(
        due=1, read=1, kept=1
    )
    assert await history.read(risk.patient_id) == [history_point(risk)]
