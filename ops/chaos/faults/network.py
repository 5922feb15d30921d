"""The network between the workers and Kafka or Redis: cut, silent or slow."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ops.chaos.faults.outage import SHORT_S, lasts, session_timeout_s

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster
    from ops.chaos.proxy import Proxy

Part = Literal["kafka", "redis"]

#: Each way. A line between hospitals has some 20 ms; beyond 1 s few things work anywhere.
_DELAYS_MS: Final = (50, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCut:
    """Reset every connection of the workers to a part, and refuse new ones for a while."""

    kind: str
    part: Part

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Cut, wait, heal."""
        proxy = _proxy(cluster, self.part)
        await proxy.cut()
        try:
            seconds = await lasts(chance, *SHORT_S)
        finally:
            await proxy.heal()
        return f"network to {self.part} cut for {seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStall:
    """Let nothing through in either direction for longer than a session lasts, then deliver what was sent.

    Nobody is told that it is gone: connections stand, as behind a switch that lost its power.
    """

    kind: str
    part: Part

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Hold back, wait, heal."""
        proxy, session_s = _proxy(cluster, self.part), session_timeout_s(cluster)
        await proxy.stall()
        try:
            seconds = await lasts(chance, session_s, 1.5 * session_s)
        finally:
            await proxy.heal()
        return f"network to {self.part} silent for {seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDelay:
    """Let every byte take its time for a while."""

    kind: str
    part: Part

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Slow down, wait, heal."""
        proxy, delay_ms = _proxy(cluster, self.part), chance.randint(*_DELAYS_MS)
        proxy.set_delay_ms(delay_ms)
        try:
            seconds = await lasts(chance, *SHORT_S)
        finally:
            proxy.set_delay_ms(0)
        return f"network to {self.part} slower by {delay_ms} ms each way for {seconds:g} s"


def _proxy(cluster: "Cluster", part: Part) -> "Proxy":
    return cluster.kafka_proxy if part == "kafka" else cluster.redis_proxy
