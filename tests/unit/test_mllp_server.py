"""Real connections: answers in order, bounds that hold, and an end that leaves nothing half done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from streams.feeds.mllp.framing import Framed, frame
from streams.feeds.mllp.server import Bounds, listen

WITHIN_S = 5.0
Answers = Callable[[Framed], Awaitable[bytes | None]]


async def echo(framed: Framed) -> bytes:
    return (b"cut:" if framed.is_cut else b"") + framed.content


class Held:
    """Answers each message once told to; the tests decide in which order."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.finished: list[bytes] = []
        self._free: dict[bytes, asyncio.Event] = {}

    async def __call__(self, framed: Framed) -> bytes:
        self.arrived.put_nowait(framed.content)
        await self._event(framed.content).wait()
        self.finished.append(framed.content)
        return framed.content

    def let_go(self, *contents: bytes) -> None:
        for content in contents:
            self._event(content).set()

    def _event(self, content: bytes) -> asyncio.Event:
        return self._free.setdefault(content, asyncio.Event())


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *contents: bytes) -> None:
        self.writer.write(b"".join(map(frame, contents)))
        await self.writer.drain()

    async def receive(self) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return (await self.reader.readuntil(b"\x1c\r"))[1:-2]

    async def is_closed(self) -> bool:
        """Whether the other side closes within due time."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def serving(
    answers: Answers, bounds: Bounds | None = None
) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    clients: list[Client] = []

    async with listen(answers, bounds or Bounds(), "127.0.0.1", 0) as address:

        async def connect() -> Client:
            clients.append(Client(*await asyncio.open_connection(*address)))
            return clients[-1]

        yield connect
    for client in clients:
        client.writer.close()


async def test_pipelined_messages_are_dealt_with_at_once_and_answered_in_order() -> None:
    held = Held()
    async with serving(held) as connect:
        client = await connect()
        await client.send(b"1", b"2", b"3")
        assert [await held.arrived.get() for _ in range(3)] == [b"1", b"2", b"3"]
        held.let_go(b"3", b"2")
        held.let_go(b"1")
        assert [await client.receive() for _ in range(3)] == [b"1", b"2", b"3"]


async def test_connections_do_not_wait_for_each_other() -> None:
    held = Held()
    async with serving(held) as connect:
        slow, fast = await connect(), await connect()
        await slow.send(b"slow")
        await fast.send(b"fast")
        held.let_go(b"fast")
        assert await fast.receive() == b"fast"
        held.let_go(b"slow")
        assert await slow.receive() == b"slow"


async def test_no_more_than_the_bound_is_in_flight_on_one_connection() -> None:
    held = Held()
    async with serving(held, Bounds(max_in_flight=2)) as connect:
        client = await connect()
        await client.send(b"1", b"2", b"3")
        assert [await held.arrived.get(), await held.arrived.get()] == [b"1", b"2"]
        other = await connect()
        await other.send(b"x")
        assert await held.arrived.get() == b"x"  # the third of the first connection still waits
        held.let_go(b"1")
        assert await held.arrived.get() == b"3"
        held.let_go(b"2", b"3", b"x")
        assert [await client.receive() for _ in range(3)] == [b"1", b"2", b"3"]


async def test_a_message_byte_by_byte_arrives() -> None:
    async with serving(echo) as connect:
        client = await connect()
        for byte in frame(b"MSH|"):
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert await client.receive() == b"MSH|"


async def test_a_message_that_is_too_large_is_answered_and_the_connection_goes_on() -> None:
    async with serving(echo, Bounds(max_bytes=1000)) as connect:
        client = await connect()
        await client.send(b"x" * 3_000_000, b"next")
        assert (await client.receive()).startswith(b"cut:xxx")
        assert await client.receive() == b"next"


async def test_a_peer_that_speaks_no_mllp_is_cut_off() -> None:
    async with serving(echo) as connect:
        client, other = await connect(), await connect()
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.is_closed()
        await other.send(b"well")
        assert await other.receive() == b"well"


@pytest.mark.parametrize("beginning", [b"", frame(b"1"), b"\x0bMSH|"], ids=["nothing", "one", "half"])
async def test_a_silent_peer_is_cut_off(beginning: bytes) -> None:
    async with serving(echo, Bounds(idle_timeout_s=0.05, message_timeout_s=0.05)) as connect:
        client = await connect()
        client.writer.write(beginning)
        if beginning.endswith(b"\r"):
            assert await client.receive() == b"1"
        assert await client.is_closed()


async def test_one_connection_too_many_is_closed_at_once_and_taken_later() -> None:
    async with serving(echo, Bounds(max_connections=1)) as connect:
        first = await connect()
        await first.send(b"1")
        assert await first.receive() == b"1"
        assert await (await connect()).is_closed()
        first.writer.close()
        await first.writer.wait_closed()
        async with asyncio.timeout(WITHIN_S):
            while True:  # until the server has noticed that the first one left
                again = await connect()
                await again.send(b"2")
                try:
                    assert await again.receive() == b"2"
                    break
                except (ConnectionError, asyncio.IncompleteReadError):
                    continue


@pytest.mark.parametrize(("network", "is_taken"), [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
async def test_only_allowed_networks_are_taken(network: str, is_taken: bool) -> None:
    async with serving(echo, Bounds(allowed=(ip_network(network),))) as connect:
        client = await connect()
        if not is_taken:
            assert await client.is_closed()
            return
        await client.send(b"1")
        assert await client.receive() == b"1"


def test_an_ipv4_peer_of_an_ipv6_socket_is_known_by_its_ipv4_address() -> None:
    bounds = Bounds(allowed=(ip_network("10.0.0.0/8"),))
    assert bounds.admits("::ffff:10.1.2.3")
    assert not bounds.admits("::ffff:11.1.2.3")
    assert not bounds.admits("fe80::1%eth0")


async def test_what_a_lost_connection_brought_is_dealt_with_to_its_end() -> None:
    held = Held()
    async with serving(held) as connect:
        client = await connect()
        await client.send(b"1", b"2")
        await held.arrived.get()
        await held.arrived.get()
        client.writer.transport.abort()
        held.let_go(b"1", b"2")
    assert held.finished == [b"1", b"2"]


async def test_stopping_answers_what_is_in_flight_and_reads_no_more() -> None:
    held = Held()
    async with serving(held) as connect:
        client = await connect()
        await client.send(b"1")
        client.writer.write(b"\x0bhalf a mess")
        await held.arrived.get()
        asyncio.get_running_loop().call_later(0.05, held.let_go, b"1")
    assert held.finished == [b"1"]
    assert await client.receive() == b"1"
    assert await client.is_closed()


async def test_stopping_does_not_wait_for_ever() -> None:
    held = Held()
    async with serving(held, Bounds(drain_budget_s=0.05)) as connect:
        client = await connect()
        await client.send(b"1")
        await held.arrived.get()
    assert held.finished == []
    assert await client.is_closed()
    held.let_go(b"1")


async def test_after_a_message_that_cannot_be_answered_the_connection_ends() -> None:
    async def fails_on_two(framed: Framed) -> bytes:
        if framed.content == b"2":
            raise ZeroDivisionError
        return framed.content

    async with serving(fails_on_two) as connect:
        client, other = await connect(), await connect()
        await client.send(b"1", b"2", b"3")
        assert await client.receive() == b"1"
        assert await client.is_closed()
        await other.send(b"4")
        assert await other.receive() == b"4"


async def test_a_message_that_wants_no_answer_gets_none() -> None:
    async def silent_on_one(framed: Framed) -> bytes | None:
        return None if framed.content == b"1" else framed.content

    async with serving(silent_on_one) as connect:
        client = await connect()
        await client.send(b"1", b"2")
        assert await client.receive() == b"2"
