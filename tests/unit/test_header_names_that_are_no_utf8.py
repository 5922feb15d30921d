"""Header names that are no UTF-8: aiokafka stops at them, what is put in its place does not."""

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from streams.access import client_options
from streams.adapters.header_names import FetchedRecords

ODD = b"\xff\xfe\x80\x81"
CRC_AT, CRC_OF = 17, 21  # bytes of a batch of version 2


def batch(*, compression: int = 0, odd: bool = True) -> bytes:
    """Three records, the second with an odd header name; compressed, the name is odd no longer."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**16,
    )
    builder.append(0, 1_700_000_000_000, b"k", b"first", [])
    builder.append(1, 1_700_000_000_001, None, b"second", [("ABCD", b"x"), ("next", None)])
    builder.append(2, 1_700_000_000_002, b"k", None, [("source", b"")])
    raw = bytearray(builder.build())
    if odd:
        place = raw.index(b"ABCD")
        raw[place : place + len(ODD)] = ODD
    raw[CRC_AT:CRC_OF] = struct.pack(">I", calc_crc32c(bytes(raw[CRC_OF:])))
    return bytes(raw)


def records(fetched: Any) -> list[Any]:
    found = []
    while fetched.has_next():
        one = fetched.next_batch()
        assert one.validate_crc()
        assert not one.is_control_batch
        assert one.next_offset == 3
        found += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in one]
    assert fetched.next_batch() is None
    return found


def test_aiokafka_alone_stops_at_such_a_record() -> None:
    """When this fails aiokafka reads them by itself, and our own reader may go."""
    with pytest.raises((UnicodeDecodeError, CorruptRecordException)):
        records(MemoryRecords(batch()))


def test_every_record_is_read_and_the_odd_name_is_written_out() -> None:
    there = records(MemoryRecords(batch(odd=False)))
    read = records(FetchedRecords(batch() + batch(odd=False)))
    assert read[3:] == there
    assert read[0] == there[0]
    assert read[2] == there[2]
    assert read[1] == (*there[1][:4], ((r"\xff\xfe\x80\x81", b"x"), ("next", None)))
    assert FetchedRecords(batch()).size_in_bytes() == len(batch())


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_sound_batches_are_read_as_before(compression: int) -> None:
    sound = batch(compression=compression, odd=False)
    assert records(FetchedRecords(sound)) == records(MemoryRecords(sound))


def test_whoever_makes_a_client_reads_them() -> None:
    client_options("127.0.0.1:9092")
    assert fetcher.MemoryRecords is FetchedRecords


def test_what_is_corrupt_beyond_its_names_is_still_refused() -> None:
    raw = bytearray(batch())
    raw[-9:] = b"\xff" * 9
    raw[CRC_AT:CRC_OF] = struct.pack(">I", calc_crc32c(bytes(raw[CRC_OF:])))
    with pytest.raises(CorruptRecordException):
        records(FetchedRecords(bytes(raw)))
