"""A worker's disk is full: whatever it writes to a file, its log above all, fails."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.file_limit import files_limited, obstacle_to_limits
from ops.chaos.faults.outage import SHORT_S, lasts, one_worker

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class WorkerDiskFull:
    """Let no file of one worker grow for a while."""

    kind: Final = "worker-disk-full"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why not: only Linux limits a running process."""
        return obstacle_to_limits()

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Limit, wait, lift, start it if it ended."""
        worker = one_worker(cluster, chance)
        pid = worker.pid
        if pid is None:
            return f"disk of {worker.name} left alone: it is down"
        with files_limited(pid, 0):
            seconds = await lasts(chance, *SHORT_S)
        outcome = "it went on" if worker.pid == pid else "it ended and was started again"
        await asyncio.to_thread(worker.start_if_down)
        return f"disk of {worker.name} full for {seconds:g} s, {outcome}"
