"""Turns at one channel: a slow channel holds up its own notices and nobody else's."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Final

from schemas.alert import Priority

#: Notices a channel is given at a time. More would only queue at the other side.
AT_ONCE: Final = 4

#: A channel that asks to be left alone is, for so long at most, s: a patient waits.
MOST_PAUSE_S: Final = 60.0

_RANK: Final = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


class Lane:
    """Who may use a channel next: the most severe first, then what was due first.

    Parameters
    ----------
    at_once : int
        So many may at a time.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._n_free = at_once
        self._waiting: list[tuple[int, datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._paused_until = 0.0

    @asynccontextmanager
    async def turn(self, severity: Priority, due: datetime) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the context lasts."""
        await self._take(severity, due)
        try:
            await asyncio.sleep(max(0.0, self._paused_until - monotonic()))
            yield
        finally:
            self._pass_on()

    def pause(self, seconds: float) -> None:
        """Let no turn begin for so long: the other side asked for it."""
        self._paused_until = max(self._paused_until, monotonic() + min(seconds, MOST_PAUSE_S))

    async def _take(self, severity: Priority, due: datetime) -> None:
        if self._n_free:
            self._n_free -= 1
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (_RANK[severity], due, next(self._numbers), called))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            called = heapq.heappop(self._waiting)[-1]
            if not called.done():
                called.set_result(None)
                return
        self._n_free += 1
