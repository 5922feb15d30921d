"""The life of a server as a process: open what it needs, serve until told to stop or until it can no more."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NoReturn, Protocol, TypeVar, runtime_checkable

#: A feed that can do no more ends what is under way within this, s, or is cut: longer than the two drain
#: budgets and the flush of the longest shutdown in order.
LEAVE_S: Final = 120.0

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@runtime_checkable
class CanBeOver(Protocol):
    """What a process is there for, and without which it had better start anew: a gateway is of the kind."""

    async def until_over(self) -> NoReturn:
        """Wait, and raise once it can do nothing more, whatever it is given."""


Opened = TypeVar("Opened")


async def serve_until_told(
    opening: AbstractAsyncContextManager[Opened],
    serve: Callable[[Opened, asyncio.Event], Awaitable[None]],
    leave_s: float = LEAVE_S,
) -> None:
    """Open a gateway, or whatever else serves, and serve with it until SIGTERM or Ctrl-C.

    Parameters
    ----------
    opening : context manager
        Of :func:`streams.feeds.gateway_assembly.open_gateway`. A signal while it still waits ends that wait.
    serve : callable
        Given what was opened and the event that is set on a signal; it returns soon after that, having taken
        nothing new. Leaving a gateway then waits for what is on its way.
    leave_s : float
        Longest time for that when the gateway can do no more, s.

    Raises
    ------
    DiastoleError
        What :meth:`CanBeOver.until_over` raised: the process is to leave with its code, for its supervisor to
        start it anew.
    """
    life = _Life(leave_s)
    try:
        async with opening as opened:
            life.begin(opened)
            try:
                await serve(opened, life.stop)
            finally:
                life.watch_no_more()
    except asyncio.CancelledError:
        if not life.stop.is_set():
            raise
    finally:
        life.end()
    life.require_not_over()


class _Life:
    """Signals and the end of what the process is there for, both told to it by ``stop``."""

    def __init__(self, leave_s: float) -> None:
        main = asyncio.current_task()
        if main is None:
            raise AssertionError("a coroutine runs in a task")
        self.stop = asyncio.Event()
        self._main = main
        self._loop = asyncio.get_running_loop()
        self._leave_s = leave_s
        self._watching: asyncio.Task[NoReturn] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._is_open = False
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._signalled)

    def begin(self, opened: object) -> None:
        """Watch what was opened where it can be over; from now on a signal only sets ``stop``."""
        self._is_open = True
        if isinstance(opened, CanBeOver):
            self._watching = asyncio.create_task(opened.until_over())
            self._watching.add_done_callback(self._over)

    def watch_no_more(self) -> None:
        """Take no more notice; what is over already stays so."""
        if self._watching is not None:
            self._watching.cancel()

    def end(self) -> None:
        """Leave signals to others again."""
        if self._cut is not None:
            self._cut.cancel()
        for number in _SIGNALS:
            self._loop.remove_signal_handler(number)

    def require_not_over(self) -> None:
        """Raise why it was over, if it was."""
        watched = self._watching
        if watched is not None and watched.done() and not watched.cancelled():
            watched.result()

    def _signalled(self) -> None:
        was_told = self.stop.is_set()
        self.stop.set()
        if not was_told and not self._is_open:
            self._main.cancel()

    def _over(self, watched: "asyncio.Task[NoReturn]") -> None:
        if not watched.cancelled():
            self.stop.set()
            self._cut = self._loop.call_later(self._leave_s, self._main.cancel)
