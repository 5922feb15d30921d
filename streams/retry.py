"""Trying again: pauses that double, one log line when trouble begins and one when it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from schemas.errors import FatalError, RetriableError
from streams.metrics import StageMetrics

Out = TypeVar("Out")
log = structlog.get_logger()


class GivenUpError(Exception):
    """The partitions are being taken away: somebody else will do this work."""


class TriedEnoughError(FatalError):
    """What was tried again may succeed in a fresh process, and no longer here."""

    code = "TRIED_ENOUGH"


class Retrying:
    """Does something until it succeeds, or until told to give up.

    Parameters
    ----------
    first_s, most_s : float
        First and longest pause.
    """

    def __init__(self, stage: str, first_s: float, most_s: float, metrics: StageMetrics) -> None:
        self._stage = stage
        self._first_s = first_s
        self._most_s = most_s
        self._metrics = metrics
        self._give_up = asyncio.Event()
        self.held_up_by: str | None = None

    def give_up(self) -> None:
        """End the pauses of whatever is being tried now with GivenUpError."""
        self._give_up.set()
        self._give_up = asyncio.Event()

    async def until_done(self, what: str, attempt: Callable[[], Awaitable[Out]]) -> Out:
        """Await ``attempt()``; on RetriableError pause and do it again.

        Raises
        ------
        GivenUpError
            When :meth:`give_up` was called while pausing.
        TriedEnoughError
            After as many attempts as the error allows one process.
        """
        give_up = self._give_up
        pause_s, n_attempts = self._first_s, 0
        while True:
            n_attempts += 1
            try:
                done = await attempt()
            except RetriableError as error:
                _require_more(error, n_attempts)
                self._note_trouble(what, error, pause_s)
                await self._pause(pause_s, give_up)
                pause_s = min(2 * pause_s, self._most_s)
            else:
                self._note_success(what)
                return done

    async def _pause(self, pause_s: float, give_up: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(give_up.wait(), pause_s)
        except TimeoutError:
            return
        self.held_up_by = None
        self._metrics.retrying.set(0)
        raise GivenUpError

    def _note_trouble(self, what: str, error: RetriableError, pause_s: float) -> None:
        self._metrics.count_retry(error.code)
        self._metrics.retrying.set(1)
        if self.held_up_by != error.code:
            log.warning(
                "held_up",
                stage=self._stage,
                doing=what,
                code=error.code,
                reason=str(error),
                retry_in_s=round(pause_s, 1),
            )
        self.held_up_by = error.code

    def _note_success(self, what: str) -> None:
        if self.held_up_by is not None:
            log.info("going_on", stage=self._stage, doing=what, after=self.held_up_by)
            self.held_up_by = None
            self._metrics.retrying.set(0)


def _require_more(error: RetriableError, n_attempts: int) -> None:
    if error.max_attempts is not None and n_attempts >= error.max_attempts:
        raise TriedEnoughError(
            f"{error.code} after {n_attempts} attempts: {error}; a fresh process tries again"
        ) from error
