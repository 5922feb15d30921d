"""SIGSTOP: a worker sleeps past its session and wakes up as a zombie whose partitions are another's."""

import random
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.outage import lasts, one_worker, session_timeout_s, stopped

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

#: Times the session timeout: the group has moved the partitions, and another worker has begun on them.
_LEAST, _MOST = 1.3, 1.8


class Sigstop:
    """Hold one worker for longer than its session lasts, then let it go on where it was."""

    kind: Final = "sigstop"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Stop, wait, continue."""
        worker, session_s = one_worker(cluster, chance), session_timeout_s(cluster)
        async with stopped(worker):
            seconds = await lasts(chance, _LEAST * session_s, _MOST * session_s)
        return f"SIGSTOP {worker.name} for {seconds:g} s (session {session_s:g} s), then SIGCONT"
