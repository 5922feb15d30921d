"""How long trouble lasts, and signals that make it: what several faults have in common."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from ops.services.process import Server

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster
    from ops.chaos.worker import Worker

#: Longer than a first pause before trying again (0.2 s) doubled some times, short enough for many a campaign.
SHORT_S: Final = (2.0, 8.0)

#: Kafka's, where the cluster's workers are given none.
_SESSION_TIMEOUT_S: Final = 15.0


async def lasts(chance: random.Random, least_s: float, most_s: float) -> float:
    """Let the trouble last for a random time between both; returns it, s, to a tenth."""
    seconds = round(chance.uniform(least_s, most_s), 1)
    await asyncio.sleep(seconds)
    return seconds


def session_timeout_s(cluster: "Cluster") -> float:
    """After how long without a word a worker of this cluster loses its partitions, s."""
    return float(cluster.environment.get("DIASTOLE_SESSION_TIMEOUT_S", _SESSION_TIMEOUT_S))


def one_worker(cluster: "Cluster", chance: random.Random) -> "Worker":
    """Choose one of the workers of the moment."""
    return cluster.workers[chance.choice(sorted(cluster.workers))]


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """Hold a process with SIGSTOP, as a paused machine does, and let it go on at the end.

    A process that is gone is left alone: it cannot be held.
    """
    pid = server.pid
    _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pid, signal.SIGCONT)


def _signal(pid: int | None, how: signal.Signals) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, how)  # every server leads a group of its own
