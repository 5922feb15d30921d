"""Every process of a site on servers of its own, without a supervisor: what ends stays ended, and is seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from ops.chaos.sampling import Process, look_at
from ops.chaos.starting import PARTITIONS, SESSION_TIMEOUT_S
from ops.services import RunningBroker, start_broker, start_redis
from ops.services.ports import free_port
from ops.services.process import Server
from ops.topics import apply_topics, create_topics, topic_specs
from ops.worker_processes import WORKER_ENVIRONMENT, own_command
from streams.access import client_options
from streams.topology import ALL_ROUTES, SILENT_ROUTE

#: Stages that run; a bundle on trial would be infer once more.
STAGES: Final = tuple(stage for stage in ALL_ROUTES if stage != SILENT_ROUTE.stage)

#: Everything that reads a topic as long as it runs.
PARTS: Final = (*STAGES, "deliver", "api", "watch")

#: Ready only while every stage is well; it need not be to begin.
_NOT_AWAITED: Final = frozenset({"watch"})


@dataclass(slots=True, kw_only=True, eq=False)
class Site:
    """What runs.

    Attributes
    ----------
    parts : dict of str to Server
        By name, of :data:`PARTS`.
    lives : dict of str to int
        Process id that each began with.
    api_port : int
        Where pages and API answer.
    """

    broker: RunningBroker
    api_port: int = field(default_factory=free_port)
    parts: dict[str, Server] = field(default_factory=dict)
    lives: dict[str, int | None] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Address of Kafka."""
        return self.broker.bootstrap

    def ended(self) -> list[str]:
        """Name the parts that do not run any more, or in another process than they began in."""
        return [name for name, server in self.parts.items() if server.pid != self.lives[name]]

    def processes(self) -> dict[str, Process]:
        """Look at all that run."""
        looked = {name: look_at(name, server.pid) for name, server in self.parts.items()}
        return {name: process for name, process in looked.items() if process is not None}


@asynccontextmanager
async def running_site(
    home: Path,
    parts: Sequence[str] = PARTS,
    before: Callable[[str], Awaitable[None]] | None = None,
) -> AsyncIterator[Site]:
    """Start Apache Kafka, Redis and the parts; ready when entered, all stopped when left.

    Parameters
    ----------
    before : callable, optional
        Awaited with Kafka's address once its topics are there and before any part runs.

    Raises
    ------
    ServiceError
        When something does not come up, with the tail of its log.
    """
    home = await asyncio.to_thread(home.resolve)
    async with AsyncExitStack() as stack:
        broker = await asyncio.to_thread(start_broker, "apache", home)
        stack.callback(broker.stop)
        redis = await asyncio.to_thread(start_redis, home)
        stack.callback(redis.stop)
        await _make_topics(broker.bootstrap)
        if before is not None:
            await before(broker.bootstrap)
        environment = {
            **WORKER_ENVIRONMENT,
            "DIASTOLE_BROKER": broker.bootstrap,
            "DIASTOLE_REDIS_URL": redis.url,
            "DIASTOLE_PARTITIONS": str(PARTITIONS),
            "DIASTOLE_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "DIASTOLE_DEVICE": "cpu",
            "DIASTOLE_LOG_FORMAT": "json",
        }
        site = Site(broker=broker)
        site.parts = {name: _part(name, home, environment, site.api_port) for name in parts}
        stack.push_async_callback(_stop, site)
        await _start(site)
        site.lives = {name: server.pid for name, server in site.parts.items()}
        yield site


async def _make_topics(bootstrap: str) -> None:
    """Make the site's topics, but let them forget nothing.

    Kafka counts the age of a record from the time its publisher wrote into it, and deletes what is older than
    the retention within minutes, read or not: of a message dated to 1970 nobody could tell how it ended.
    """
    specs = topic_specs(PARTITIONS)
    kept = [
        replace(spec, configuration={**spec.configuration, "retention.ms": "-1"})
        for spec in specs
        if "retention.ms" in spec.configuration
    ]
    admin = AIOKafkaAdminClient(**client_options(bootstrap))
    try:
        await admin.start()
        await create_topics(admin, kept)
    finally:
        await admin.close()
    await apply_topics(bootstrap, partitions=PARTITIONS)


def _part(name: str, home: Path, environment: Mapping[str, str], api_port: int) -> Server:
    port = free_port()
    words = ("worker", name) if name in ALL_ROUTES else (name,)
    if name == "api":
        words = (*words, "--port", str(api_port))
    command = own_command(
        f"hostile-{name}",
        (*words, "--metrics-port", str(port)),
        port,
        home,
        environment,
        lambda: name in _NOT_AWAITED,
    )
    return Server(command)


async def _start(site: Site) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(site.parts)) as threads:
        starting = [loop.run_in_executor(threads, server.start) for server in site.parts.values()]
        await asyncio.gather(*starting)


async def _stop(site: Site) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(site.parts)) as threads:
        await asyncio.gather(*(loop.run_in_executor(threads, server.stop) for server in site.parts.values()))
