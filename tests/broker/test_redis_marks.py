"""Marks of a filled history on a real Redis: void with what they stand for, and one turn at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio
from redis.crc import key_slot

from ops.services import start_redis
from streams.adapters.redis_history import RedisHistory
from streams.adapters.redis_marks import MARKS, RedisMarks
from streams.history import HistoryUnavailableError

SLOTS = 16384


@pytest.fixture
async def history(redis_url: str) -> AsyncIterator[RedisHistory]:
    store = RedisHistory(redis_url)
    yield store
    await store.close()


@pytest.fixture
def marks(history: RedisHistory) -> RedisMarks:
    return history.marks


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


async def test_set_only_from_finish_to_the_next_wipe(marks: RedisMarks, server: redis.asyncio.Redis) -> None:
    assert not await marks.are_set()
    assert await marks.begin("a")
    assert not await marks.are_set()
    assert await marks.finish("a")
    assert await marks.are_set()
    await server.flushall()
    await server.script_flush()
    assert not await marks.are_set()


@pytest.mark.parametrize("lost", [0, len(MARKS) - 1])
async def test_one_lost_mark_is_enough(marks: RedisMarks, server: redis.asyncio.Redis, lost: int) -> None:
    assert await marks.begin("a")
    assert await marks.finish("a")
    await server.delete(MARKS[lost])
    assert not await marks.are_set()


async def test_a_wipe_while_filling_is_seen_at_the_end(
    marks: RedisMarks, server: redis.asyncio.Redis
) -> None:
    assert await marks.begin("a")
    await server.flushall()
    assert not await marks.finish("a")
    assert not await marks.are_set()


async def test_one_turn_at_a_time(marks: RedisMarks) -> None:
    assert await marks.begin("a")
    assert not await marks.begin("b")
    assert await marks.begin("a")  # the same worker again, after trouble
    assert not await marks.finish("b")
    assert await marks.finish("a")


async def test_a_turn_that_is_not_renewed_passes_on(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    marks = history.marks
    assert await marks.begin("a")
    await server.pexpire("diastole:history:filling", 1)
    while await server.exists("diastole:history:filling"):
        pass
    await marks.renew("a")  # too late: it does not take the turn back
    assert await marks.begin("b")
    assert not await marks.finish("a")
    assert await marks.finish("b")


async def test_a_turn_ends_by_itself_and_renewing_prolongs_it(
    marks: RedisMarks, server: redis.asyncio.Redis
) -> None:
    assert await marks.begin("a")
    full_ms = await server.pttl("diastole:history:filling")
    assert 0 < full_ms <= 10_000
    await server.pexpire("diastole:history:filling", 500)
    await marks.renew("a")
    assert await server.pttl("diastole:history:filling") > 5_000


async def test_who_comes_too_late_fills_nothing(marks: RedisMarks) -> None:
    assert await marks.begin("a")
    assert await marks.finish("a")
    assert not await marks.begin("b")
    assert await marks.are_set()


async def test_every_part_of_a_cluster_has_a_mark() -> None:
    slots = sorted(key_slot(name.encode()) for name in MARKS)
    gaps = [after - before for before, after in zip([-1, *slots], [*slots, SLOTS], strict=True)]
    assert max(gaps) <= 2 * SLOTS // len(MARKS)


async def test_a_redis_that_is_away_is_unavailable() -> None:
    store = RedisHistory("redis://127.0.0.1:1/0")
    with pytest.raises(HistoryUnavailableError):
        await store.marks.are_set()
    await store.close()


@pytest.mark.parametrize("while_filling", [False, True])
async def test_a_redis_back_from_its_disk_is_not_believed(services_root: Path, while_filling: bool) -> None:
    """Its newest points may be missing, although its marks are there."""
    with start_redis(services_root, persistent=True) as server:
        store = RedisHistory(server.url)
        assert await store.marks.begin("a")
        if not while_filling:
            assert await store.marks.finish("a")
            assert await store.marks.are_set()
        server.kill()
        server.start()
        async with redis.asyncio.Redis.from_url(server.url) as client:
            assert await client.exists(*MARKS) == len(MARKS)
        assert not await store.marks.are_set()
        if while_filling:
            assert not await store.marks.finish("a")
        await store.close()
