"""The guard: a record that cannot be processed costs itself, not its batch."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from schemas.errors import ConfigurationError, RetriableError
from streams.stage import require_same_length

In = TypeVar("In")
Out = TypeVar("Out")


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
    RetriableError, ConfigurationError
        Untouched and unsplit: nothing is wrong with the records.
    """
    if not batch:
        return []
    try:
        results = list(work(batch))
        require_same_length(stage, len(batch), results)
    except (RetriableError, ConfigurationError):
        raise
    except Exception as error:  # the one guard: whatever it is, it must cost one record only
        if len(batch) == 1:
            return [error]
        middle = len(batch) // 2
        return run_bisecting(stage, work, batch[:middle]) + run_bisecting(stage, work, batch[middle:])
    return list(results)
