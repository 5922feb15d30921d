"""A third worker joins a stage, works, and leaves: partitions move twice while records are in flight."""

import random
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.outage import SHORT_S, lasts

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class Rebalance:
    """Let one more worker join a stage, and leave again."""

    kind: Final = "rebalance"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Join, work for a while, drain and leave."""
        stage = chance.choice(sorted({worker.stage for worker in cluster.workers.values()}))
        async with cluster.spare_workers(stage) as names:
            await cluster.until_ready(names)
            seconds = await lasts(chance, *SHORT_S)
        return f"{', '.join(names)} joined, left after {seconds:g} s"
