"""Batches of a few fixed sizes, and half of one when the device's memory does not hold it."""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import torch

from schemas.errors import RetriableError

T = TypeVar("T")


class DeviceMemoryError(RetriableError):
    """Not even one ECG fits into the device's memory now; something else occupies it."""

    code: ClassVar[str] = "DEVICE_MEMORY"


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
    """
    results: list[T] = []
    size, stop = max_size, start + n
    while start < stop:
        end = min(start + size, stop)
        try:
            results.extend(score(start, end))
        except torch.OutOfMemoryError as error:
            if end - start == 1:
                raise DeviceMemoryError(
                    "one ECG does not fit into the device's memory: free it, or score on the CPU"
                ) from error
            size = (end - start) // 2
        else:
            start = end
    return results
