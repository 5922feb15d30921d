"""How much may be on its way through the gateway at a time; whoever brings more waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streams.feeds.feed_metrics import FeedMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightLimits:
    """Bounds of what is on its way.

    Attributes
    ----------
    max_items : int
        Deliveries. Eight busy connections need eight; more lets an outage's senders wait here.
    max_bytes : int
        Of their documents: four of the largest allowed, so that memory stays below some 512 MiB.
    """

    max_items: int = 64
    max_bytes: int = 128 * 2**20


class InFlight:
    """Admits deliveries in the order they came while there is room.

    One that is larger than all the room is let in when it is alone.
    """

    def __init__(self, limits: FlightLimits, metrics: FeedMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._items = 0
        self._bytes = 0
        self._left = asyncio.Event()
        self._entrance = asyncio.Lock()

    @property
    def n_items(self) -> int:
        """Deliveries on their way."""
        return self._items

    @asynccontextmanager
    async def entered(self, n_bytes: int) -> AsyncIterator[None]:
        """Wait for room and hold it while the context lasts."""
        async with self._entrance:
            await self._until(lambda: self._has_room(n_bytes))
            self._change(1, n_bytes)
        try:
            yield
        finally:
            self._change(-1, -n_bytes)
            self._left.set()

    async def until_empty(self) -> None:
        """Wait until nothing is on its way."""
        await self._until(lambda: not self._items)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._left.clear()
            await self._left.wait()

    def _has_room(self, n_bytes: int) -> bool:
        if not self._items:
            return True
        return self._items < self._limits.max_items and self._bytes + n_bytes <= self._limits.max_bytes

    def _change(self, items: int, n_bytes: int) -> None:
        self._items += items
        self._bytes += n_bytes
        self._metrics.in_flight.set(self._items)
        self._metrics.in_flight_bytes.set(self._bytes)
