"""How fast each format is read, and in how much memory: one simulated ECG of 10 s in all of them.

In process is the reader alone. Through the pool is as feeds read: in processes of their own, where it is also
asked whether the ECG can be one (:mod:`streams.feeds.plausibility`). Memory is what a reader takes at most
beyond what it takes at rest, each format in a process that has read no other.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from rich.table import Table

from models.cohorts.simulated import Course, SimulatedPatient
from ops.bench.exports import exports
from streams.feeds.document import Document
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.reading import ReadingPool, open_reading

_AT: Final = datetime(2024, 2, 29, 8, 30, tzinfo=UTC)
_OPTIONS: Final = ReadOptions(patient_id="BENCH-1", acquired_at=_AT)

#: Rounds of which the median is told: whatever else the machine does meets a few of them.
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpeed:
    """One format, measured.

    Attributes
    ----------
    n_bytes : int
        Of the delivery with all its files.
    per_s, pooled_per_s : float
        ECGs a second: in this process on one thread; through the pool, all its processes at work.
    peak_bytes : int
        Most memory a reader took beyond what it takes at rest; 0 where the platform does not tell.
    """

    name: str
    n_bytes: int
    per_s: float
    pooled_per_s: float
    peak_bytes: int


def bench_readers(
    *, n_readers: int = 2, seconds: float = 1.0, say: Callable[[str], None] = lambda name: None
) -> tuple[ReaderSpeed, ...]:
    """Measure all formats; some 5 s each, of which two or three are for starting processes.

    Parameters
    ----------
    n_readers : int
        Processes of the pool that read at a time.
    seconds : float
        How long each format is read in each of the two ways.
    say : callable
        Told a format's name before it is measured.

    Raises
    ------
    FeedRefusedError
        When a reader does not take what it should: the bench is wrong, or the reader is.
    """
    ecg = SimulatedPatient(seed=1, course=Course(start=0.3, end=0.3)).record(_AT)
    speeds = []
    for name, document in exports(ecg).items():
        say(name)
        per_s = _in_process(document, seconds)
        pooled_per_s, peak_bytes = asyncio.run(_through_pool(document, n_readers, seconds))
        speeds.append(
            ReaderSpeed(
                name=name,
                n_bytes=document.n_bytes,
                per_s=per_s,
                pooled_per_s=pooled_per_s,
                peak_bytes=peak_bytes,
            )
        )
    return tuple(speeds)


def table_of(speeds: tuple[ReaderSpeed, ...]) -> Table:
    """Show the measurements to people."""
    table = Table("format", title="Readers: one ECG of 12 leads, 10 s at 500 Hz")
    for column in ("kB", "ECGs/s in process", "ECGs/s through the pool", "MB beyond rest"):
        table.add_column(column, justify="right")
    for speed in speeds:
        table.add_row(
            speed.name,
            f"{speed.n_bytes / 1e3:.0f}",
            f"{speed.per_s:.0f}",
            f"{speed.pooled_per_s:.0f}",
            f"{speed.peak_bytes / 1e6:.1f}",
        )
    return table


def _in_process(document: Document, seconds: float) -> float:
    read(document, _OPTIONS)  # imports its libraries
    rates = []
    for _ in range(_ROUNDS):
        began, n_read = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / _ROUNDS:
            read(document, _OPTIONS)
            n_read += 1
        rates.append(n_read / (time.perf_counter() - began))
    return float(np.median(rates))


async def _through_pool(document: Document, n_readers: int, seconds: float) -> tuple[float, int]:
    async with open_reading(n_readers) as pool:
        await pool.all_ready()
        await pool.read(document, _OPTIONS)
        rates = [await _round(pool, document, n_readers, seconds / _ROUNDS) for _ in range(_ROUNDS)]
        return float(np.median(rates)), pool.peak_bytes


async def _round(pool: ReadingPool, document: Document, n_readers: int, seconds: float) -> float:
    began, n_read = time.perf_counter(), 0

    async def keep_reading() -> None:
        nonlocal n_read
        while time.perf_counter() - began < seconds:
            await pool.read(document, _OPTIONS)
            n_read += 1

    # Two askers for each reader: one waits while the other is read.
    await asyncio.gather(*(keep_reading() for _ in range(2 * n_readers)))
    return n_read / (time.perf_counter() - began)
