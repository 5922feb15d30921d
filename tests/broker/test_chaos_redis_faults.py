"""What the harness does to a real Redis: refused or unanswered meanwhile, served again afterwards."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from ops.chaos.cluster import Cluster
from ops.chaos.faults import FAULTS
from ops.services import RunningRedis, start_redis


class Brief(random.Random):
    """Makes every outage last 0.3 s."""

    def uniform(self, a: float, b: float) -> float:
        return 0.3


@pytest.fixture(scope="module")
def server(services_root: Path) -> Iterator[RunningRedis]:
    """A Redis that nobody else needs."""
    with start_redis(services_root) as running:
        yield running


@pytest.fixture
async def client(server: RunningRedis) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(server.url, socket_timeout=0.1) as connected:
        await connected.flushall()
        yield connected


@asynccontextmanager
async def injected(kind: str, server: RunningRedis) -> AsyncIterator["asyncio.Task[str]"]:
    """Inject a fault beside the block, and see it end."""
    cluster = cast("Cluster", SimpleNamespace(redis=server, redis_admin_url=server.url))
    injecting = asyncio.create_task(FAULTS[kind].inject(cluster, Brief()))
    yield injecting
    assert "\n" not in await injecting


async def first_error(
    injecting: "asyncio.Task[str]", call: Callable[[], Awaitable[object]]
) -> RedisError | None:
    """Call again and again while the fault lasts, and return what was raised first."""
    while not injecting.done():
        try:
            await call()
        except RedisError as error:
            return error
    return None


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("redis-out-of-memory", "OOM|command not allowed when used memory"),
        ("redis-read-only", "READONLY|You can't write against a read only replica"),
        ("redis-no-replicas", "NOREPLICAS"),
    ],
)
async def test_writes_are_refused_reads_are_served_and_nothing_is_lost(
    server: RunningRedis, client: redis.asyncio.Redis, kind: str, code: str
) -> None:
    await client.set("kept", "1")
    async with injected(kind, server) as injecting:
        error = await first_error(injecting, lambda: client.set("other", "1"))
        assert isinstance(error, ResponseError)
        assert re.search(code, str(error))
        assert await client.get("kept") == b"1"
    await client.set("other", "2")
    assert await client.mget("kept", "other") == [b"1", b"2"]


async def test_a_flush_takes_keys_and_scripts(server: RunningRedis, client: redis.asyncio.Redis) -> None:
    digest = await client.script_load("return 1")
    await client.set("key", "1")
    async with injected("redis-flush", server):
        pass
    assert await client.dbsize() == 0
    assert await client.script_exists(digest) == [False]


@pytest.mark.parametrize(("kind", "kept"), [("redis-kill", 0), ("redis-hangs", 1)])
async def test_nobody_answers_until_it_is_over(
    server: RunningRedis, client: redis.asyncio.Redis, kind: str, kept: int
) -> None:
    await client.set("key", "1")
    async with injected(kind, server) as injecting:
        assert await first_error(injecting, client.ping) is not None
    assert await client.exists("key") == kept
