"""Hostile messages, seeded: records of every topic we read, harmed in bytes, fields, keys, headers and times.

The same seed gives the same messages; none is made of anything but lawful records and the seed.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final

from ops.chaos.hostile_bytes import (
    HEAD_BYTES,
    OPEN_MUTATIONS,
    SURE_MUTATIONS,
    oversized,
    spliced,
    with_an_absurd_field,
)
from ops.chaos.hostile_records import MAKERS, N_PATIENTS, READ_TOPICS, patient, state_bytes
from schemas.codec import Codec
from schemas.wire import SCHEMA_ID_HEADER
from streams.dead_letters import ATTEMPT, ERROR_CODE, OFFSET, PARTITION, PREFIX, TOPIC
from streams.topology import (
    ALERT_STATE,
    COMPACTED_FEED_TOPICS,
    ECG_FEATURIZED,
    ECG_RECORDED,
    ECG_RISK,
    PATIENT_LINK,
)

#: Names are bytes: Kafka takes any.
RawHeaders = tuple[tuple[bytes, bytes | None], ...]

#: Topics whose records end as results or dead letters; they get three of four messages.
STAGE_INPUTS: Final = (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK, PATIENT_LINK)
_STAGE_ODDS: Final = 0.75

_OVERSIZED_ODDS: Final = 0.002
_ODD_HEADERS_ODDS: Final = 0.25
_ODD_KEY_ODDS: Final = 0.2
_ODD_TIME_ODDS: Final = 0.1

#: Patients whose alert state is harmed; the others' ECGs come to a decision.
N_DAMAGED: Final = 10

#: Kafka takes nothing without a key there, and refuses whatever is in the same batch with it.
_COMPACTED: Final = COMPACTED_FEED_TOPICS | {ALERT_STATE}

#: Times Kafka takes: it refuses those more than an hour ahead, but none in the past.
_ODD_TIMES_MS: Final = (0, 1, 1_000_000_000, -1, -(2**40), -(2**61))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One message.

    Attributes
    ----------
    how : str
        What was done to the record; for tables.
    headers : pairs of bytes
        Names may be no UTF-8, come twice, or be our own.
    timestamp_ms : int or None
        None: when it is sent.
    code : str or None
        The code its dead letter must bear where a stage reads it; None where that depends.
    """

    topic: str
    how: str
    key: bytes | None
    value: bytes | None
    headers: RawHeaders = ()
    timestamp_ms: int | None = None
    code: str | None = None


def hostile_messages(seed: int, codec: Codec) -> Iterator[Hostile]:
    """Give messages without end; the first n of a seed are always the same.

    Examples
    --------
    >>> from schemas.registry import FileRegistry
    >>> codec = Codec(FileRegistry())
    >>> one, two = (next(hostile_messages(3, codec)) for _ in range(2))
    >>> one == two
    True
    """
    return (_message(random.Random(f"hostile {seed} {number}"), codec) for number in count())


def first_messages(n: int, seed: int, codec: Codec) -> Iterator[Hostile]:
    """Give the first ``n`` of a seed."""
    return islice(hostile_messages(seed, codec), n)


def _message(chance: random.Random, codec: Codec) -> Hostile:
    topic = chance.choice(STAGE_INPUTS if chance.random() < _STAGE_ODDS else READ_TOPICS)
    how, value, code = _state(chance) if topic == ALERT_STATE else _value(topic, chance, codec)
    n_patients = N_DAMAGED if topic == ALERT_STATE else N_PATIENTS
    plain_key = patient(chance, n_patients).encode()
    key, key_how = _key(topic, chance) if chance.random() < _ODD_KEY_ODDS else (plain_key, "")
    # What is too large for a worker is taken by Kafka only compressed, and alone.
    has_headers = chance.random() < _ODD_HEADERS_ODDS and how != "oversized"
    headers, headers_how = _headers(chance) if has_headers else ((), "")
    time_ms = chance.choice(_ODD_TIMES_MS) if chance.random() < _ODD_TIME_ODDS else None
    if value is None and key is None:
        value, code = b"", "DECODE"  # Kafka's clients send no record that has neither
    names_schema = any(name == SCHEMA_ID_HEADER.encode() for name, _ in headers)
    return Hostile(
        topic=topic,
        how=" + ".join(each for each in (how, key_how, headers_how, "odd time" if time_ms else "") if each),
        key=key,
        value=value,
        headers=headers,
        timestamp_ms=time_ms,
        # A header that names a schema is looked at first, and says what is wrong with itself.
        code=code if not names_schema or code in ("EMPTY_RECORD", "PAYLOAD_TOO_LARGE") else None,
    )


