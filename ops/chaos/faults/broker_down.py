"""Kafka goes down and comes back with what was on its disk."""

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.chaos.faults.outage import SHORT_S, lasts

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDown:
    """End the broker and start it again after a while.

    Attributes
    ----------
    orderly : bool
        With SIGTERM, as for an upgrade; otherwise with SIGKILL, as in a crash.
    """

    kind: str
    orderly: bool

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """End it, wait, start it."""
        if self.orderly:
            await asyncio.to_thread(cluster.broker.restart)
            return "broker restarted with SIGTERM"
        await asyncio.to_thread(cluster.broker.kill)
        try:
            seconds = await lasts(chance, *SHORT_S)
        finally:
            await asyncio.to_thread(cluster.broker.start)
        return f"SIGKILL broker, down for {seconds:g} s"
