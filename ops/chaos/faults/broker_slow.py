"""Kafka answers, but slowly, or not at all for a while: a disk that is busy, a collector that pauses."""

import random
import time
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.outage import lasts, session_timeout_s, stopped

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

#: Held and let go in turn, s: every request takes some of them, none of them a whole session.
_HELD_S: Final = (0.3, 1.5)
_LET_GO_S: Final = (0.05, 0.3)

_LASTS_S: Final = (6.0, 12.0)


class BrokerSlow:
    """Hold the broker in pulses."""

    kind: Final = "broker-slow"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """SIGSTOP and SIGCONT in turn, for some seconds."""
        seconds = round(chance.uniform(*_LASTS_S), 1)
        ends_s, pulses = time.monotonic() + seconds, 0
        while time.monotonic() < ends_s:
            async with stopped(cluster.broker):
                await lasts(chance, *_HELD_S)
            await lasts(chance, *_LET_GO_S)
            pulses += 1
        return f"broker held {pulses} times within {seconds:g} s"


class BrokerHangs:
    """Hold the broker for longer than a session lasts: when it goes on, all members look late at once."""

    kind: Final = "broker-hangs"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Can be done everywhere."""
        return None

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """SIGSTOP, wait, SIGCONT."""
        session_s = session_timeout_s(cluster)
        async with stopped(cluster.broker):
            seconds = await lasts(chance, 1.1 * session_s, 1.6 * session_s)
        return f"broker held for {seconds:g} s (session {session_s:g} s)"
