"""Starting all that the harness plays on, and stopping it, whatever happens in between."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from models.bundle import DEFAULT_BUNDLE, WEIGHT_FILES, load_bundle, write_bundle
from ops.chaos.cluster import COPIES, STAGES, Cluster
from ops.chaos.proxy import Proxy
from ops.chaos.registry_server import registry_server
from ops.services import ProxiedListener, start_broker, start_redis
from ops.services.ports import LOOPBACK, free_port
from ops.topics import apply_topics
from ops.worker_processes import WORKER_ENVIRONMENT

#: As every topic of a site on one small cluster.
PARTITIONS: Final = 4

#: Kafka's own minimum: what a killed worker held moves on as soon as it can.
SESSION_TIMEOUT_S: Final = 6.0

#: A worker that has work and does none for so long leaves; a fault lasts 12 s at most.
_STALL_S: Final = 60.0


@asynccontextmanager
async def running_cluster(home: Path, *, copies: int = COPIES) -> AsyncIterator[Cluster]:
    """Start Kafka, Redis, registry, proxies and ``copies`` workers of each stage; ready when entered.

    Parameters
    ----------
    home : Path
        ``DIASTOLE_HOME``; everything lies below it.

    Raises
    ------
    ServiceError, NotReadyError
        When a part does not come up; what had been started is stopped.
    """
    async with AsyncExitStack() as stack:
        cluster = await _parts(stack, home)
        await apply_topics(cluster.bootstrap, partitions=PARTITIONS)
        for stage in STAGES:
            for _ in range(copies):
                cluster.add_worker(stage)
        stack.push_async_callback(_stop_workers, cluster)
        for worker in cluster.workers.values():
            await asyncio.to_thread(worker.start)
        await cluster.until_ready()
        supervisor = asyncio.create_task(cluster.supervise())
        stack.push_async_callback(_end, supervisor)
        yield cluster


async def _parts(stack: AsyncExitStack, home: Path) -> Cluster:
    home = await asyncio.to_thread(home.resolve)
    inner, outer = free_port(), free_port()
    listener = ProxiedListener(port=inner, advertised_port=outer)
    broker = await asyncio.to_thread(start_broker, "apache", home, proxied=listener)
    stack.callback(broker.stop)
    redis = await asyncio.to_thread(start_redis, home)
    stack.callback(redis.stop)
    registry = registry_server(home)
    stack.callback(registry.stop)
    await asyncio.to_thread(registry.start)
    kafka_proxy = stack.enter_context(Proxy(inner, outer))
    redis_proxy = stack.enter_context(Proxy(redis.port))
    bundles = (DEFAULT_BUNDLE, second_bundle(home / "chaos"))
    environment = {
        **WORKER_ENVIRONMENT,
        "DIASTOLE_BROKER": f"{LOOPBACK}:{outer}",
        "DIASTOLE_REDIS_URL": f"redis://{LOOPBACK}:{redis_proxy.port}/0",
        "DIASTOLE_REGISTRY_URL": f"http://{LOOPBACK}:{registry.port}",
        "DIASTOLE_BUNDLE": str(bundles[0]),
        "DIASTOLE_PARTITIONS": str(PARTITIONS),
        "DIASTOLE_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        "DIASTOLE_WATCHDOG_STALL_S": str(_STALL_S),
        "DIASTOLE_DEVICE": "cpu",
        "DIASTOLE_LOG_FORMAT": "json",
    }
    return Cluster(
        home=home,
        broker=broker,
        redis=redis,
        registry=registry,
        kafka_proxy=kafka_proxy,
        redis_proxy=redis_proxy,
        environment=environment,
        bundles=bundles,
    )


def second_bundle(folder: Path) -> Path:
    """Make the default bundle once more under another version: what is deployed while ECGs flow.

    The weights are the same, so that it does not matter which of the two scores an ECG.
    """
    bundle = load_bundle(DEFAULT_BUNDLE)
    version = f"{bundle.version}-again"
    target = folder / version
    files = {name: (DEFAULT_BUNDLE / name).read_bytes() for name in WEIGHT_FILES}
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    write_bundle(target, replace(bundle.manifest, bundle_version=version), files)
    return target


async def _stop_workers(cluster: Cluster) -> None:
    """Stop all at once: one after the other they would rebalance each time."""
    with contextlib.ExitStack() as stack:
        for worker in cluster.workers.values():
            stack.enter_context(worker.kept_down())
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in cluster.workers.values()))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
