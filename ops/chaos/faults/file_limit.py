"""A disk that is full for one process: its files can grow no further (RLIMIT_FSIZE of prlimit(2))."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NO_PRLIMIT = "needs Linux: the limit of a running process is set with prlimit"


def obstacle_to_limits() -> str | None:
    """Say why a running process cannot be limited here; None where it can."""
    return None if sys.platform == "linux" else NO_PRLIMIT


@contextmanager
def files_limited(pid: int, most_bytes: int) -> Iterator[None]:
    """Let no file of the process grow beyond so many bytes meanwhile; writing fails with EFBIG.

    A write that crosses the limit is done in part first, as on a disk that becomes full. Only the soft limit
    is lowered, so that it can be lifted without special rights. A process that ended needs no lifting.
    """
    import resource  # not on every platform

    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
