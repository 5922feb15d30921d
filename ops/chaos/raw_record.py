"""One Kafka record written byte by byte, with header names that no client of ours would write."""

import struct
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint

from ops.chaos.hostile import Hostile

#: Offset, length, epoch of the leader, version; then the sum of all that follows it.
_FRONT: Final = struct.Struct(">qiib")
#: Attributes, last offset, first and last time, producer's id, epoch and sequence, number of records.
_BODY: Final = struct.Struct(">hiqqqhii")
_MAGIC: Final = 2
#: What ``length`` counts of the front: the epoch, the version and the sum.
_COUNTED: Final = 4 + 1 + 4


def raw_batch(message: Hostile, timestamp_ms: int) -> bytes:
    """Write a message as a batch of one record, version 2 of Kafka's format, not compressed."""
    record = bytearray(b"\0\0\0")  # attributes, time and offset, each 0 beyond the batch's
    for part in (message.key, message.value):
        _nullable(record, part)
    encode_varint(len(message.headers), record.append)
    for name, header in message.headers:
        _nullable(record, name)
        _nullable(record, header)
    sized = bytearray()
    encode_varint(len(record), sized.append)
    body = _BODY.pack(0, 0, timestamp_ms, timestamp_ms, -1, -1, -1, 1) + sized + record
    front = _FRONT.pack(0, _COUNTED + len(body), -1, _MAGIC)
    return bytes(front + struct.pack(">I", calc_crc32c(bytes(body))) + body)


async def send_raw(producer: AIOKafkaProducer, message: Hostile, partition: int, timestamp_ms: int) -> Any:
    """Hand such a record to a producer that is not idempotent; gives the future of its acknowledgement."""
    batch = _Written(raw_batch(message, timestamp_ms))
    return await producer.send_batch(batch, message.topic, partition=partition)


class _Written(BatchBuilder):  # type: ignore[misc]
    """A batch of aiokafka's producer that is written already."""

    def __init__(self, written: bytes) -> None:
        self._buffer = written
        self._relative_offset = 1
        self._closed = True

    def _build(self) -> bytes:
        return bytes(self._buffer)


def _nullable(into: bytearray, part: bytes | None) -> None:
    encode_varint(-1 if part is None else len(part), into.append)
    into += part or b""
