"""Asking health addresses: what a process says of itself, or that it says nothing."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import ConfigurationError

#: Of an answer; ours have one kilobyte.
_MOST_BYTES: Final = 2**16

#: Of what another process says of itself, in an alarm.
_MOST_CHARS: Final = 300

_ADDRESS: Final = re.compile(
    r"(?:(?P<name>[\w.-]{1,60})=)?(?P<host>[\w.-]{1,200}|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a process tells its health.

    Attributes
    ----------
    name : str
        What the operator calls it; ``host:port`` where it has no name.
    """

    name: str
    host: str
    port: int

    @property
    def source(self) -> str:
        """Source of its alarms: no stage has such a name.

        >>> Address(name="infer-1", host="127.0.0.1", port=9464).source
        'worker:infer-1'
        """
        return f"worker:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one process said.

    Attributes
    ----------
    is_silent : bool
        It takes connections and does not answer in time.
    is_absent : bool
        Nobody takes the connection.
    why : str
        Its own words.
    """

    is_ready: bool = False
    is_silent: bool = False
    is_absent: bool = False
    is_stalled: bool = False
    is_behind: bool = False
    stage: str = ""
    why: str = ""


def parsed_addresses(text: str) -> tuple[Address, ...]:
    """Read ``[name=]host:port[,…]``.

    Raises
    ------
    ConfigurationError
        When one is none, or two have the same name.

    Examples
    --------
    >>> [each.name for each in parsed_addresses("infer=127.0.0.1:9465, deliver:9464")]
    ['infer', 'deliver:9464']
    """
    found = [_ADDRESS.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    if not all(each and 0 < int(each["port"]) < 2**16 for each in found):
        raise ConfigurationError("DIASTOLE_WATCH_WORKERS: must be [name=]host:port[,[name=]host:port…]")
    addresses = tuple(
        Address(
            name=each["name"] or f"{each['host']}:{each['port']}",
            host=each["host"].strip("[]"),
            port=int(each["port"]),
        )
        for each in found
        if each
    )
    if len({each.name for each in addresses}) < len(addresses):
        raise ConfigurationError("DIASTOLE_WATCH_WORKERS: each must have a name of its own")
    return addresses


async def ask(address: Address, within_s: float) -> Sequence[Answer]:
    """Ask every process an address stands for, all at once; none where the name is not known."""
    try:
        async with asyncio.timeout(within_s):
            found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=1)
    except (OSError, TimeoutError):
        return ()
    hosts = sorted({str(place[0]) for *_, place in found})
    return await asyncio.gather(*(_ask_one(host, address.port, within_s) for host in hosts))


async def _ask_one(host: str, port: int, within_s: float) -> Answer:
    try:
        async with asyncio.timeout(within_s):
            return _understood(await _fetched(host, port))
    except TimeoutError:
        return Answer(is_silent=True)
    except (OSError, asyncio.IncompleteReadError):
        return Answer(is_absent=True)


async def _fetched(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = b""
        while len(answer) < _MOST_BYTES and (part := await reader.read(_MOST_BYTES)):
            answer += part
        return answer
    finally:
        writer.close()


def _understood(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        told: Any = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Answer(why="what answers there is no health endpoint of Diastole")
    return Answer(
        is_ready=b" 200 " in head.partition(b"\r\n")[0] + b" ",
        is_stalled=told.get("stalled") is True,
        is_behind=told.get("behind") is True,
        stage=str(told.get("stage", ""))[:_MOST_CHARS],
        why=_printable(str(told.get("why", ""))),
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:_MOST_CHARS]
