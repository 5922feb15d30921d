"""What an ECG costs each process: CPU time and memory. The figures a cluster is sized by."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ops.bench.load import Load, draw_load
from ops.bench.stack import PARTITIONS, fresh_stack
from ops.chaos.offsets import Watcher, watching
from ops.services.process import Server
from ops.worker_processes import running_workers
from schemas.codec import Codec
from streams.feeds.publish import EcgPublisher, open_publisher
from streams.stage import utc_now
from streams.topology import ROUTES, WAVEFORM_ROUTE

_STAGES: Final = (*ROUTES, WAVEFORM_ROUTE.stage)

#: ECGs before anything is counted: models are warm then, and every buffer has been filled once.
_WARM_UP: Final = 300

#: ECGs published at a time; more would only wait in the publisher.
_AT_ONCE: Final = 100

_LOOK_S: Final = 0.2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process spent.

    Attributes
    ----------
    cpu_ms : float
        CPU time an ECG, user and system, all threads.
    memory_mb : float
        Resident, after the last ECG.
    """

    process: str
    cpu_ms: float
    memory_mb: float


async def measure_sizes(home: Path, codec: Codec, ecgs: int, say: Say) -> list[Cost]:
    """Play a backlog through one worker of each stage on Apache Kafka and Redis.

    Raises
    ------
    ServiceError
        When a server or a worker does not start.
    """
    async with fresh_stack(home) as stack:
        bootstrap = stack.broker.bootstrap
        say("starting the workers")
        load = await asyncio.to_thread(draw_load, utc_now())
        with ExitStack() as started:
            running = running_workers(_STAGES, home, stack.environment)
            workers = await asyncio.to_thread(started.enter_context, running)
            processes = {**workers, "Kafka": stack.broker, "Redis": stack.redis}
            async with (
                open_publisher(bootstrap, codec) as publisher,
                watching(bootstrap, PARTITIONS) as watcher,
            ):
                await _play(publisher, watcher, load, range(_WARM_UP))
                before = _cpu_s(processes)
                say(f"{ecgs} ECGs")
                await _play(publisher, watcher, load, range(_WARM_UP, _WARM_UP + ecgs))
                after = _cpu_s(processes)
    return [
        Cost(process=name, cpu_ms=1000 * (after[name][0] - before[name][0]) / ecgs, memory_mb=after[name][1])
        for name in processes
    ]


async def _play(publisher: EcgPublisher, watcher: Watcher, load: Load, numbers: range) -> None:
    """Publish, and return when every stage has committed to the end."""
    for begin in range(0, len(numbers), _AT_ONCE):
        some = numbers[begin : begin + _AT_ONCE]
        await asyncio.gather(*(publisher.publish(load.ecg(number)) for number in some))
    while await watcher.behind():  # noqa: ASYNC110  # a broker wakes nobody
        await asyncio.sleep(_LOOK_S)


def _cpu_s(processes: Mapping[str, Server]) -> dict[str, tuple[float, float]]:
    """CPU seconds so far and resident MB of each."""
    known = {}
    for name, server in processes.items():
        process = psutil.Process(server.pid)
        times, memory = process.cpu_times(), process.memory_info()
        known[name] = (times.user + times.system, memory.rss / 1e6)
    return known


def table_of(costs: list[Cost]) -> Table:
    """Lay out what an ECG costs."""
    table = Table(title="what an ECG costs", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("process")
    for heading in ("CPU, ms an ECG", "ECG/s a core", "memory, MB"):
        table.add_column(heading, justify="right")
    for each in costs:
        a_core = f"{1000 / each.cpu_ms:.0f}" if each.cpu_ms else "—"
        table.add_row(each.process, f"{each.cpu_ms:.2f}", a_core, f"{each.memory_mb:.0f}")
    return table
