"""Redis answers and refuses to write: no memory, a replica, a primary that has lost its replicas."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio

from ops.chaos.faults.outage import SHORT_S, lasts

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisRefuses:
    """Let Redis refuse every write for a while; what it holds it keeps.

    Attributes
    ----------
    begin, end : sequence of commands
        Sent to Redis when it begins and when it ends.
    """

    kind: str
    begin: Sequence[Command]
    end: Sequence[Command]

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Begin, wait, end."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(redis.asyncio.Redis.from_url(cluster.redis_admin_url))
            stack.push_async_callback(_send, client, self.end)
            await _send(client, self.begin)
            seconds = await lasts(chance, *SHORT_S)
        return f"{self.kind} for {seconds:g} s"


async def _send(client: Any, commands: Sequence[Command]) -> None:
    for command in commands:
        await client.execute_command(*command)


#: One byte of memory, and nothing may be evicted for it.
OUT_OF_MEMORY: Final = RedisRefuses(
    kind="redis-out-of-memory",
    begin=(("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("CONFIG", "SET", "maxmemory", "1")),
    end=(("CONFIG", "SET", "maxmemory", "0"),),
)

#: A replica whose primary cannot be reached serves what it has, and takes no writes. Port 1 answers nobody.
READ_ONLY: Final = RedisRefuses(
    kind="redis-read-only",
    begin=(("REPLICAOF", "127.0.0.1", "1"),),
    end=(("REPLICAOF", "NO", "ONE"),),
)

#: A primary told to write only while a replica listens, and none does.
NO_REPLICAS: Final = RedisRefuses(
    kind="redis-no-replicas",
    begin=(("CONFIG", "SET", "min-replicas-to-write", "1"),),
    end=(("CONFIG", "SET", "min-replicas-to-write", "0"),),
)
