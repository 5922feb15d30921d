"""SIGKILL: a worker, or all workers of a stage, from one instruction to the next."""

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.chaos.faults.outage import one_worker

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster
    from ops.chaos.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigkill:
    """Kill one worker, or its whole stage, and start again what the supervisor has not yet.

    On return the processes run; they are ready some seconds later, as after any start.

    Attributes
    ----------
    whole_stage : bool
        Nobody is left then to take the partitions over.
    """

    kind: str
    whole_stage: bool

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Kill, and start again."""
        victim = one_worker(cluster, chance)
        victims = cluster.of_stage(victim.stage) if self.whole_stage else [victim]
        await asyncio.gather(*(asyncio.to_thread(_kill_and_start, worker) for worker in victims))
        return f"SIGKILL {', '.join(worker.name for worker in victims)}, started again"


def _kill_and_start(worker: "Worker") -> None:
    worker.kill()
    worker.start_if_down()
