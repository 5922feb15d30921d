"""Histories of merged identifiers against a real Redis: read as one, parted again, and made anew."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
import redis.asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from assessments import START, assessed
from redis.crc import key_slot

from ops.services import RunningBroker
from ops.topics import TopicSpec, create_topics
from schemas.codec import Codec
from schemas.patient_link import PatientLinked
from schemas.registry import FileRegistry
from streams.adapters.redis_history import RedisHistory
from streams.adapters.redis_links import LINK_KEYS, MOST_IDENTIFIERS
from streams.history import HistoryLimits, HistoryPoint, history_point
from streams.link import encode_link
from streams.rebuild import RebuildCounts, rebuild_links

CODEC = Codec(FileRegistry())


def now() -> datetime:
    return START + timedelta(days=2)


@pytest.fixture
async def history(redis_url: str) -> AsyncIterator[RedisHistory]:
    store = RedisHistory(redis_url, HistoryLimits(), now)
    yield store
    await store.close()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


def told(prior: str, surviving: str, minute: int = 0, *, undone: bool = False) -> PatientLinked:
    return PatientLinked(
        prior_patient_id=prior,
        surviving_patient_id=surviving,
        linked_at=START + timedelta(minutes=minute),
        origin="adt-a40",
        actor="engine",
        is_undone=undone,
    )


async def link(history: RedisHistory, *records: PatientLinked) -> None:
    await history.link([encode_link(record) for record in records])


def point(number: int, patient_id: str, hour: float | None = None) -> HistoryPoint:
    return history_point(assessed(number, 0.1, hour=hour, patient_id=patient_id))


async def test_a_survivor_has_the_points_of_all_merged_into_it_in_order(history: RedisHistory) -> None:
    points = [point(1, "A"), point(2, "B"), point(3, "C"), point(4, "A"), point(5, "B")]
    await history.upsert(points)
    await link(history, told("A", "B", 1), told("C", "B", 2))
    assert await history.read("B") == points
    assert (await history.identifiers("B"))[0] == "B"


@pytest.mark.parametrize("asked", ["A", "B", "C", "D"])
async def test_whichever_identifier_of_a_chain_is_asked_for_the_whole_patient_is_shown(
    history: RedisHistory, asked: str
) -> None:
    points = [point(n, name) for n, name in enumerate("ABCD")]
    await history.upsert(points)
    await link(history, told("B", "C", 2), told("A", "B", 1), told("C", "D", 3))
    assert await history.read(asked) == points
    assert await history.identifiers(asked) == ("D", "C", "B", "A")


async def test_a_range_is_taken_of_the_united_history(history: RedisHistory) -> None:
    points = [point(n, "AB"[n % 2]) for n in range(6)]
    await history.upsert(points)
    await link(history, told("A", "B"))
    hour = timedelta(hours=1)
    assert await history.read("A", START + 1 * hour, START + 4 * hour) == points[1:4]


async def test_an_ecg_under_both_identifiers_is_one_point_the_survivors(history: RedisHistory) -> None:
    await history.upsert([point(1, "A", hour=3), point(1, "B", hour=4), point(2, "A", hour=1)])
    await link(history, told("A", "B"))
    assert await history.read("A") == [point(2, "A", hour=1), point(1, "B", hour=4)]


async def test_an_undone_merge_parts_them_again(history: RedisHistory) -> None:
    await history.upsert([point(1, "A"), point(2, "B")])
    await link(history, told("A", "B", 1), told("A", "B", 2, undone=True))
    assert await history.read("A") == [point(1, "A")]
    assert await history.read("B") == [point(2, "B")]
    assert await history.identifiers("B") == ("B",)


async def test_a_merge_elsewhere_takes_the_identifier_along(history: RedisHistory) -> None:
    await history.upsert([point(1, "A"), point(2, "B"), point(3, "C")])
    await link(history, told("A", "B", 1), told("A", "C", 2))
    assert await history.read("B") == [point(2, "B")]
    assert await history.read("C") == [point(1, "A"), point(3, "C")]


async def test_order_and_repeats_of_links_do_not_matter(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    records = [told("A", "B", 1), told("A", "B", 2, undone=True), told("A", "C", 3), told("B", "C", 4)]
    for order in itertools.permutations(records):
        await server.flushall()
        await link(history, *order, *order[:2])
        assert set(await history.identifiers("A")) == {"A", "B", "C"}
        assert (await history.identifiers("A"))[0] == "C"


async def test_a_circle_told_by_two_gateways_is_one_patient_and_ends(history: RedisHistory) -> None:
    await history.upsert([point(n, name) for n, name in enumerate("ABC")])
    await link(history, told("A", "B", 1), told("B", "C", 2), told("C", "A", 3))
    async with asyncio.timeout(5):
        for asked in "ABC":
            assert set(await history.identifiers(asked)) == {"A", "B", "C"}
            assert len(await history.read(asked)) == 3


async def test_a_patient_with_absurdly_many_identifiers_is_cut_and_still_served(
    history: RedisHistory,
) -> None:
    await link(history, *(told(f"P-{n}", "Z") for n in range(2 * MOST_IDENTIFIERS)))
    assert len(await history.identifiers("Z")) == MOST_IDENTIFIERS
    assert (await history.identifiers("P-7"))[0] == "Z"


async def test_redis_holds_no_identifier_in_clear(history: RedisHistory, server: redis.asyncio.Redis) -> None:
    await link(history, told("patient-7", "patient-8"))
    up, down = LINK_KEYS
    kept = [await server.hgetall(up), await server.zrange(down, 0, -1)]
    assert len(kept[1]) == 1
    assert "patient" not in repr(kept)
    assert len({key_slot(key.encode()) for key in LINK_KEYS}) == 1


async def test_a_history_is_read_in_two_round_trips_however_long_the_chain(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await link(history, *(told(f"P-{n}", f"P-{n + 1}", n) for n in range(20)))
    await history.read("P-0")  # teaches the scripts
    async with server.monitor() as monitor:
        read = await history.read("P-0")
        await server.ping()
        scripts = 0
        async for seen in monitor.listen():
            scripts += str(seen["command"]).upper().startswith("EVALSHA") and seen["client_type"] != "lua"
            if str(seen["command"]).upper().startswith("PING"):
                break
    assert read == []
    assert scripts == 1 + 21  # who they are, then all of them in one pipeline


async def test_lost_links_come_back_from_the_topic(
    broker: RunningBroker, history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    topic = await a_topic(broker)
    records = [told("A", "B", 1), told("B", "C", 2), told("X", "C", 3), told("X", "C", 4, undone=True)]
    await publish(broker, topic, [(r.prior_patient_id, CODEC.encode(r)) for r in records] + [("Y", b"\0")])
    await link(history, *records)
    before = await history.identifiers("A")
    await server.flushall()
    for _ in range(2):
        counts = await rebuild_links(broker.bootstrap, CODEC, history, topic=topic)
        assert counts == RebuildCounts(due=counts.due, read=5, kept=4, undecodable=1)
        assert await history.identifiers("A") == before == ("C", "B", "A")


async def a_topic(broker: RunningBroker) -> str:
    spec = TopicSpec(name=f"link-{uuid.uuid4().hex[:8]}", partitions=3, replication=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await create_topics(admin, [spec])
    finally:
        await admin.close()
    return spec.name


async def publish(broker: RunningBroker, topic: str, values: Sequence[tuple[str, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for key, value in values:
            await producer.send(topic, value, key=key.encode())
        await producer.flush()
