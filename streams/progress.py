"""How far a worker is: what is in flight and when something was last done. Health and watchdog read it."""

import asyncio
from collections.abc import Callable


class Progress:
    """Counts messages between admission and acknowledgement, for one event loop.

    Attributes
    ----------
    clock_s : callable
        Monotonic seconds.
    last_s : float
        When something was last acknowledged, or the worker began or was given work after having none.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self.clock_s = clock_s
        self.last_s = clock_s()
        self.in_flight = 0
        self.done = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def admitted(self) -> None:
        """Count one message in."""
        if not self.in_flight:
            self.touch()
        self.in_flight += 1
        self._idle.clear()

    def acknowledged(self) -> None:
        """Count one message done."""
        self.done += 1
        self.forgotten(1)

    def forgotten(self, n_messages: int) -> None:
        """Take messages out of flight."""
        self.touch()
        self.in_flight -= n_messages
        if not self.in_flight:
            self._idle.set()

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
