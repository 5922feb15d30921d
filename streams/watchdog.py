"""Notices a worker that has work and does nothing, so that it exits and its supervisor starts a fresh one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.errors import DiastoleError, RetriableError
from streams.metrics import StageMetrics
from streams.progress import Progress


class StalledError(DiastoleError):
    """Work is waiting and none was finished for too long."""

    code = "STALLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """Compares lag and progress.

    Attributes
    ----------
    stall_s : float
        Work waiting and none finished for this long counts as stalled.
    lag : callable
        Messages not yet committed on the worker's partitions; RetriableError when Kafka does not answer.
    has_records : callable
        Whether that lag holds a record at all: transactions leave markers behind, which no group commits.
    is_held_up : callable
        Whether the stage waits for something it has named: that is no stall, a restart would not help.
    """

    stall_s: float
    progress: Progress
    metrics: StageMetrics
    lag: Callable[[], Awaitable[int]]
    has_records: Callable[[], Awaitable[bool]]
    is_held_up: Callable[[], bool]

    async def run(self) -> None:
        """Look every eighth of ``stall_s``, at least every 5 s.

        Raises
        ------
        StalledError
        """
        while True:
            await asyncio.sleep(min(5.0, self.stall_s / 8))
            await self.look()

    def is_stalled(self) -> bool:
        """Whether messages in flight have not moved for too long; what only waits in Kafka is not counted."""
        return self.progress.in_flight > 0 and not self.is_held_up() and self._idle_s() >= self.stall_s

    async def look(self) -> None:
        """Look once.

        Raises
        ------
        StalledError
            Says what is waiting.
        """
        try:
            lag = await self.lag()
            self.metrics.lag.set(lag)
            self.progress.lag = lag
            await self._judge(lag)
        except RetriableError:
            # Without Kafka there is nothing to do, and Faust keeps reconnecting.
            self.progress.touch()

    async def _judge(self, lag: int) -> None:
        waiting = max(lag, self.progress.in_flight)
        if not waiting or self.is_held_up():
            self.progress.touch()
            return
        idle_s = self._idle_s()
        if idle_s < self.stall_s:
            return
        if not self.progress.in_flight and not await self.has_records():
            self.progress.touch()
            return
        raise StalledError(f"{waiting} messages waiting, none done for {idle_s:.0f} s; start it anew")

    def _idle_s(self) -> float:
        return self.progress.clock_s() - self.progress.last_s
