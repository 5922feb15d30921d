"""The life of a way in as a process: open the gateway, serve until told to stop, end in order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from streams.feeds.gateway import Gateway

G = TypeVar("G", bound=Gateway)


async def serve_until_told(
    opening: AbstractAsyncContextManager[G], serve: Callable[[G, asyncio.Event], Awaitable[None]]
) -> None:
    """Open a gateway and serve with it until SIGTERM or Ctrl-C.

    Parameters
    ----------
    opening : context manager
        Of :func:`streams.feeds.gateway_assembly.open_gateway`. A signal while it still waits ends that wait.
    serve : callable
        Given the gateway and the event that is set on a signal; it returns soon after that, having taken
        nothing new. Leaving the gateway then waits for what is on its way.
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
        async with opening as gateway:
            is_open = True
            await serve(gateway, stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
