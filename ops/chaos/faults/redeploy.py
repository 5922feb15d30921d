"""Every worker of a stage is stopped in good order and started again, one after the other: a deployment."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class Redeploy:
    """SIGTERM each worker of a stage in turn; each drains, leaves and comes back before the next goes."""

    kind: Final = "redeploy"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Restart one after the other, each awaited until it is ready."""
        stage = chance.choice(sorted({worker.stage for worker in cluster.workers.values()}))
        names = [worker.name for worker in cluster.of_stage(stage)]
        for name in names:
            await asyncio.to_thread(cluster.workers[name].restart)
            await cluster.until_ready([name])
        return f"{', '.join(names)} restarted with SIGTERM, one after the other"
