"""Whether Kafka answers, asked now and then, so that a feed can say so before somebody delivers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka.errors import KafkaError

#: How often it is asked, and how long it may take to answer, s: an outage shows within ten seconds.
EVERY_S: Final = 5.0
WITHIN_S: Final = 5.0


class Pulse:
    """Asks, and remembers whether the last question was answered.

    Parameters
    ----------
    ask : callable
        Any question; its answer does not matter.
    every_s, within_s : float
        Pause between questions, and longest time for an answer, s.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Any]], every_s: float = EVERY_S, within_s: float = WITHIN_S
    ) -> None:
        self._ask = ask
        self._every_s = every_s
        self._within_s = within_s
        self._is_answered = True
        self._asking: asyncio.Task[None] | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the last question was answered; true until one was not."""
        return self._is_answered

    def start(self) -> None:
        """Begin to ask."""
        self._asking = asyncio.create_task(self._ask_on())

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._within_s):
                    await self._ask()
            except (KafkaError, OSError):  # TimeoutError among them
                self._is_answered = False
            else:
                self._is_answered = True
            await asyncio.sleep(self._every_s)
