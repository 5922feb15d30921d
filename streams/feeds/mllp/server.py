"""The MLLP listener: connections, their bounds, and answers in the order of the messages.

On each connection messages are read while earlier ones are being dealt with, up to a bound; beyond it
reading stops, and TCP makes the sender wait. What a connection brought is dealt with to its end even if the
sender has gone: it will send the same again, and that changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import structlog

from schemas.errors import ConfigurationError
from streams.feeds.mllp.framing import Framed, Frames, FramingError, frame
from streams.tally import where_raised

log = structlog.get_logger()

_CHUNK_BYTES: Final = 64 * 1024

#: A peer that does not take its answers for this long is let go, s.
_SEND_TIMEOUT_S: Final = 30.0

Networks = Sequence[IPv4Network | IPv6Network]

#: Deal with one message; None: nothing is answered.
Answers = Callable[[Framed], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one peer may take.

    Attributes
    ----------
    max_bytes : int
        Of one message.
    max_connections : int
        At a time; a further one is closed at once.
    max_in_flight : int
        Messages of one connection that are being dealt with at a time.
    idle_timeout_s : float
        A connection on which no message begins for this long is closed.
    message_timeout_s : float
        A message that takes longer to arrive ends its connection.
    drain_budget_s : float
        When stopping, longest wait for what is in flight.
    allowed : networks
        Whose connections are taken; empty: anybody's.
    """

    max_bytes: int = 32 * 2**20
    max_connections: int = 64
    max_in_flight: int = 4
    idle_timeout_s: float = 3600.0
    message_timeout_s: float = 60.0
    drain_budget_s: float = 40.0
    allowed: Networks = ()

    def admits(self, peer: str) -> bool:
        """Whether this address may connect."""
        if not self.allowed:
            return True
        address = ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.allowed)


@asynccontextmanager
async def listen(answers: Answers, bounds: Bounds, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Take messages while the context lasts; yields the address.

    Leaving it stops listening and reading, finishes and answers what is in flight, then closes.

    Raises
    ------
    ConfigurationError
        When the address cannot be had.
    """
    listener = _Listener(answers, bounds)
    try:
        server = await asyncio.start_server(listener.connected, host, port, limit=2 * _CHUNK_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port"
        ) from None
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await listener.drain()


class _Listener:
    """All connections of one server."""

    def __init__(self, answers: Answers, bounds: Bounds) -> None:
        self._answers = answers
        self._bounds = bounds
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, or close it at once."""
        peer = writer.get_extra_info("peername")[0]
        if not self._bounds.admits(peer) or len(self._connections) >= self._bounds.max_connections:
            why = "too_many" if self._bounds.admits(peer) else "not_allowed"
            log.warning("connection_refused", feed="mllp", peer=peer, why=why)
            writer.close()
            return
        connection = _Connection(reader, writer, self._answers, self._bounds)
        task = asyncio.create_task(connection.serve())
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._connections[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Its text is not ours and may quote the message.
            where = where_raised(error)
            log.error("connection_failed", feed="mllp", code=type(error).__name__, raised_at=where)

    async def drain(self) -> None:
        """Read no more, answer what is in flight, close."""
        tasks = dict(self._connections)
        for connection in tasks.values():
            connection.read_no_more()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._bounds.drain_budget_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class _Connection:
    """One sender."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: Answers,
        bounds: Bounds,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answers = answers
        self._bounds = bounds
        self._in_flight: asyncio.Queue[asyncio.Task[bytes | None] | None] = asyncio.Queue()
        self._free = asyncio.Semaphore(bounds.max_in_flight)
        self._reading = asyncio.create_task(self._read())

    def read_no_more(self) -> None:
        """Stop reading; a message that has not arrived whole was not acknowledged, and comes again."""
        self._reading.cancel()

    async def serve(self) -> None:
        """Take messages until the sender leaves, breaks a rule, or reading is stopped."""
        answering = asyncio.create_task(self._answer_in_order())
        try:
            await asyncio.wait({self._reading, answering}, return_when=asyncio.FIRST_COMPLETED)
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._in_flight.put_nowait(None)
            await answering
        finally:
            self._reading.cancel()
            answering.cancel()
            self._writer.close()

    async def _read(self) -> None:
        frames = Frames(self._bounds.max_bytes)
        try:
            while chunk := await self._chunk(frames):
                for framed in frames.feed(chunk):
                    await self._free.acquire()
                    self._in_flight.put_nowait(asyncio.create_task(self._answered(framed)))
                    self._begin_message()  # of the next one, which may have begun in this chunk
        except FramingError as error:
            log.warning("connection_closed", feed="mllp", reason=str(error))
        except TimeoutError:
            log.info("connection_closed", feed="mllp", reason="nothing came for too long")
        except ConnectionError:
            pass  # the sender left; what it sent is dealt with all the same

    async def _chunk(self, frames: Frames) -> bytes:
        """Return the next bytes; none at the end."""
        if frames.is_inside:
            async with asyncio.timeout_at(self._message_due):
                return await self._reader.read(_CHUNK_BYTES)
        async with asyncio.timeout(self._bounds.idle_timeout_s):
            chunk = await self._reader.read(_CHUNK_BYTES)
        self._begin_message()
        return chunk

    def _begin_message(self) -> None:
        self._message_due = asyncio.get_running_loop().time() + self._bounds.message_timeout_s

    async def _answered(self, framed: Framed) -> bytes | None:
        try:
            return await self._answers(framed)
        finally:
            self._free.release()

    async def _answer_in_order(self) -> None:
        """Send answers as messages came; after one that cannot be given none is, for it would be misread."""
        may_send, failures = True, []
        while (answering := await self._in_flight.get()) is not None:
            await asyncio.wait({answering})
            if (error := answering.exception()) is not None:
                failures.append(error)
                may_send = False
                self._reading.cancel()
            elif may_send and (answer := answering.result()) is not None:
                may_send = await self._send(frame(answer))
        if failures:
            raise failures[0]

    async def _send(self, framed: bytes) -> bool:
        try:
            self._writer.write(framed)
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._writer.drain()
        except (ConnectionError, TimeoutError):
            return False
        return True
