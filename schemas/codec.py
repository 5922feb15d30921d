"""Records to bytes and back: Avro bodies, in the Confluent wire format of :mod:`schemas.wire`."""

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, TypeVar

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException

from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.compatibility import full_incompatibilities, unbounded_parts
from schemas.errors import DecodeError, InvalidRecordError, UnknownSchemaError
from schemas.featurized import EcgFeaturized
from schemas.feed import FeedHealth
from schemas.mapping import from_plain, to_plain
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, QuarantineAct
from schemas.recorded import EcgRecorded
from schemas.registry import NAMESPACE, ParsedSchema, SchemaId, SchemaRegistry, current_schema
from schemas.risk import RiskAssessed
from schemas.wire import Headers, read_schema_id, schema_id_prefix

R = TypeVar("R")

RECORD_TYPES: Final[Mapping[str, type]] = {
    record_type.__name__: record_type
    for record_type in (
        EcgRecorded,
        EcgFeaturized,
        RiskAssessed,
        AlertRaised,
        AlertClosed,
        TechnicalAlarm,
        CareAction,
        EcgQuarantined,
        QuarantineAct,
        FeedHealth,
        PatientLinked,
    )
}

#: Longer payloads are not read, which bounds the memory a hostile one can cost: a body of nothing but list
#: entries takes many times its size while it is read. An EcgRecorded holds up to 4e6 samples × 2 bytes; the
#: others are about 80 kB at most, so ten times that leaves room.
MAX_PAYLOAD_BYTES: Final[Mapping[str, int]] = {"EcgRecorded": 9_000_000}
MAX_OTHER_PAYLOAD_BYTES: Final = 1_000_000

#: What fastavro and numpy raise on bytes that are not what they claim to be: all of it means the same to us.
_MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
    SchemaParseException,
    SchemaResolutionError,
)


class Codec:
    """Encodes and decodes every record of Diastole.

    Parameters
    ----------
    registry : SchemaRegistry
        Where ids and writer schemas come from.
    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._prefixes: dict[type, bytes] = {}
        self._writers: dict[SchemaId, tuple[ParsedSchema, type]] = {}

    def encode(self, record: object) -> bytes:
        """Encode one record with the newest schema of its type; the same record gives the same bytes.

        Raises
        ------
        InvalidRecordError
            When a field holds what its schema cannot carry.
        RetriableError, ConfigurationError
            From the registry, on the first record of a type.
        """
        body = BytesIO()
        body.write(self._prefix(type(record)))
        try:
            schemaless_writer(body, current_schema(type(record).__name__), to_plain(record))
        except _MALFORMED as error:
            # fastavro quotes the value, which may be about a patient: neither its text nor its cause goes on.
            raise InvalidRecordError(
                f"a {type(record).__name__} holds a value its schema cannot carry ({type(error).__name__})"
            ) from None
        return body.getvalue()

    def decode(self, payload: bytes, *expected: type[R], headers: Headers | None = None) -> R:
        """Decode one message, from any schema version into the newest type.

        Parameters
        ----------
        payload : bytes
            The message value.
        *expected : type
            The record types this topic carries; none means any.
        headers : mapping or pairs, optional
            The message headers, looked at for the schema id.

        Raises
        ------
        DecodeError
            When the bytes are not the Avro of an expected type.
        UnknownSchemaError
            When the schema id is unknown or not of a record of ours.
        InvalidRecordError
            When the record breaks its own rules.
        RetriableError
            Only with a remote registry, when it cannot be reached.
        """
        schema_id, body_at = read_schema_id(payload, headers)
        writer_schema, record_type = self._writer(schema_id)
        if expected and record_type not in expected:
            raise DecodeError(f"this topic does not carry {record_type.__name__}")
        limit = MAX_PAYLOAD_BYTES.get(record_type.__name__, MAX_OTHER_PAYLOAD_BYTES)
        if len(payload) > limit:
            raise DecodeError(f"{len(payload)} bytes are over the limit of {limit}")
        record: R = _build(record_type, _read(payload, body_at, writer_schema, record_type))
        return record

    def _writer(self, schema_id: SchemaId) -> tuple[ParsedSchema, type]:
        writer = self._writers.get(schema_id)
        if writer is None:
            schema = self._registry.schema_of(schema_id)
            writer = self._writers[schema_id] = schema, _record_type(schema)
        return writer

    def _prefix(self, record_type: type) -> bytes:
        prefix = self._prefixes.get(record_type)
        if prefix is None:
            prefix = schema_id_prefix(self._registry.id_of(record_type))
            self._prefixes[record_type] = prefix
        return prefix


def _build(record_type: type, plain: dict[str, Any]) -> Any:
    """Build the record, turning misfitting array lengths into :class:`DecodeError`."""
    try:
        return from_plain(record_type, plain)
    except _MALFORMED as error:
        raise DecodeError(
            f"an array of the {record_type.__name__} does not fit its shape ({type(error).__name__})"
        ) from None


def _read(payload: bytes, body_at: int, writer_schema: ParsedSchema, record_type: type) -> dict[str, Any]:
    body = BytesIO(payload)
    body.seek(body_at)
    try:
        plain: Any = schemaless_reader(body, writer_schema, current_schema(record_type.__name__))
    except _MALFORMED as error:
        raise DecodeError(
            f"the body is not a {record_type.__name__} of its schema ({type(error).__name__})"
        ) from None
    if body.tell() != len(payload):
        raise DecodeError(f"{len(payload) - body.tell()} bytes follow the {record_type.__name__}")
    return plain  # type: ignore[no-any-return]  # a record schema reads into a dict


def _record_type(writer_schema: ParsedSchema) -> type:
    """Judge a schema before bytes are read by it: of a record of ours, readable, and bounded."""
    namespace, _, name = str(writer_schema.get("name", "")).rpartition(".")
    record_type = RECORD_TYPES.get(name)
    if namespace != NAMESPACE or record_type is None:
        raise UnknownSchemaError("the schema is known to the registry but not of a record of Diastole")
    faults = full_incompatibilities(writer_schema, current_schema(name)) + unbounded_parts(writer_schema)
    if faults:
        raise UnknownSchemaError(f"the writer's {name} cannot be read: {'; '.join(faults[:3])}")
    return record_type
