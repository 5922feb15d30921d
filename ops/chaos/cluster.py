"""What the chaos harness plays on: Kafka, Redis, a registry, proxies in front, two workers of every stage.

::

    harness ──────────────────────────────▶ Apache Kafka ◀── kafka_proxy ◀─┐
       └── redis_admin_url ───────────────▶ Redis        ◀── redis_proxy ◀─┤ featurize-0, featurize-1,
                                            registry     ◀─────────────────┘ infer-0, infer-1, history-0 …

The workers reach Kafka and Redis through the proxies alone; the harness goes past them, so that what cuts the
workers off does not blind whoever watches.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from ops.chaos.proxy import Proxy
from ops.chaos.worker import Worker
from ops.services import RunningBroker, RunningRedis
from ops.services.ports import LOOPBACK
from ops.services.process import Server
from schemas.errors import RetriableError
from streams.topology import ROUTES

log = structlog.get_logger(__name__)

#: The stages, in the order of the flow, and how many workers each has.
STAGES: Final = tuple(ROUTES)
COPIES: Final = 2

#: How often the supervisor looks and readiness is asked for: far below the 6 s of a session.
_LOOK_EVERY_S: Final = 0.25


class NotReadyError(RetriableError):
    """Workers did not become ready in time; their logs say why."""

    code = "CHAOS_NOT_READY"


@dataclass(slots=True, kw_only=True, eq=False)
class Cluster:
    """Everything that runs, for faults to break and the campaign to watch.

    Attributes
    ----------
    home : Path
        Below it lie the folders of all servers, with their logs.
    broker, redis, registry : Server
        Kafka keeps its data over ``kill`` and ``start``; Redis keeps none.
    kafka_proxy, redis_proxy : Proxy
        What the workers connect to.
    workers : dict of str to Worker
        ``featurize-0`` … ``alert-1``, and spare ones while they run.
    environment : dict
        Settings that every worker is started with.
    bundles : tuple of Path
        The bundle the workers begin with, and one with the same weights under another version.
    """

    home: Path
    broker: RunningBroker
    redis: RunningRedis
    registry: Server | None = None
    kafka_proxy: Proxy
    redis_proxy: Proxy
    environment: dict[str, str]
    bundles: tuple[Path, ...] = ()
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Kafka, past the proxy."""
        return self.broker.bootstrap

    @property
    def redis_url(self) -> str:
        """Redis as the workers reach it, through the proxy."""
        return f"redis://{LOOPBACK}:{self.redis_proxy.port}/0"

    @property
    def redis_admin_url(self) -> str:
        """Redis, past the proxy."""
        return self.redis.url

    def of_stage(self, stage: str) -> list[Worker]:
        """Workers of one stage."""
        return [worker for worker in self.workers.values() if worker.stage == stage]

    def add_worker(self, stage: str) -> Worker:
        """Describe one more worker of a stage; it is not started."""
        number = next(n for n in range(len(self.workers) + 1) if f"{stage}-{n}" not in self.workers)
        name = f"{stage}-{number}"
        worker = Worker(stage, name, self.home, dict(self.environment))
        self.workers[name] = worker
        return worker

    @asynccontextmanager
    async def spare_workers(self, stage: str, count: int = 1) -> AsyncIterator[list[str]]:
        """Let further workers join a stage, and leave it properly at the end: two rebalances.

        Yields their names once they run; wait for :meth:`until_ready` to see them have partitions.
        """
        spares = [self.add_worker(stage) for _ in range(count)]
        try:
            for spare in spares:
                await asyncio.to_thread(spare.start)
            yield [spare.name for spare in spares]
        finally:
            for spare in spares:
                with spare.kept_down():
                    await asyncio.to_thread(spare.stop)
                del self.workers[spare.name]

    async def until_ready(self, names: Iterable[str] | None = None, within_s: float = 120.0) -> None:
        """Return when the workers, all by default, have their partitions and wait for nothing.

        Raises
        ------
        NotReadyError
            When some are not, after so many seconds.
        """
        deadline_s = time.monotonic() + within_s
        awaited = list(self.workers if names is None else names)
        while left := [name for name in awaited if not await asyncio.to_thread(self._is_ready, name)]:
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"{', '.join(left)}: not ready in {within_s:g} s; see {self.home}/runs")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def bundle_swap(self) -> str:
        """Deploy the other bundle: each infer worker is stopped properly and started with it, one by one.

        Returns its folder's name. Its weights are the same, so the risks are, under another version.
        """
        current = self.of_stage("infer")[0].environment.get("DIASTOLE_BUNDLE")
        other = next(bundle for bundle in reversed(self.bundles) if str(bundle) != current)
        self.environment["DIASTOLE_BUNDLE"] = str(other)
        for worker in self.of_stage("infer"):
            worker.environment["DIASTOLE_BUNDLE"] = str(other)
            await asyncio.to_thread(worker.restart)
            await self.until_ready([worker.name])
        return other.name

    async def supervise(self) -> None:
        """Start whatever worker has ended, until cancelled: what systemd or an orchestrator does."""
        while True:
            for worker in list(self.workers.values()):
                if await asyncio.to_thread(worker.start_if_down):
                    log.info("worker_started_again", worker=worker.name)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_ready(self, name: str) -> bool:
        worker = self.workers.get(name)
        return worker is None or worker.ready
