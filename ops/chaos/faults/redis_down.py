"""Redis is gone: killed and back empty, emptied while it runs, or held so that it does not answer."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

import redis.asyncio

from ops.chaos.faults.outage import SHORT_S, lasts, stopped

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

#: Beyond the 5 s after which its client gives a call up.
_HELD_S: Final = (5.5, 9.0)


class RedisKill:
    """Kill Redis and start it again after a while; it keeps nothing."""

    kind: Final = "redis-kill"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Kill, wait, start."""
        await asyncio.to_thread(cluster.redis.kill)
        try:
            seconds = await lasts(chance, *SHORT_S)
        finally:
            await asyncio.to_thread(cluster.redis.start)
        return f"SIGKILL redis, down for {seconds:g} s, back empty"


class RedisFlush:
    """Empty Redis while everybody writes to it; the scripts it was taught go too."""

    kind: Final = "redis-flush"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """FLUSHALL and SCRIPT FLUSH."""
        async with redis.asyncio.Redis.from_url(cluster.redis_admin_url) as client:
            keys = await client.dbsize()
            await client.flushall()
            await client.script_flush()
        return f"redis flushed, {keys} keys"


class RedisHangs:
    """Hold Redis for longer than its clients wait."""

    kind: Final = "redis-hangs"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """SIGSTOP, wait, SIGCONT."""
        async with stopped(cluster.redis):
            seconds = await lasts(chance, *_HELD_S)
        return f"redis held for {seconds:g} s"
