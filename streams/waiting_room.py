"""The waiting around the micro-batcher: hold the reader back when full, wake the worker when due."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from streams.batcher import BatchLimits, MicroBatcher, Waiting

T = TypeVar("T")


class WaitingRoom(Generic[T]):
    """A bounded room between one reader and one worker, for one event loop.

    Parameters
    ----------
    limits : BatchLimits
    clock_s : callable
        Monotonic seconds; the event loop's own clock.
    """

    def __init__(self, limits: BatchLimits, clock_s: Callable[[], float]) -> None:
        self._batcher = MicroBatcher[T](limits)
        self._clock_s = clock_s
        self._changed = asyncio.Event()
        self._left = asyncio.Event()
        self._at_once = False

    def __len__(self) -> int:
        return len(self._batcher)

    async def wait_for_room(self, size_bytes: int) -> None:
        """Return once a record of this size may enter: this is the back-pressure on fetching."""
        while not self._batcher.has_room(size_bytes):
            self._left.clear()
            await self._left.wait()

    def enter(self, item: T, *, partition: int, size_bytes: int, urgent: bool) -> None:
        """Let a record wait for its batch."""
        now_s = self._clock_s()
        self._batcher.put(item, partition=partition, size_bytes=size_bytes, urgent=urgent, now_s=now_s)
        self._changed.set()

    async def next_batch(self) -> list[Waiting[T]]:
        """Wait until a batch is due and take it; never empty."""
        while True:
            now_s = self._clock_s()
            batch = self._batcher.take(now_s, at_once=self._at_once)
            if batch:
                self._left.set()
                return batch
            self._changed.clear()
            await self._until_changed_or(self._batcher.due_at_s(), now_s)

    def clear(self) -> list[T]:
        """Empty the room and return who waited."""
        waited = self._batcher.clear()
        self._left.set()
        self._changed.set()
        return waited

    def hurry(self) -> None:
        """From now on whatever waits is due at once: the worker is draining."""
        self._at_once = True
        self._changed.set()

    async def _until_changed_or(self, due_at_s: float | None, now_s: float) -> None:
        if due_at_s is None:
            await self._changed.wait()
            return
        timer = asyncio.get_running_loop().call_later(due_at_s - now_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
