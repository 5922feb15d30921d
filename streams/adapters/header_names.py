r"""Header names that are no UTF-8, which Kafka takes: one record of them must not stop its partition.

aiokafka decodes header names strictly, in the middle of a batch. What it raises then is no error of Kafka's,
the position stays where it was, and the same fetch fails again for ever: every ECG behind that record would
wait for good. Here such a batch is read once more, slowly, with the odd bytes of a name written as ``\xff``.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

#: A batch begins with its offset (8 bytes) and the length of what follows the two.
_LENGTH: Final = struct.Struct(">i")
_LENGTH_AT: Final = 8
_HEAD_BYTES: Final = _LENGTH_AT + _LENGTH.size


def bear_any_header_name() -> None:
    """Let every consumer of this process read such records; a second call changes nothing.

    It replaces the one name by which aiokafka's fetcher makes batches of bytes. A test reads such a record
    from a broker, so that an upgrade which moves that name is noticed.
    """
    fetcher.MemoryRecords = FetchedRecords


class FetchedRecords:
    """Batches of one fetch, as aiokafka's own class gives them."""

    def __init__(self, fetched: bytes) -> None:
        self._batches = MemoryRecords(fetched)
        self._left = memoryview(fetched)

    def size_in_bytes(self) -> int:
        """Bytes of all batches."""
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is one more batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> "FetchedBatch | None":
        """Give the next batch; None behind the last."""
        batch = self._batches.next_batch()
        if batch is None:
            return None
        n_bytes = _HEAD_BYTES + _LENGTH.unpack_from(self._left, _LENGTH_AT)[0]
        raw, self._left = self._left[:n_bytes], self._left[n_bytes:]
        return FetchedBatch(batch, raw)


class FetchedBatch:
    """One batch; all but its records is asked of aiokafka's own."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            # What is corrupt beyond its header names is so again.
            return iter(_AnyNames(self._raw))


class _AnyNames(_DefaultRecordBatchPy):  # type: ignore[misc]
    """aiokafka's own reader in Python, but for the names of headers."""

    _pos: int

    def _read_msg(self, *_: Any) -> Any:
        length, begin = decode_varint(self._buffer, self._pos)
        _attributes, at = decode_varint(self._buffer, begin)  # none is in use
        later_ms, at = decode_varint(self._buffer, at)
        is_appended = self.timestamp_type == self.LOG_APPEND_TIME
        timestamp_ms = self.max_timestamp if is_appended else self.first_timestamp + later_ms
        offset_delta, at = decode_varint(self._buffer, at)
        key, at = self._nullable(at)
        value, at = self._nullable(at)
        n_headers, at = decode_varint(self._buffer, at)
        headers = []
        for _header in range(n_headers):
            name, at = self._nullable(at)
            header, at = self._nullable(at)
            headers.append(((name or b"").decode("utf-8", "backslashreplace"), header))
        if at - begin != length:
            raise CorruptRecordException(f"a record of {length} bytes takes {at - begin}")
        self._pos = at
        return _DefaultRecordPy(
            self.base_offset + offset_delta, timestamp_ms, self.timestamp_type, key, value, headers
        )

    def _nullable(self, at: int) -> tuple[bytes | None, int]:
        n_bytes, at = decode_varint(self._buffer, at)
        if n_bytes < 0:
            return None, at
        return bytes(self._buffer[at : at + n_bytes]), at + n_bytes
