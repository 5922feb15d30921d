"""One dead letter as its headers tell it, without anything of the message that it holds."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.errors import ConfigurationError
from streams import dead_letters
from streams.message import Headers, Message

#: Headers that say why; what stands beside them came with the message.
_UNKNOWN: Final = "?"
_PLACE: Final = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249}):(?P<partition>\d{1,9}):(?P<offset>\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where a message lies; written ``topic:partition:offset``, which names it for good."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """As people and headers write it."""
        return f"{self.topic}:{self.partition}:{self.offset}"


def parse_place(text: str) -> Place:
    """Read what :class:`Place` writes.

    Raises
    ------
    ConfigurationError
        When it is none.

    >>> parse_place("ecg.recorded.v1.dlq:2:17").offset
    17
    """
    match = _PLACE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text} names no dead letter; write topic:partition:offset as dlq list prints it, "
            "such as ecg.recorded.v1.dlq:2:17"
        )
    return Place(topic=match["topic"], partition=int(match["partition"]), offset=int(match["offset"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What is said of one dead letter; nothing of it is a patient's.

    Attributes
    ----------
    place : Place
        Of the letter itself; its id.
    at : datetime
        When Kafka took the letter, UTC.
    origin : Place or None
        Where the message lay that could not be processed; None when the letter does not say.
    attempt : int
        1 for a message that failed as it came, one more for each replay that failed again; 0: not said.
    is_retryable : bool
        The stage held the failure for one that may pass.
    size_bytes : int
        Of the value as the letter holds it.
    cut_from_bytes : int or None
        Length of the value of which the letter holds only the beginning; None when it holds the whole.
    """

    place: Place
    at: datetime
    stage: str
    code: str
    reason: str
    origin: Place | None
    attempt: int
    is_retryable: bool
    app_version: str
    size_bytes: int
    cut_from_bytes: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the letter holds only the beginning of the message."""
        return self.cut_from_bytes is not None


def letter_of(message: Message) -> DeadLetter:
    """Read the headers of a message on a dead-letter topic, whoever wrote them.

    What is missing or no number is left open (``?``, 0, None): whatever lies there can be listed.
    """
    said = _said(message.headers)
    return DeadLetter(
        place=Place(topic=message.topic, partition=message.partition, offset=message.offset),
        at=message.timestamp,
        stage=said.get(dead_letters.STAGE, _UNKNOWN),
        code=said.get(dead_letters.ERROR_CODE, _UNKNOWN),
        reason=said.get(dead_letters.ERROR_MESSAGE, _UNKNOWN),
        origin=_origin(said),
        attempt=_number(said.get(dead_letters.ATTEMPT, "")) or 0,
        is_retryable=said.get(dead_letters.RETRYABLE) == "true",
        app_version=said.get(dead_letters.APP_VERSION, _UNKNOWN),
        size_bytes=message.size_bytes,
        cut_from_bytes=_number(said.get(dead_letters.CUT_FROM_BYTES, "")),
    )


def headers_as_received(headers: Headers) -> Headers:
    """Leave out what the dead letter added: the headers of the message as it came."""
    return tuple(header for header in headers if not header[0].startswith(dead_letters.PREFIX))


def printable(raw: bytes) -> str:
    r"""Write bytes so that no terminal obeys them, whoever wrote them.

    >>> printable(b"a" + bytes([27]) + b"[2J")
    'a\\x1b[2J'
    """
    return "".join(
        char if char.isprintable() else f"\\x{ord(char):02x}" for char in raw.decode("utf-8", "replace")
    )


def _said(headers: Headers) -> dict[str, str]:
    return {name: printable(text or b"") for name, text in headers if name.startswith(dead_letters.PREFIX)}


def _origin(said: dict[str, str]) -> Place | None:
    parts = (said.get(name, "") for name in (dead_letters.TOPIC, dead_letters.PARTITION, dead_letters.OFFSET))
    match = _PLACE.fullmatch(":".join(parts))
    return parse_place(match[0]) if match else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 18 else None
