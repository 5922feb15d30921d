"""The guard: a record that cannot be processed costs itself, not its batch.

What is not about a record must not be answered with dead letters, or a sick process would empty its topic
into them. Three errors say so themselves (retriable, fatal, configuration), and a lack of memory is known as
one. Every other exception counts as the record's own, even when all records of a batch raise it: a
deterministic error would return after any restart and stop the stream for all patients, while dead letters
are kept, counted and alerted on, and can be published again once the error is mended.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from schemas.errors import ConfigurationError, FatalError, RetriableError
from streams.stage import require_same_length

In = TypeVar("In")
Out = TypeVar("Out")


class MemoryShortageError(RetriableError):
    """The host has no memory for even one record now; something else occupies it, or this process does."""

    code: ClassVar[str] = "MEMORY"
    max_attempts: ClassVar[int | None] = 12  # a minute, with the default pauses


def run_bisecting(
    stage: str, work: Callable[[Sequence[In]], Sequence[Out]], batch: Sequence[In]
) -> list[Out | Exception]:
    """Do the work of a batch; split a batch that raises until the culprit is alone.

    Parameters
    ----------
    stage : str
        For messages only.
    work : callable
        Must tolerate being called again with parts of a batch it raised on.
    batch : sequence
        May be empty, then nothing is called.

    Returns
    -------
    list
        One entry per record, in order: its result, or the exception that it raised alone.

    Raises
    ------
    RetriableError, FatalError, ConfigurationError
        Untouched and unsplit: nothing is wrong with the records.
    MemoryShortageError
        When the memory does not suffice for one record alone; of more than one, halves are tried.
    """
    if not batch:
        return []
    try:
        results = list(work(batch))
        require_same_length(stage, len(batch), results)
    except (RetriableError, FatalError, ConfigurationError):
        raise
    except Exception as error:  # the one guard: whatever it is, it must cost one record only
        if len(batch) == 1:
            return [_own_fault(stage, error)]
        middle = len(batch) // 2
        return run_bisecting(stage, work, batch[:middle]) + run_bisecting(stage, work, batch[middle:])
    return list(results)


def _own_fault(stage: str, error: Exception) -> Exception:
    if isinstance(error, MemoryError):
        raise MemoryShortageError(
            f"{stage} has no memory for one record: free some, or give the worker more"
        ) from error
    return error
