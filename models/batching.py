"""Batches of a few fixed sizes, half of one where memory is short, and what a device's errors mean.

Torch tells most faults of a device as a plain RuntimeError, known by its text alone:

==================================================== =================================================
fault                                                means
==================================================== =================================================
OutOfMemoryError, MemoryError, ``…ALLOC_FAILED``,    memory is short: try half as many
"out of memory", "can't allocate memory"
AcceleratorError, a CUDA, cuDNN, cuFFT, cuBLAS or    the device or its context is lost for this process
cuSOLVER error                                       (they stick): :class:`DeviceError`
anything else                                        an error of ours or of an ECG's: left as it is
==================================================== =================================================
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final, TypeVar

import torch

from schemas.errors import FatalError, RetriableError

T = TypeVar("T")


class DeviceMemoryError(RetriableError):
    """Not even one ECG fits into the device's memory now; something else occupies it."""

    code: ClassVar[str] = "DEVICE_MEMORY"
    max_attempts: ClassVar[int | None] = 12  # a minute, with the default pauses of a worker


class DeviceError(FatalError):
    """The device failed, and this process with it; every later call would fail in the same way."""

    code: ClassVar[str] = "DEVICE"


# Written as the libraries do: "CUDA error: an illegal memory access…", "cuDNN error: CUDNN_STATUS_…", "cuFFT
# error: CUFFT_…", "CUDA error: CUBLAS_STATUS_…", "CUDA driver error: …", "GET was unable to find an engine…".
_SHORT_OF_MEMORY: Final = re.compile(
    r"ALLOC_FAILED|out of memory|can.t allocate memory|not enough memory", re.IGNORECASE
)
_LOST: Final = re.compile(
    r"\bCUDA (driver |runtime )?error|\b(cuDNN|cuFFT|cuBLAS|cuSOLVER|NVRTC|NVML)|unable to find an engine",
    re.IGNORECASE,
)

_NO_MEMORY: Final = "one ECG does not fit into the memory of device or host: free it, or score elsewhere"


@contextmanager
def device_faults() -> Iterator[None]:
    """Raise what a device did as what it means.

    Raises
    ------
    DeviceMemoryError
        When memory was short.
    DeviceError
        When the device failed.
    """
    try:
        yield
    except MemoryError as error:
        raise DeviceMemoryError(_NO_MEMORY) from error
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or _SHORT_OF_MEMORY.search(str(error)):
            raise DeviceMemoryError(_NO_MEMORY) from error
        if isinstance(error, torch.AcceleratorError) or _LOST.search(str(error)):
            reason = str(error).partition("\n")[0]
            raise DeviceError(f"{reason}: restart the worker, and look at the device if it recurs") from error
        raise


def padded_size(n: int, sizes: Sequence[int]) -> int:
    """Smallest of ``sizes`` (ascending) that holds ``n``; the largest when none does."""
    return next((size for size in sizes if size >= n), sizes[-1])


def score_halving(
    score: Callable[[int, int], Sequence[T]], n: int, max_size: int, *, start: int = 0
) -> list[T]:
    """Score ``n`` items in pieces, halving a piece whenever the device runs out of memory.

    Parameters
    ----------
    score : callable
        ``score(start, stop)`` gives one result for each item from ``start`` to before ``stop``.
    max_size : int
        Most items in a piece.

    Returns
    -------
    list
        One result for each item, in order.

    Raises
    ------
    DeviceMemoryError
        When a single item does not fit.
    DeviceError
        When the device failed; nothing further is tried.
    """
    results: list[T] = []
    size, stop = max_size, start + n
    while start < stop:
        end = min(start + size, stop)
        try:
            with device_faults():
                results.extend(score(start, end))
        except DeviceMemoryError:
            if end - start == 1:
                raise
            size = (end - start) // 2
        else:
            start = end
    return results