def _value(topic: str, chance: random.Random, codec: Codec) -> tuple[str, bytes | None, str | None]:
    record: Any = MAKERS[topic](chance)
    lawful = codec.encode(record)
    if chance.random() < _OVERSIZED_ODDS:
        return "oversized", oversized(lawful, chance), "PAYLOAD_TOO_LARGE"
    kind = chance.randrange(10)
    if kind < 4:
        mutate = chance.choice(OPEN_MUTATIONS)
        return mutate.__name__, mutate(lawful, chance), None
    if kind < 6:
        sure = chance.choice(list(SURE_MUTATIONS))
        return sure.__name__, sure(lawful, chance), SURE_MUTATIONS[sure]
    if kind < 8:
        spoilt = with_an_absurd_field(record, lawful[:HEAD_BYTES], chance)
        return "absurd field", lawful if spoilt is None else spoilt, None
    foreign = chance.choice([each for each in MAKERS if each != topic])
    other = codec.encode(MAKERS[foreign](chance))
    how, value, code = chance.choice(
        (
            ("spliced", spliced(lawful, other, chance), None),
            ("foreign", other, "DECODE"),
            ("null", None, "EMPTY_RECORD"),
            ("untouched", lawful, None),
        )
    )
    return how, value, code


def _state(chance: random.Random) -> tuple[str, bytes | None, None]:
    """State has no stage that reads it as an input: what is wrong with it shows when its patient comes."""
    lawful = state_bytes(chance)
    mutate = chance.choice(OPEN_MUTATIONS)
    how, value = chance.choice(
        (
            (mutate.__name__, mutate(lawful, chance)),
            ("null", None),
            ("deep", b"[" * 50_000),
            ("no object", chance.choice((b"", b"null", b"[]", b"1e999", b'{"v":1}', b'{"v":-1}'))),
        )
    )
    return how, value, None


def _key(topic: str, chance: random.Random) -> tuple[bytes | None, str]:
    return chance.choice(
        (
            (b"", "empty key") if topic in _COMPACTED else (None, "no key"),
            (b"", "empty key"),
            (patient(chance).encode(), "another's key"),
            (chance.randbytes(30), "odd key"),
            (b"k" * 100_000, "huge key"),
        )
    )


def _headers(chance: random.Random) -> tuple[RawHeaders, str]:
    headers: tuple[RawHeaders, str] = chance.choice(
        (
            (tuple((f"h{n}".encode(), b"x") for n in range(1500)), "many headers"),
            (((b"source", bytes(200_000)),), "huge header"),
            (((b"\xff\xfe" + chance.randbytes(6), b"x"), (b"\x80", None)), "odd header names"),
            (((b"", b""), (b"", None), (b"same", b"1"), (b"same", b"2")), "header names twice or empty"),
            (((SCHEMA_ID_HEADER.encode(), _schema_id(chance)),), "schema id in a header"),
            (_traces(chance), "odd trace"),
            (_forged(chance), "forged dead letter"),
        )
    )
    return headers


def _schema_id(chance: random.Random) -> bytes | None:
    number = chance.randrange(40).to_bytes(4, "big")
    return chance.choice((None, b"", b"\0", b"?", b"\0" + number, b"\1" + chance.randbytes(16), bytes(300)))


def _traces(chance: random.Random) -> RawHeaders:
    def traced(text: bytes | None) -> RawHeaders:
        return ((b"traceparent", text),)

    return chance.choice(
        (
            traced(None),
            traced(b""),
            traced(b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"),
            traced(chance.randbytes(55)),
            traced(b"00-" + b"a" * 100_000),
            ((b"traceparent", b"1"), (b"traceparent", b"2"), (b"tracestate", b"\xff" * 600)),
        )
    )


def _forged(chance: random.Random) -> RawHeaders:
    return (
        (ATTEMPT.encode(), chance.choice((b"2", b"-1", b"9" * 5000, b"\xff", None))),
        (ERROR_CODE.encode(), chance.choice((b"OLD", b"\xff\xfe", None))),
        (TOPIC.encode(), b"no.such.topic"),
        (PARTITION.encode(), b"-7"),
        (OFFSET.encode(), b"9" * 40),
        (f"{PREFIX}of_nobody".encode(), b"x"),
    )
