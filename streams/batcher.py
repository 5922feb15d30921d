"""Micro-batching: collect records until a batch is full or its oldest one has waited long enough.

One FIFO per partition; a batch takes prefixes of these, so records of one partition leave in their order
whatever else happens. Urgent records go first, and take along what stands before them in their partition.

The decision is pure and takes the time as an argument; :mod:`streams.waiting_room` adds the waiting.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """When a batch is full, how long its oldest record may wait, and how much may wait in all.

    Attributes
    ----------
    max_items, max_bytes : int
        Of one batch. A record larger than ``max_bytes`` forms a batch by itself.
    max_delay_s : float
        Longest wait of the oldest record while the device is free.
    room_items, room_bytes : int
        Of all records waiting; beyond it there is no room and the caller must hold back.
    """

    max_items: int
    max_bytes: int
    max_delay_s: float
    room_items: int
    room_bytes: int

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever leave."""
        if min(self.max_items, self.max_bytes, self.room_items, self.room_bytes) < 1 or self.max_delay_s < 0:
            raise ValueError(f"limits must be positive: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Generic[T]):
    """One record waiting; ``arrival`` counts up over all partitions, ``arrived_s`` is monotonic seconds."""

    item: T
    partition: int
    size_bytes: int
    urgent: bool
    arrival: int
    arrived_s: float


class MicroBatcher(Generic[T]):
    """The collecting half of a micro-batching stage; not thread-safe, keeps no clock.

    Examples
    --------
    >>> limits = BatchLimits(max_items=2, max_bytes=10**6, max_delay_s=0.5, room_items=8, room_bytes=10**7)
    >>> batcher = MicroBatcher[str](limits)
    >>> batcher.put("a", partition=0, size_bytes=10, urgent=False, now_s=0.0)
    >>> batcher.take(now_s=0.4)
    []
    >>> [waiting.item for waiting in batcher.take(now_s=0.5)]
    ['a']
    """

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self._queues: dict[int, deque[Waiting[T]]] = {}
        self._urgent: dict[int, deque[Waiting[T]]] = {}
        self._arrivals = 0
        self._items = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._items

    @property
    def size_bytes(self) -> int:
        """Bytes waiting."""
        return self._bytes

    def has_room(self, size_bytes: int) -> bool:
        """Whether one more record of this size may wait; an empty room takes a record of any size."""
        if not self._items:
            return True
        return self._items < self.limits.room_items and self._bytes + size_bytes <= self.limits.room_bytes

    def put(self, item: T, *, partition: int, size_bytes: int, urgent: bool, now_s: float) -> None:
        """Let one record wait; the caller asked :meth:`has_room` before."""
        waiting = Waiting(
            item=item,
            partition=partition,
            size_bytes=size_bytes,
            urgent=urgent,
            arrival=self._arrivals,
            arrived_s=now_s,
        )
        self._arrivals += 1
        self._items += 1
        self._bytes += size_bytes
        self._queues.setdefault(partition, deque()).append(waiting)
        if urgent:
            self._urgent.setdefault(partition, deque()).append(waiting)

    def due_at_s(self) -> float | None:
        """When the next batch is due: −∞ for at once, None while nothing waits."""
        if not self._items:
            return None
        if self._urgent or self._items >= self.limits.max_items or self._bytes >= self.limits.max_bytes:
            return float("-inf")
        return min(queue[0].arrived_s for queue in self._queues.values()) + self.limits.max_delay_s

    def take(self, now_s: float, *, at_once: bool = False) -> list[Waiting[T]]:
        """Take the next batch if it is due (or anything waits and ``at_once``); empty when not."""
        due_at_s = self.due_at_s()
        if due_at_s is None or (due_at_s > now_s and not at_once):
            return []
        batch = [self._pop(self._next_partition())]
        batch_bytes = batch[0].size_bytes
        while self._items and len(batch) < self.limits.max_items:
            partition = self._next_partition()
            batch_bytes += self._queues[partition][0].size_bytes
            if batch_bytes > self.limits.max_bytes:
                break
            batch.append(self._pop(partition))
        return batch

    def clear(self) -> list[T]:
        """Let nobody wait any more; returns who did, in order of arrival."""
        waiting = sorted((w for queue in self._queues.values() for w in queue), key=lambda w: w.arrival)
        self._queues.clear()
        self._urgent.clear()
        self._items = self._bytes = 0
        return [w.item for w in waiting]

    def _next_partition(self) -> int:
        # The partition of the urgent record that came first, else the one whose head came first.
        lanes = self._urgent or self._queues
        return min(lanes, key=lambda partition: lanes[partition][0].arrival)

    def _pop(self, partition: int) -> Waiting[T]:
        waiting = self._queues[partition].popleft()
        if not self._queues[partition]:
            del self._queues[partition]
        if waiting.urgent:
            self._urgent[partition].popleft()
            if not self._urgent[partition]:
                del self._urgent[partition]
        self._items -= 1
        self._bytes -= waiting.size_bytes
        return waiting
