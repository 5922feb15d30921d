"""How long a stage is silent when its only worker dies: from SIGKILL to the next result committed."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
from streams.topology import ROUTES

_RATE_PER_S: Final = 10.0
_LOOK_S: Final = 0.1

#: A worker that does not come back within this has not come back.
_MOST_S: Final = 180.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What one kill cost.

    Attributes
    ----------
    ready_s : float
        From the kill until the new process served again.
    result_s : float
        From the kill until the first result after it was committed; commits come every second.
    """

    stage: str
    session_timeout_s: float
    ready_s: float
    result_s: float


async def measure_restarts(home: Path, codec: Codec, session_timeout_s: float, say: Say) -> list[Restart]:
    """Kill the only worker of each stage in turn while ECGs keep coming, and start it again at once."""
    async with fresh_stack(home) as stack:
        environment = {**stack.environment, "DIASTOLE_SESSION_TIMEOUT_S": str(session_timeout_s)}
        say("starting the workers")
        load = await asyncio.to_thread(draw_load, utc_now())
        with ExitStack() as started:
            running = running_workers(tuple(ROUTES), home, environment)
            workers = await asyncio.to_thread(started.enter_context, running)
            async with open_publisher(stack.broker.bootstrap, codec) as publisher:
                sending = asyncio.create_task(_send(publisher, load))
                try:
                    return await _kill_each(stack.broker.bootstrap, workers, session_timeout_s, say)
                finally:
                    sending.cancel()


async def _send(publisher: EcgPublisher, load: Load) -> None:
    number = 0
    while True:
        await publisher.publish(load.ecg(number))
        number += 1
        await asyncio.sleep(1 / _RATE_PER_S)


async def _kill_each(
    bootstrap: str, workers: Mapping[str, Server], session_timeout_s: float, say: Say
) -> list[Restart]:
    restarts = []
    async with watching(bootstrap, PARTITIONS) as watcher:
        for stage, worker in workers.items():
            await _until_moved(watcher, stage, await watcher.committed(stage))
            say(f"killing {stage}")
            restarts.append(await _kill(watcher, stage, worker, session_timeout_s))
            await _until_caught_up(watcher)
    return restarts


async def _kill(watcher: Watcher, stage: str, worker: Server, session_timeout_s: float) -> Restart:
    await asyncio.to_thread(worker.kill)
    begun_s, before = time.monotonic(), await watcher.committed(stage)

    async def start() -> float:
        await asyncio.to_thread(worker.start)
        return time.monotonic() - begun_s

    starting = asyncio.create_task(start())
    await _until_moved(watcher, stage, before)
    result_s = time.monotonic() - begun_s
    return Restart(
        stage=stage, session_timeout_s=session_timeout_s, ready_s=await starting, result_s=result_s
    )


async def _until_moved(watcher: Watcher, stage: str, before: int) -> None:
    async with asyncio.timeout(_MOST_S):
        while await watcher.committed(stage) <= before:  # noqa: ASYNC110  # a broker wakes nobody
            await asyncio.sleep(_LOOK_S)


async def _until_caught_up(watcher: Watcher) -> None:
    """Return once no stage has more than two seconds' ECGs before it."""
    async with asyncio.timeout(_MOST_S):
        while await _most_behind(watcher) > 2 * _RATE_PER_S:  # noqa: ASYNC110  # likewise
            await asyncio.sleep(_LOOK_S)


async def _most_behind(watcher: Watcher) -> int:
    return max((await watcher.behind()).values(), default=0)


def table_of(restarts: Sequence[Restart]) -> Table:
    """Lay out how long each stage was silent."""
    table = Table(
        title="from SIGKILL of a stage's only worker", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("stage")
    for heading in ("session timeout, s", "serving again, s", "next result committed, s"):
        table.add_column(heading, justify="right")
    for each in restarts:
        table.add_row(
            each.stage, f"{each.session_timeout_s:g}", f"{each.ready_s:.1f}", f"{each.result_s:.1f}"
        )
    return table
