"""How much faster a stage gets with a second worker, on the same backlog."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ops.bench.load import draw_load
from ops.bench.stack import fresh_stack
from ops.services.process import Server
from ops.topic_reader import open_topic_reader
from ops.worker_processes import worker_command
from schemas.codec import Codec
from streams.feeds.publish import open_publisher
from streams.stage import utc_now
from streams.topology import ROUTES

_STAGE = "featurize"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """One run: so many workers, so many ECGs a second between the first and the last result."""

    workers: int
    ecgs: int
    ecgs_per_s: float


async def measure_scaling(home: Path, codec: Codec, ecgs: int, say: Say) -> list[Scaled]:
    """Featurize a backlog with one worker and then another with two.

    Each run has a broker of its own with the whole backlog on it before its workers start. Counted are the
    middle three fifths of the results, so that neither starting nor the last partition is measured.
    """
    return [await _run(home, codec, ecgs, workers, say) for workers in (1, 2)]


async def _run(home: Path, codec: Codec, ecgs: int, workers: int, say: Say) -> Scaled:
    async with fresh_stack(home) as stack:
        bootstrap = stack.broker.bootstrap
        load = await asyncio.to_thread(draw_load, utc_now())
        say(f"{workers} of {_STAGE}: publishing {ecgs} ECGs")
        async with open_publisher(bootstrap, codec) as publisher:
            for begin in range(0, ecgs, 200):
                numbers = range(begin, min(begin + 200, ecgs))
                await asyncio.gather(*(publisher.publish(load.ecg(number)) for number in numbers))
        with ExitStack() as stopping:
            started = [Server(worker_command(_STAGE, home, stack.environment)) for _ in range(workers)]
            for worker in started:
                stopping.callback(worker.stop)
            await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in started))
            say(f"{workers} of {_STAGE}: at work")
            return await _timed(bootstrap, codec, ecgs, workers)


async def _timed(bootstrap: str, codec: Codec, ecgs: int, workers: int) -> Scaled:
    """Take the middle three fifths of the results, when all workers have work."""
    topic = ROUTES[_STAGE].produces
    assert topic is not None  # noqa: S101 (the route of this stage)
    times: dict[str, datetime] = {}
    async with open_topic_reader(bootstrap, (topic,), codec, from_beginning=True) as reader:
        while len(times) < ecgs:
            for seen in await reader.poll(1.0):
                times.setdefault(getattr(seen.record, "ecg_id", ""), seen.message.timestamp)
    ordered = sorted(times.values())
    first, last = ecgs // 5, ecgs - ecgs // 5
    span_s = (ordered[last - 1] - ordered[first]).total_seconds()
    return Scaled(workers=workers, ecgs=ecgs, ecgs_per_s=(last - 1 - first) / span_s)


def table_of(runs: Sequence[Scaled]) -> Table:
    """Lay out the runs, each as a multiple of the first."""
    table = Table(title=f"workers of {_STAGE}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("workers", "ECG/s", "of the first"):
        table.add_column(heading, justify="right")
    for each in runs:
        table.add_row(
            str(each.workers), f"{each.ecgs_per_s:.0f}", f"{each.ecgs_per_s / runs[0].ecgs_per_s:.2f}"
        )
    return table
