"""Reading deliveries in processes of their own: what one delivery does to its reader harms no other.

::

    read ──▶ waits for a reader ──▶ answered in time ─────────────────────▶ the reader takes the next
                                ├─▶ alarm: too slow ───────────▶ refused ┐
                                ├─▶ reader dies ─▶ once more ──▶ refused ├▶ the spare takes the next, and a
                                └─▶ keeps too much memory ─────▶ answered┘  new one is started meanwhile

Readers are started clean, not forked from this process, whose threads may hold locks.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from schemas.errors import ConfigurationError, RetriableError
from streams.feeds.document import Document
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.reading_child import SHORT_OF_MEMORY, TOO_SLOW, ReaderChild, ReaderLostError
from streams.feeds.reading_frames import OUT_OF_MEMORY, Answer
from streams.feeds.refusal import FeedRefusedError, RefusalReason

log = structlog.get_logger()

#: Starts a reader.
READER: Final = (sys.executable, "-m", "streams.feeds.reading_process")

#: Ready readers beside those that may read at the same time: while one that was lost is replaced, which takes
#: a second or two of a processor, another stands in.
N_SPARE: Final = 1

#: Between attempts to start a reader, s.
_RETRY_S: Final = 1.0


class ReadingClosedError(RetriableError):
    """The readers were closed while this was read; nothing is known of it: deliver it again."""

    code = "READING_CLOSED"


class ReadingPool:
    """Reader processes, each reading one delivery at a time; a :class:`streams.feeds.ports.ReadsDocuments`.

    Open it with :func:`open_reading`.

    Attributes
    ----------
    peak_bytes : int
        Most memory that any reader took beyond what it takes at rest; 0 where the platform does not tell.
    n_replaced : int
        Readers that were lost, or kept too much memory, and were replaced.
    """

    def __init__(self, n_readers: int, limits: ReadLimits, command: Sequence[str]) -> None:
        self.peak_bytes = 0
        self.n_replaced = 0
        self._limits = limits
        self._command = command
        self._n_processes = n_readers + N_SPARE
        self._turns = asyncio.Semaphore(n_readers)
        self._ready: asyncio.Queue[ReaderChild | None] = asyncio.Queue()  # None: closed
        self._alive: set[ReaderChild] = set()
        self._reads: set[asyncio.Task[Reading]] = set()
        self._upkeep: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the readers there are."""
        return tuple(reader.pid for reader in self._alive)

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        """Read one delivery; calls may overlap, and wait for a reader without limit of time.

        Reading the same again gives the same record. Cancelling it lets the reader finish on its own.

        Raises
        ------
        FeedRefusedError
            When it cannot be read, takes too long or too much memory, or kills its readers.
        ReadingClosedError
            When the pool was closed meanwhile.
        """
        await self._turns.acquire()
        reading = asyncio.create_task(self._read_in_turn(document, options))
        self._reads.add(reading)
        reading.add_done_callback(self._reads.discard)
        return await asyncio.shield(reading)

    async def open(self) -> None:
        """Start all readers and wait for the first.

        Raises
        ------
        ConfigurationError
            When it does not start.
        """
        first = await self._started()
        if first is None:
            raise ConfigurationError(f"'{' '.join(self._command)}' does not start; what it said stands above")
        self._ready.put_nowait(first)
        for _ in range(self._n_processes - 1):
            self._keep_up(self._provide())

    async def all_ready(self) -> None:
        """Wait until no reader is being started or replaced any more."""
        while self._upkeep:
            await asyncio.wait(tuple(self._upkeep))

    async def close(self) -> None:
        """End all readers; what they are reading raises ReadingClosedError."""
        self._is_closed = True
        for task in self._upkeep:
            task.cancel()
        await asyncio.gather(*self._upkeep, return_exceptions=True)
        await asyncio.gather(*(self._end(reader) for reader in tuple(self._alive)))
        self._ready.put_nowait(None)
        await asyncio.gather(*self._reads, return_exceptions=True)

    async def _read_in_turn(self, document: Document, options: ReadOptions) -> Reading:
        try:
            answer = await self._answered_at_last(document, options)
        finally:
            self._turns.release()
        if answer.refusal is not None:
            raise answer.refusal
        if answer.reading is None:
            raise _refusal_of(0, self._limits)
        return answer.reading

    async def _answered_at_last(self, document: Document, options: ReadOptions) -> Answer:
        """Ask a second reader where the first was lost: the system ends processes when memory is short."""
        try:
            return await self._answered(document, options)
        except ReaderLostError as lost:
            if lost.returncode in (*TOO_SLOW, OUT_OF_MEMORY):
                raise _refusal_of(lost.returncode, self._limits) from None
        try:
            return await self._answered(document, options)
        except ReaderLostError as lost:
            raise _refusal_of(lost.returncode, self._limits) from None

    async def _answered(self, document: Document, options: ReadOptions) -> Answer:
        reader = await self._next_ready()
        is_kept = False
        try:
            answer = await reader.read(document, options)
            is_kept = not answer.retires
        except ReaderLostError as lost:
            if self._is_closed:
                raise _closed() from None
            log.warning("reader_lost", returncode=lost.returncode)
            raise
        finally:
            if is_kept:
                self._ready.put_nowait(reader)
            elif not self._is_closed:
                self._keep_up(self._replace(reader))
        self.peak_bytes = max(self.peak_bytes, answer.peak_bytes)
        return answer

    async def _next_ready(self) -> ReaderChild:
        reader = await self._ready.get()
        if reader is None or self._is_closed:
            self._ready.put_nowait(None)  # for whoever waits next
            raise _closed()
        return reader

    async def _replace(self, reader: ReaderChild) -> None:
        self.n_replaced += 1
        await self._end(reader)
        await self._provide()

    async def _provide(self) -> None:
        """Add a ready reader, however long that takes."""
        while (reader := await self._started()) is None:
            log.error("reader_does_not_start", retry_s=_RETRY_S)
            await asyncio.sleep(_RETRY_S)
        self._ready.put_nowait(reader)

    async def _started(self) -> ReaderChild | None:
        """Start a reader; None when it ends before it is ready."""
        reader = ReaderChild(self._limits, self._command)
        self._alive.add(reader)
        try:
            await reader.begin()
        except ReaderLostError:
            await self._end(reader)
            return None
        return reader

    async def _end(self, reader: ReaderChild) -> None:
        await reader.end()
        self._alive.discard(reader)

    def _keep_up(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._upkeep.add(task)
        task.add_done_callback(self._upkeep.discard)


@asynccontextmanager
async def open_reading(
    n_readers: int, limits: ReadLimits = DEFAULT_LIMITS, command: Sequence[str] = READER
) -> AsyncIterator[ReadingPool]:
    """Start readers; leaving the context ends them, and with them what they are reading.

    Parameters
    ----------
    n_readers : int
        Deliveries read at the same time. One process more is kept ready; each takes some 110 MB, in part
        shared.
    command : sequence of str
        Starts a reader: a program that does as :mod:`streams.feeds.reading_process` does.

    Raises
    ------
    ConfigurationError
        When none starts.
    """
    pool = ReadingPool(n_readers, limits, command)
    try:
        await pool.open()
        yield pool
    finally:
        await pool.close()


def _closed() -> ReadingClosedError:
    return ReadingClosedError("the gateway is stopping; send it again")


def _refusal_of(returncode: int, limits: ReadLimits) -> FeedRefusedError:
    """Say why there is no answer, from how the reader ended."""
    if returncode in TOO_SLOW:
        return FeedRefusedError(
            f"not read within {limits.timeout_s:g} s (DIASTOLE_FEED_READ_TIMEOUT_S); export the 10 s resting "
            "ECG alone",
            RefusalReason.TOO_SLOW,
        )
    if returncode in SHORT_OF_MEMORY:
        return FeedRefusedError(
            "reading it takes more memory than allowed (DIASTOLE_FEED_READ_MEMORY_MB); export the 10 s "
            "resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    return FeedRefusedError("it ends the process that reads it, so it is damaged; export it again")
