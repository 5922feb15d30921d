"""The schema registry is gone for a while, also for a worker that starts meanwhile and knows no schema."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.outage import SHORT_S, lasts, one_worker

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class RegistryDown:
    """Kill the registry, restart a worker without it, and bring it back."""

    kind: Final = "registry-down"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why not: the workers may know their schemas from files."""
        return None if cluster.registry is not None else "this cluster's workers use no schema registry"

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Kill it, kill a worker, wait, start it."""
        registry, worker = cluster.registry, one_worker(cluster, chance)
        if registry is None:
            return "no registry to kill"
        await asyncio.to_thread(registry.kill)
        try:
            await asyncio.to_thread(worker.kill)
            await asyncio.to_thread(worker.start_if_down)
            seconds = await lasts(chance, *SHORT_S)
        finally:
            await asyncio.to_thread(registry.start)
        return f"SIGKILL registry, down for {seconds:g} s; {worker.name} started without it"
