"""How far a worker is: what is in flight and when something was last done. Health and watchdog read it."""

import asyncio
from collections.abc import Callable
from datetime import datetime


class Progress:
    """Counts messages between admission and acknowledgement, for one event loop.

    Attributes
    ----------
    clock_s : callable
        Monotonic seconds.
    last_s : float
        When something was last acknowledged, or the worker began or was given work after having none.
    last_done_s : float or None
        When something was last acknowledged; None before the first.
    lag : int or None
        Messages not committed on the worker's partitions when the watchdog last looked; None before that.
    newest_at : datetime or None
        UTC; Kafka's time of the message admitted last.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self.clock_s = clock_s
        self.last_s = clock_s()
        self.in_flight = 0
        self.done = 0
        self.last_done_s: float | None = None
        self.lag: int | None = None
        self.newest_at: datetime | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def admitted(self, published_at: datetime | None = None) -> None:
        """Count one message in; ``published_at`` is Kafka's time of it, UTC."""
        self.newest_at = published_at
        if not self.in_flight:
            self.touch()
        self.in_flight += 1
        self._idle.clear()

    def acknowledged(self) -> None:
        """Count one message done."""
        self.done += 1
        self.last_done_s = self.clock_s()
        self.forgotten(1)

    def forgotten(self, n_messages: int) -> None:
        """Take messages out of flight."""
        self.touch()
        self.in_flight -= n_messages
        if not self.in_flight:
            self._idle.set()

    def wait_s(self, now: datetime) -> float:
        """How long the newest message in flight has waited since Kafka took it, s; 0 when none is.

        What is behind it in Kafka has waited less, and what is in flight in front of it longer: by no more
        than a full waiting room, as long as messages come out.
        """
        if not self.in_flight or self.newest_at is None:
            return 0.0
        return max(0.0, (now - self.newest_at).total_seconds())

    def done_age_s(self) -> float | None:
        """Seconds since something was last acknowledged; None before the first."""
        return None if self.last_done_s is None else self.clock_s() - self.last_done_s

    def touch(self) -> None:
        """Say that all is well now."""
        self.last_s = self.clock_s()

    async def until_idle(self, budget_s: float) -> bool:
        """Wait until nothing is in flight; False when that took longer than the budget."""
        try:
            await asyncio.wait_for(self._idle.wait(), budget_s)
        except TimeoutError:
            return False
        return True
