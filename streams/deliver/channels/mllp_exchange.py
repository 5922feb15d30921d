"""One HL7 v2 message over MLLP, and its acknowledgement: a connection for each, closed after it."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from streams.deliver.channels.channel import ChannelRetryError
from streams.feeds.mllp.framing import Framed, Frames, FramingError, frame

#: An acknowledgement has a handful of segments.
_MOST_ANSWER_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpAddress:
    """Where a listener is.

    Attributes
    ----------
    tls : ssl.SSLContext or None
        With which TLS is spoken; None: plain, as most listeners inside a hospital are.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None


async def exchange(address: MllpAddress, channel: str, content: bytes) -> bytes:
    """Send a message and return what is answered.

    Cancelling closes the connection. Waits as long as the caller lets it.

    Raises
    ------
    ChannelRetryError
        When nobody listens, the connection is lost, or what comes is no MLLP.
    """
    writer = None
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=address.tls)
        writer.write(frame(content))
        await writer.drain()
        return (await _answer(reader, channel)).content
    except FramingError:
        raise ChannelRetryError(f"{channel} answered what is no MLLP; see what listens there") from None
    except (OSError, EOFError) as error:
        raise ChannelRetryError(f"{channel} was not reached: {type(error).__name__}") from None
    finally:
        if writer is not None:
            with suppress(OSError):
                writer.close()


async def _answer(reader: asyncio.StreamReader, channel: str) -> Framed:
    frames = Frames(_MOST_ANSWER_BYTES)
    while chunk := await reader.read(_CHUNK_BYTES):
        for framed in frames.feed(chunk):
            return framed
    raise ChannelRetryError(f"{channel} closed the connection without an answer; it is asked again later")
