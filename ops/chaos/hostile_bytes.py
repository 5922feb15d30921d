"""What is done to the bytes of a lawful record; each is a function of the bytes and a seeded source alone."""

import random
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from fastavro import schemaless_writer

from schemas.mapping import to_plain
from schemas.registry import current_schema

#: Bytes in front of every body: the marker 0x00 and the id of the schema.
HEAD_BYTES: Final = 5

#: Above what a worker decodes (2 MiB), below what the smallest topic takes with its headers.
OVERSIZED_BYTES: Final = 2 * 2**20 + 1

_DOUBLE: Final = struct.Struct("<d")
_ODD_DOUBLES: Final = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, -0.0)
_VARINTS: Final = (b"\xff" * 9 + b"\x01", b"\xff" * 40, b"\xff\xff\xff\xff\x0f", b"\x01", b"\x80" * 20)

Mutate = Callable[[bytes, random.Random], bytes]


def _at(content: bytes, chance: random.Random) -> int:
    """Draw a place, half of the time in the first 200 bytes: behind them lie samples, all lawful."""
    most = len(content) if chance.random() < 0.5 else min(len(content), 200)
    return chance.randrange(max(most, 1))


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Change some bits, or whole bytes."""
    harmed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        place = _at(content, chance)
        harmed[place] ^= chance.choice((1 << chance.randrange(8), chance.randrange(1, 256)))
    return bytes(harmed)


def cut(content: bytes, chance: random.Random) -> bytes:
    """Leave out the end."""
    return content[: _at(content, chance)]


def with_a_hole(content: bytes, chance: random.Random) -> bytes:
    """Leave out a run."""
    start = _at(content, chance)
    return content[:start] + content[start + chance.choice((1, 2, 8, 64, 4096)) :]


def inserted(content: bytes, chance: random.Random) -> bytes:
    """Put a run of anything in between."""
    start = _at(content, chance)
    return content[:start] + chance.randbytes(chance.choice((1, 2, 24, 500))) + content[start:]


def repeated(content: bytes, chance: random.Random) -> bytes:
    """Repeat a run."""
    start = _at(content, chance)
    end = start + chance.choice((1, 4, 36, 300))
    return content[:end] + content[start:]


def with_an_odd_double(content: bytes, chance: random.Random) -> bytes:
    """Write NaN, an infinity or an extreme over eight bytes."""
    start = _at(content, chance)
    return content[:start] + _DOUBLE.pack(chance.choice(_ODD_DOUBLES)) + content[start + _DOUBLE.size :]


def with_a_huge_length(content: bytes, chance: random.Random) -> bytes:
    """Let a length or a count say more than there is, or never end."""
    start = max(_at(content, chance), HEAD_BYTES)
    return content[:start] + chance.choice(_VARINTS) + content[start + chance.choice((0, 1)) :]


def of_zeros(content: bytes, chance: random.Random) -> bytes:
    """Make a body of zeros: nothing but nulls, empty lists and empty texts, or ever more of them."""
    return content[:HEAD_BYTES] + bytes(chance.choice((0, 1, 100, 10_000, 300_000)))


def with_another_schema(content: bytes, chance: random.Random) -> bytes:
    """Name a schema by a small id: another of ours, or none."""
    return b"\0" + chance.randrange(40).to_bytes(4, "big") + content[HEAD_BYTES:]


def with_no_schema(content: bytes, chance: random.Random) -> bytes:
    """Name a schema by an id nobody has given yet."""
    return b"\0" + chance.randrange(2**31, 2**32).to_bytes(4, "big") + content[HEAD_BYTES:]


def with_another_marker(content: bytes, chance: random.Random) -> bytes:
    """Begin with another byte than the wire format does."""
    return bytes((chance.randrange(1, 256),)) + content[1:]


def garbage(content: bytes, chance: random.Random) -> bytes:
    """Make anything at all, but not in the wire format."""
    return b"\xff" + chance.randbytes(chance.choice((0, 3, 50, 5000)))


def followed(content: bytes, chance: random.Random) -> bytes:
    """Let something follow behind the record."""
    return content + chance.randbytes(chance.choice((1, 10, 1000)))


def emptied(content: bytes, chance: random.Random) -> bytes:
    """Leave nothing, which is no null."""
    return b""


def oversized(content: bytes, chance: random.Random) -> bytes:
    """Make more than any worker decodes; compressed, every topic takes it."""
    return content[:HEAD_BYTES] + bytes(OVERSIZED_BYTES)


#: Mutations whose outcome depends on what they meet.
OPEN_MUTATIONS: Final[tuple[Mutate, ...]] = (
    flipped,
    flipped,
    cut,
    with_a_hole,
    inserted,
    repeated,
    with_an_odd_double,
    with_a_huge_length,
    of_zeros,
    with_another_schema,
)

#: Mutations after which no stage can take the record, and the code that its dead letter must bear.
SURE_MUTATIONS: Final[Mapping[Mutate, str]] = {
    garbage: "DECODE",
    with_another_marker: "DECODE",
    with_no_schema: "UNKNOWN_SCHEMA",
    followed: "DECODE",
    emptied: "DECODE",
}


def spliced(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Join the beginning of one message and the end of another."""
    return content[: _at(content, chance)] + other[_at(other, chance) :]


def with_an_absurd_field(record: Any, prefix: bytes, chance: random.Random) -> bytes | None:
    """Write the record with one field of it out of all bounds; None when Avro cannot carry that."""
    plain = to_plain(record)
    _spoil(plain, chance)
    body = BytesIO()
    try:
        schemaless_writer(body, current_schema(type(record).__name__), plain)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, struct.error):
        return None
    return prefix + body.getvalue()


def _spoil(plain: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(list(plain))
    met = plain[name]
    if isinstance(met, dict) and met:
        _spoil(met, chance)
    elif isinstance(met, list) and met and isinstance(met[0], dict) and chance.random() < 0.5:
        _spoil(met[0], chance)
    else:
        plain[name] = _absurd(met, chance)


def _absurd(met: Any, chance: random.Random) -> Any:
    match met:
        case bool():
            return not met
        case datetime():
            # As the milliseconds of Avro: a datetime ends in the year 9999.
            return chance.choice((2**63 - 1, -(2**63), 10**15, 0, -(10**13)))
        case float():
            return chance.choice((*_ODD_DOUBLES, -1.0, 1e9, 0.0))
        case int():
            return chance.choice((-1, 0, 2**31 - 1, -(2**31)))
        case str():
            return chance.choice(("", " ", "\0", "x" * 300, "x" * 20_000, "\u202e", "UNKNOWN", met.upper()))
        case bytes():
            return chance.choice((b"", b"\0", met[:-1], met[: len(met) // 2], met + met, bytes(len(met))))
        case list():
            return chance.choice(([], met * 2, met * 400, met[:1]))
        case _:
            return chance.choice((0.5, 0, "", float("nan")))
