"""The proxy in front of Kafka and Redis does to real sockets what a network does when it is in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from ops.chaos.proxy import Proxy
from ops.services.ports import LOOPBACK

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: Long enough for a byte to cross loopback many times; what must not arrive is waited for this long.
NOTHING_S = 0.15


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Port of a server that sends back what it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as running:
        yield running


async def connect(proxy: Proxy) -> Connection:
    return await asyncio.open_connection(LOOPBACK, proxy.port)


async def say(connection: Connection, words: bytes) -> bytes:
    reader, writer = connection
    writer.write(words)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(words)), 5)


async def close(connection: Connection) -> None:
    connection[1].transport.abort()


async def test_every_byte_crosses_in_order_both_ways(proxy: Proxy) -> None:
    connection = await connect(proxy)
    words = bytes(range(256)) * 40_000  # 10 MB: more than all buffers together
    connection[1].write(words)
    assert await asyncio.wait_for(connection[0].readexactly(len(words)), 20) == words
    await close(connection)


async def test_the_end_of_a_connection_crosses_too(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"last words")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"last words"
    writer.close()


async def test_a_cut_resets_what_stands_and_refuses_what_comes(proxy: Proxy) -> None:
    connection = await connect(proxy)
    assert await say(connection, b"before") == b"before"

    await proxy.cut()

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].readexactly(1), 5)
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    await proxy.cut()  # twice is as once


async def test_a_healed_cut_serves_on_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    await proxy.cut()
    await proxy.heal()
    connection = await connect(proxy)
    assert await say(connection, b"after") == b"after"
    assert proxy.port == port
    await close(connection)


async def test_a_stall_holds_bytes_back_and_lets_them_go_when_healed(proxy: Proxy) -> None:
    connection = await connect(proxy)
    assert await say(connection, b"before") == b"before"

    await proxy.stall()
    connection[1].write(b"held")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].readexactly(1), NOTHING_S)

    await proxy.heal()
    assert await asyncio.wait_for(connection[0].readexactly(4), 5) == b"held"
    await close(connection)


async def test_in_a_stall_one_connects_and_hears_nothing(proxy: Proxy) -> None:
    await proxy.stall()
    connection = await connect(proxy)
    connection[1].write(b"anybody there?")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].read(1), NOTHING_S)
    await proxy.heal()
    assert await asyncio.wait_for(connection[0].readexactly(14), 5) == b"anybody there?"
    await close(connection)


async def test_a_stall_that_is_cut_does_not_deliver(proxy: Proxy) -> None:
    connection = await connect(proxy)
    await proxy.stall()
    connection[1].write(b"lost")
    await proxy.cut()
    await proxy.heal()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].readexactly(1), 5)


async def test_a_delay_holds_each_way_and_does_not_add_up(proxy: Proxy) -> None:
    connection = await connect(proxy)
    await say(connection, b"warm")
    proxy.set_delay_ms(60)

    began_s = time.monotonic()
    for number in range(20):
        connection[1].write(b"%02d" % number)
        await asyncio.sleep(0)
    echoed = await asyncio.wait_for(connection[0].readexactly(40), 5)
    took_s = time.monotonic() - began_s

    assert echoed == b"".join(b"%02d" % number for number in range(20))
    assert took_s >= 0.12  # there and back
    assert took_s < 20 * 0.12  # not one after the other

    await proxy.heal()
    began_s = time.monotonic()
    await say(connection, b"prompt")
    assert time.monotonic() - began_s < 0.12
    await close(connection)


async def test_a_target_that_refuses_resets_the_client() -> None:
    async def first_byte() -> None:
        connection = await connect(nobody)  # the reset may come this early
        try:
            await asyncio.wait_for(connection[0].readexactly(1), 5)
        finally:
            await close(connection)

    with Proxy(target_port=1) as nobody, pytest.raises(ConnectionResetError):
        await first_byte()


async def test_a_target_that_dies_resets_the_client() -> None:
    came: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: came.put_nowait(writer), LOOPBACK, 0)
    with Proxy(server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"x")
        (await came.get()).transport.abort()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
    server.close()


async def test_after_its_end_nobody_listens(echo: int) -> None:
    proxy = Proxy(echo).start()
    proxy.stop()
    proxy.stop()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
