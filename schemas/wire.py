"""Where a message says which schema it was written with: the Confluent wire format.

::

    byte 0       0x00
    bytes 1–4    schema id, big-endian
    the rest     Avro body

Newer clients put the id into the header ``__value_schema_id`` instead: ``0x00`` and the 4-byte id, or
``0x01`` and a 16-byte GUID; the value is then the bare body. Both are read, the first is written.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from schemas.errors import DecodeError
from schemas.registry import SchemaId

#: Message headers, as pairs (aiokafka) or as a mapping (Faust).
Headers = Iterable[tuple[str, bytes | None]] | Mapping[str, bytes | None]

SCHEMA_ID_HEADER: Final = "__value_schema_id"

_PREFIX = struct.Struct(">BI")
_GUID_BYTES = 1 + 16
_BY_NUMBER, _BY_GUID = 0, 1


def schema_id_prefix(schema_id: int) -> bytes:
    """Give the five bytes that precede every body we write."""
    return _PREFIX.pack(_BY_NUMBER, schema_id)


def read_schema_id(payload: bytes, headers: Headers | None) -> tuple[SchemaId, int]:
    """Give the schema id of a message, and where in ``payload`` the body begins.

    Raises
    ------
    DecodeError
        When neither a header nor the first bytes hold an id.
    """
    named = dict(headers).get(SCHEMA_ID_HEADER) if headers else None
    if named is not None:
        return _id_in_header(named), 0
    if len(payload) < _PREFIX.size:
        raise DecodeError(f"{len(payload)} bytes are too few for a schema id")
    marker, schema_id = _PREFIX.unpack_from(payload)
    if marker != _BY_NUMBER:
        raise DecodeError(f"the first byte is {marker:#04x}, not the 0x00 of the Confluent wire format")
    return schema_id, _PREFIX.size


def _id_in_header(named: bytes) -> SchemaId:
    if len(named) == _PREFIX.size and named[0] == _BY_NUMBER:
        return int.from_bytes(named[1:], "big")
    if len(named) == _GUID_BYTES and named[0] == _BY_GUID:
        return UUID(bytes=bytes(named[1:]))
    raise DecodeError(f"the header {SCHEMA_ID_HEADER} holds neither a schema id nor a GUID")
