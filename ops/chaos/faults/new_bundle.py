"""A new model bundle is deployed while ECGs flow."""

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class NewBundle:
    """Deploy the cluster's other bundle, one infer worker after the other."""

    kind: Final = "new-bundle"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why not: a cluster may have one bundle only."""
        return None if len(cluster.bundles) > 1 else "this cluster has no second bundle to deploy"

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Swap; for a while both bundles are in service."""
        return f"bundle {await cluster.bundle_swap()} deployed, worker by worker"
