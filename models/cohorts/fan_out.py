"""Preparing rows in several processes; what comes out is in order, and the same for any number of them."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Final

from threadpoolctl import threadpool_limits

from models.cohorts.errors import CohortWorkerError
from models.cohorts.preparation import PreparedRows, prepare
from models.cohorts.rows import RowSource

#: Rows prepared as one piece: 23 MB of them, and a second or two of work.
CHUNK_ROWS: Final = 256


def prepared_in_order(
    source: RowSource, start: int, *, workers: int, chunk_rows: int = CHUNK_ROWS
) -> Generator[PreparedRows, None, None]:
    """Prepare the rows of a source from ``start`` on, chunk by chunk, in order.

    Parameters
    ----------
    workers : int
        Processes; with 1 the work is done in this one. At most one chunk more than there are workers waits;
        closing the generator ends them.

    Raises
    ------
    CohortError
        As :func:`models.cohorts.preparation.prepare` and the source do.
    CohortWorkerError
        When a worker died, as one does that is killed for its memory.
    """
    n_rows = len(source)
    chunks = [(first, min(first + chunk_rows, n_rows)) for first in range(start, n_rows, chunk_rows)]
    if workers == 1:
        return (prepare(source, *chunk) for chunk in chunks)
    return _by_workers(source, chunks, min(workers, max(len(chunks), 1)))


def _by_workers(
    source: RowSource, chunks: list[tuple[int, int]], workers: int
) -> Generator[PreparedRows, None, None]:
    # Not forked from this process, whose threads may hold locks, but from a fresh one, which imports once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", prepare.__module__])
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        initargs=(source,),
    )
    asked: deque[Future[PreparedRows]] = deque()
    try:
        for chunk in chunks:
            asked.append(pool.submit(_prepare, *chunk))
            if len(asked) > workers:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()
    except BrokenProcessPool as error:
        raise CohortWorkerError(
            "a process preparing the cohort died, perhaps for want of memory: "
            "run the same again to go on, with fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_source: RowSource | None = None


def _begin(source: RowSource) -> None:
    global _source
    _source = source
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threadpool_limits(1)
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()


def _leave_with_the_parent() -> None:
    """End this worker when its parent was killed: nobody would ask it for anything any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _prepare(start: int, stop: int) -> PreparedRows:
    if _source is None:
        raise RuntimeError("a worker was asked before it was given its source")
    return prepare(_source, start, stop)
