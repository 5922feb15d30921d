"""Kafka's disk is full: an append is written in part, the log folder goes offline, the broker ends."""

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.file_limit import files_limited, obstacle_to_limits
from ops.chaos.faults.outage import SHORT_S, lasts

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

#: A record batch has a head of 61 bytes: the limit falls into it or into what follows.
_MOST_ROOM_BYTES: Final = 200


class BrokerDiskFull:
    """Let the broker's files grow no more for a while; then give room, and start it if it gave up."""

    kind: Final = "broker-disk-full"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why not: only Linux limits a running process."""
        return obstacle_to_limits()

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Limit, wait, lift, start."""
        pid = cluster.broker.pid
        if pid is None:
            return "broker's disk left alone: it is down"
        limit = _largest_segment_bytes(cluster.broker.folder) + chance.randrange(_MOST_ROOM_BYTES)
        try:
            with files_limited(pid, limit):
                seconds = await lasts(chance, *SHORT_S)
        finally:
            ended = not cluster.broker.running
            if ended:
                # Ends what is left of it first.
                await asyncio.to_thread(cluster.broker.restart)
        outcome = "it ended and was started again" if ended else "it went on"
        return f"broker's disk full for {seconds:g} s, {outcome}"


def _largest_segment_bytes(folder: Path) -> int:
    """Size of the largest log segment: the next append to it is cut short, those to smaller ones go on."""
    return max((path.stat().st_size for path in (folder / "data").rglob("*.log")), default=0)
