"""The risk history against a real Redis: idempotent, ordered, bounded, small, and easy to lose."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis.asyncio
from assessments import START, assessed
from redis.crc import key_slot

from ops.services import start_redis
from streams.adapters.redis_history import RedisHistory, patient_keys
from streams.assembly import build_history
from streams.history import HistoryLimits, HistoryPoint, HistoryUnavailableError, history_point
from streams.settings import Settings

LIMITS = HistoryLimits(max_points=5, max_age=timedelta(days=30))


def now() -> datetime:
    return START + timedelta(days=1)


@pytest.fixture
async def history(redis_url: str) -> AsyncIterator[RedisHistory]:
    store = RedisHistory(redis_url, LIMITS, now)
    yield store
    await store.close()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


def points(*numbers: int, patient_id: str = "P-1") -> list[HistoryPoint]:
    return [history_point(assessed(n, 0.1, patient_id=patient_id)) for n in numbers]


async def test_upserting_twice_keeps_once(history: RedisHistory) -> None:
    await history.upsert(points(1, 2))
    await history.upsert(points(2, 1, 2))
    assert await history.read("P-1") == points(1, 2)


async def test_any_order_of_arrival_reads_in_order_of_acquisition(history: RedisHistory) -> None:
    for number in (3, 1, 4, 2):
        await history.upsert(points(number))
    assert await history.read("P-1") == points(1, 2, 3, 4)


async def test_two_bundles_of_one_ecg_are_two_points_and_each_is_replaced_by_its_own(
    history: RedisHistory,
) -> None:
    first, second = (history_point(assessed(1, p, bundle_version=b)) for p, b in ((0.1, "b1"), (0.2, "b2")))
    again = history_point(assessed(1, 0.3, bundle_version="b2"))
    await history.upsert([first, second, again])
    assert await history.read("P-1") == [first, again]


async def test_a_corrected_acquisition_time_moves_the_point(history: RedisHistory) -> None:
    await history.upsert(points(1, 2))
    moved = history_point(assessed(1, 0.1, hour=3))
    await history.upsert([moved])
    assert await history.read("P-1") == [*points(2), moved]


async def test_not_scored_stays_a_gap_with_its_reasons(history: RedisHistory) -> None:
    gap = history_point(assessed(1, None, reasons=("NOISE", "LEAD_OFF:V1")))
    await history.upsert([gap])
    assert await history.read("P-1") == [gap]


async def test_a_range_includes_its_start_and_excludes_its_end(history: RedisHistory) -> None:
    await history.upsert(points(1, 2, 3, 4))
    hour = timedelta(hours=1)
    assert await history.read("P-1", START + 2 * hour, START + 4 * hour) == points(2, 3)
    assert await history.read("P-1", since=START + 3 * hour) == points(3, 4)
    assert await history.read("P-1", until=START + 2 * hour) == points(1)


async def test_times_are_exact_to_the_microsecond(history: RedisHistory) -> None:
    exact = history_point(assessed(1, 0.1, hour=1 / 3_600_000_000))
    await history.upsert([exact])
    assert [point.acquired_at for point in await history.read("P-1")] == [START + timedelta(microseconds=1)]


async def test_of_too_many_points_the_newest_by_acquisition_stay(history: RedisHistory) -> None:
    await history.upsert(points(7, 1, 6, 2, 5, 3, 4))
    await history.upsert(points(0))
    assert await history.read("P-1") == points(3, 4, 5, 6, 7)


@pytest.mark.parametrize("archive_h", [0, 24 * 365 * 30])
async def test_points_older_than_the_newest_by_the_age_limit_are_dropped_and_nothing_is_left_behind(
    history: RedisHistory, server: redis.asyncio.Redis, archive_h: int
) -> None:
    limit_h = 1 - 24 * 30 - archive_h
    old = history_point(assessed(9, 0.1, hour=limit_h - 0.001))
    limit = history_point(assessed(8, 0.1, hour=limit_h))
    newest = history_point(assessed(1, 0.1, hour=1 - archive_h))
    await history.upsert([newest, old, limit])
    assert await history.read("P-1") == [limit, newest]
    bodies, times = patient_keys("P-1")
    assert await server.hlen(bodies) == await server.zcard(times) == 2


async def test_a_cart_whose_clock_runs_years_ahead_does_not_push_out_the_others(
    history: RedisHistory,
) -> None:
    ahead = history_point(assessed(9, 0.1, hour=24 * 365 * 50))
    beyond = history_point(assessed(8, 0.1, hour=-24 * 30))
    await history.upsert([*points(1, 2), ahead, beyond])
    assert await history.read("P-1") == [*points(1, 2), ahead]


async def test_a_patient_without_news_expires_with_the_age_limit(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await history.upsert(points(1))
    thirty_days_s = 30 * 24 * 3600
    for key in patient_keys("P-1"):
        assert thirty_days_s - 60 < await server.ttl(key) <= thirty_days_s


async def test_a_flush_between_two_batches_costs_only_what_was_there(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await history.upsert(points(1))
    await server.flushall()
    await server.script_flush()
    await history.upsert(points(2))
    assert await history.read("P-1") == points(2)
    await server.script_flush()
    assert await history.read("P-1") == points(2)
    await history.upsert(points(1))
    assert await history.read("P-1") == points(1, 2)


async def test_a_body_that_was_evicted_is_left_out(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await history.upsert(points(1))
    await server.delete(patient_keys("P-1")[0])
    assert await history.read("P-1") == []


async def test_a_batch_of_many_patients_is_one_round_trip(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    ward = [point for bed in range(50) for point in points(1, 2, patient_id=f"P-{bed}")]
    await history.upsert(ward)  # teaches the server the script
    before = (await server.info("stats"))["total_reads_processed"]
    await history.upsert(ward)
    after = (await server.info("stats"))["total_reads_processed"]
    # INFO reads once itself; 9 kB in one pipeline are read in at most a few pieces, never once a patient
    assert after - before <= 5
    assert await history.read("P-49") == points(1, 2, patient_id="P-49")


async def test_an_empty_batch_needs_no_redis() -> None:
    store = RedisHistory("redis://127.0.0.1:1/0", LIMITS, now)
    await store.upsert([])
    await store.close()


async def test_an_unknown_patient_has_an_empty_history(history: RedisHistory) -> None:
    assert await history.read("nobody") == []


@pytest.mark.parametrize("patient_id", ["P-1", "{}", "a{b}c", "Ü 7"])
def test_all_keys_of_a_patient_share_a_cluster_slot_and_show_no_identifier(patient_id: str) -> None:
    keys = patient_keys(patient_id)
    assert len({key_slot(key.encode()) for key in keys}) == 1
    assert not any(patient_id in key.replace("{", "<").replace("}", ">") for key in keys)


def test_patients_spread_over_cluster_slots() -> None:
    slots = {key_slot(patient_keys(f"P-{number}")[0].encode()) for number in range(100)}
    assert len(slots) > 90


async def test_nothing_sent_to_redis_holds_the_patient_identifier(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    async with server.monitor() as monitor:
        await history.upsert(points(1, patient_id="MRN-4711"))
        await history.read("MRN-4711")
        await server.echo("end of test")
        seen = ""
        while "end of test" not in seen:
            seen += str(await monitor.next_command())
    assert "EVALSHA" in seen.upper()
    assert "MRN-4711" not in seen


async def test_a_redis_that_is_not_there_is_said_in_one_line_and_may_be_tried_again() -> None:
    store = RedisHistory("redis://user:secret@127.0.0.1:1/0", LIMITS, now)
    with pytest.raises(HistoryUnavailableError) as refused:
        await store.upsert(points(1, patient_id="MRN-4711"))
    await store.close()
    text = str(refused.value)
    assert refused.value.retriable
    assert "127.0.0.1:1" in text
    assert not any(secret in text for secret in ("secret", "MRN-4711", "\n"))


async def test_after_redis_was_gone_and_came_back_empty_the_same_store_goes_on(services_root: Path) -> None:
    with start_redis(services_root) as running:
        store = RedisHistory(running.url, LIMITS, now)
        await store.upsert(points(1))
        running.kill()
        with pytest.raises(HistoryUnavailableError):
            await store.upsert(points(2))
        running.restart()
        await store.upsert(points(2))
        assert await store.read("P-1") == points(2)
        await store.close()


async def test_a_key_of_another_type_is_said_without_quoting_it(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await server.set(patient_keys("P-1")[0], "no hash")
    with pytest.raises(HistoryUnavailableError, match="check DIASTOLE_REDIS_URL"):
        await history.upsert(points(1))


@pytest.mark.parametrize("n_points", [20, 100, HistoryLimits().max_points])
async def test_a_point_takes_less_than_200_bytes_of_redis(
    redis_url: str, server: redis.asyncio.Redis, n_points: int
) -> None:
    store = RedisHistory(redis_url, HistoryLimits(max_points=n_points), now)
    scored = [history_point(assessed(n, 0.31, hour=-n, bundle_version="sim-2026.1")) for n in range(n_points)]
    every_tenth = [
        history_point(assessed(n, None, hour=-n, bundle_version="sim-2026.1")) for n in range(0, n_points, 10)
    ]
    await store.upsert(scored + every_tenth)
    assert len(await store.read("P-1")) == n_points
    used = [await server.memory_usage(key, samples=0) or 0 for key in patient_keys("P-1")]
    await store.close()
    assert 0 < sum(used) / n_points < 200


async def test_the_limits_of_the_settings_are_those_of_the_store(redis_url: str) -> None:
    store = build_history(Settings(redis_url=redis_url, history_max_points=3, history_max_age_days=2))
    try:
        await store.upsert([history_point(assessed(n, 0.5, hour=n)) for n in range(5)])
        assert [point.acquired_at for point in await store.read("P-1")] == [
            START + timedelta(hours=n) for n in (2, 3, 4)
        ]
        await store.upsert([history_point(assessed(9, 0.5, hour=4 + 48))])
        assert len(await store.read("P-1")) == 2
    finally:
        await store.close()
