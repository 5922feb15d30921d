"""Notice that Redis lost the history, and fill it again from Kafka; one history worker does it for all.

A history that is whole carries marks in Redis, beside its points: whatever loses points (a restart, FLUSHALL,
a replica that never had them) makes the marks void. Filling is a rebuild between two changes of the marks::

    void ── begin: each names the worker ──▶ being filled ── finish: each that still names it ──▶ filled

Redis emptied in between leaves no name to replace, so it is filled again. Kafka is read up to the end that
it has after ``begin``; whatever was written to Redis before, and is lost, lies before that end, and what
comes later the history stage writes itself, beside the rebuild. All of it may be done twice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from schemas.errors import RetriableError

log = structlog.get_logger()

#: Between two looks, s. A look is one round trip; noticing takes 2 of the 60 s a history may be gone.
LOOK_EVERY_S: Final = 2.0

#: Of a worker's turn, s; a third of how long one lasts (:mod:`streams.adapters.redis_marks`).
RENEW_EVERY_S: Final = 3.0

Wait = Callable[[float], Awaitable[None]]


class HistoryMarks(Protocol):
    """Marks beside the points of the history; all of it raises HistoryUnavailableError."""

    async def are_set(self) -> bool:
        """Whether the history was filled and nothing of it has been lost since."""

    async def begin(self, worker: str) -> bool:
        """Take the turn and mark what is being filled; False when another worker is at it or was faster.

        The turn passes on by itself when it is not renewed; the same worker can take it again.
        """

    async def renew(self, worker: str) -> None:
        """Prolong the turn, if it is still this worker's."""

    async def finish(self, worker: str) -> bool:
        """End the turn; False, and nothing is marked, when marks were lost or taken over since ``begin``."""


class HistoryRefill:
    """Looks after the marks, and fills the history when they are not there.

    Parameters
    ----------
    rebuild : callable
        Writes everything that is on Kafka to the history, and returns how many points.
    worker : str
        A name of this process alone, among all that share the Redis.
    """

    def __init__(
        self,
        marks: HistoryMarks,
        rebuild: Callable[[], Awaitable[int]],
        *,
        worker: str,
        wait: Wait = asyncio.sleep,
    ) -> None:
        self._marks, self._rebuild, self._worker, self._wait = marks, rebuild, worker, wait
        self._held_up_by: str | None = None

    async def run(self) -> None:
        """Look now and every two seconds, until cancelled; trouble that may pass is for the next look."""
        while True:
            await self.try_to_look()
            await self._wait(LOOK_EVERY_S)

    async def try_to_look(self) -> None:
        """Look once; Redis or Kafka not answering is logged, once for each kind of trouble."""
        try:
            await self.look()
        except RetriableError as error:
            if self._held_up_by != error.code:
                log.warning("history_refill_held_up", code=error.code, reason=str(error))
            self._held_up_by = error.code
        else:
            self._held_up_by = None

    async def look(self) -> None:
        """Fill the history if it is not whole and no other worker is at it.

        Raises
        ------
        RetriableError
            From Redis or Kafka; the history is not marked then, and the next look begins anew.
        """
        if await self._marks.are_set() or not await self._marks.begin(self._worker):
            return
        log.warning("history_refill_begins")
        began_s = time.monotonic()
        renewing = asyncio.create_task(self._renew())
        try:
            kept = await self._rebuild()
        finally:
            renewing.cancel()
        whole = await self._marks.finish(self._worker)
        log.info(
            "history_refilled" if whole else "history_refill_undone",
            kept=kept,
            took_s=round(time.monotonic() - began_s, 1),
        )

    async def _renew(self) -> None:
        while True:
            await self._wait(RENEW_EVERY_S)
            try:
                await self._marks.renew(self._worker)
            except RetriableError:
                continue  # at worst the turn passes on, and finish says so
