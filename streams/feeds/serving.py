"""The life of a server as a process: open what it needs, serve until told to stop, end in order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

Opened = TypeVar("Opened")


async def serve_until_told(
    opening: AbstractAsyncContextManager[Opened], serve: Callable[[Opened, asyncio.Event], Awaitable[None]]
) -> None:
    """Open a gateway, or whatever else serves, and serve with it until SIGTERM or Ctrl-C.

    Parameters
    ----------
    opening : context manager
        Of :func:`streams.feeds.gateway_assembly.open_gateway`. A signal while it still waits ends that wait.
    serve : callable
        Given what was opened and the event that is set on a signal; it returns soon after that, having taken
        nothing new. Leaving a gateway then waits for what is on its way.
    """
    loop, main, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    is_open = False

    def tell() -> None:
        was_told = stop.is_set()
        stop.set()
        if not was_told and not is_open and main is not None:
            main.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    try:
        async with opening as opened:
            is_open = True
            await serve(opened, stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
