"""A TCP proxy on loopback whose network can be cut, held up and slowed while it runs.

It has a thread and an event loop of its own, so that nothing a test does keeps bytes from flowing::

    client ──▶ Proxy.port ──▶ target port        flowing: every byte, in order, ``delay_ms`` after it came
                                                 cut: connections are reset, new ones refused
                                                 stalled: connections stand, nothing arrives at either end
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from ops.services.ports import LOOPBACK, free_port

_CHUNK_BYTES: Final = 64 * 1024

#: Chunks on their way in one direction, 4 MB: more than a fetch of Kafka's default size, and bounded.
_CHUNKS_ON_THE_WAY: Final = 64

#: l_onoff, l_linger: closing sends RST and leaves nothing in TIME_WAIT.
_RESET: Final = struct.pack("ii", 1, 0)

#: When it came to be due (the loop's clock, s), and the bytes; None once the sender has no more.
_OnTheWay = tuple[float, bytes | None]


class Proxy:
    """Carries connections from ``port`` to ``target_port``, both on loopback; also a context manager.

    Parameters
    ----------
    target_port : int
        Need not be listened on yet; a connection whose target refuses is reset.
    port : int or None
        Where clients come; None takes a free one.
    """

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.target_port = target_port
        self.port = free_port() if port is None else port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        # No asyncio.Server: one that is closed while it accepts leaves that connection open for good.
        self._listening: socket.socket | None = None
        self._fresh: set[socket.socket] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._delay_s = 0.0

    def start(self) -> Self:
        """Begin to carry; returns when clients can connect."""
        self._flows.set()
        self._thread.start()
        self._wait_for(self._listen())
        return self

    def stop(self) -> None:
        """Reset all connections and end the thread; twice is as once."""
        if not self._thread.is_alive():
            return
        self._wait_for(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def cut(self) -> None:
        """Reset every connection and refuse new ones, until :meth:`heal`; returns when it is so."""
        await self._aside(self._cut())

    async def stall(self) -> None:
        """Hold every byte back, of both directions, until :meth:`heal`; connections stand and can be made.

        What was sent meanwhile arrives then, as TCP's own repeats make it, even from who gave up and left.
        """
        await self._aside(self._stall())

    async def heal(self) -> None:
        """Carry again, without delay; after :meth:`cut` clients must connect anew."""
        await self._aside(self._heal())

    def set_delay_ms(self, delay_ms: float) -> None:
        """Let every byte from now on arrive this many ms later than it came, in each direction."""
        self._delay_s = delay_ms / 1000

    async def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server((LOOPBACK, self.port))
            self._listening.setblocking(False)
            self._loop.add_reader(self._listening, self._accept, self._listening)

    async def _cut(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            self._loop.remove_reader(listening)
            listening.close()
        for writer in list(self._open):
            _reset(writer)
        while self._fresh:
            with self._fresh.pop() as connection:
                _linger_no_more(connection)
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        if carrying:
            await asyncio.wait(carrying)

    async def _end(self) -> None:
        await self._cut()
        await asyncio.sleep(0)  # what was reset is closed a step later

    async def _stall(self) -> None:
        self._flows.clear()

    async def _heal(self) -> None:
        self._delay_s = 0.0
        self._flows.set()
        await self._listen()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # gone again
        connection.setblocking(False)
        # Until its first step a task that is cancelled does nothing at all, not even clean up.
        self._fresh.add(connection)
        task = self._loop.create_task(self._carry(connection))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, connection: socket.socket) -> None:
        """Carry one connection to its end, which is a reset at both ends when either of them breaks."""
        self._fresh.discard(connection)
        ends: list[asyncio.StreamWriter] = []
        end_with: Callable[[asyncio.StreamWriter], None] = _reset
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            ends.append(writer)
            self._open.add(writer)
            target_reader, target_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
            ends.append(target_writer)
            self._open.add(target_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, target_writer))
                both.create_task(self._forward(target_reader, writer))
            end_with = asyncio.StreamWriter.close
        except* OSError:
            pass  # refused or broken: reset below
        finally:
            for end in ends:
                self._open.discard(end)
                end_with(end)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_the_way: asyncio.Queue[_OnTheWay] = asyncio.Queue(_CHUNKS_ON_THE_WAY)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(reader, on_the_way))
            both.create_task(self._deliver(on_the_way, writer))

    async def _take(self, reader: asyncio.StreamReader, on_the_way: asyncio.Queue[_OnTheWay]) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await on_the_way.put((self._loop.time() + self._delay_s, chunk))
        await on_the_way.put((self._loop.time() + self._delay_s, None))

    async def _deliver(self, on_the_way: asyncio.Queue[_OnTheWay], writer: asyncio.StreamWriter) -> None:
        while True:
            due_s, chunk = await on_the_way.get()
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            await self._flows.wait()
            if chunk is None:
                writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as a network that lost it does."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        _linger_no_more(connection)
    writer.transport.abort()


def _linger_no_more(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
