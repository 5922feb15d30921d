"""Bytes that are no record end as one of the poison errors, cheaply, and say nothing about what they held."""

import resource
import struct
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.codec import RECORD_TYPES, Codec
from schemas.errors import DecodeError, InvalidRecordError, PoisonError, UnknownSchemaError
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry, ParsedSchema, SchemaId, raw_schema, schema_ids
from schemas.wire import SCHEMA_ID_HEADER

GOLDEN = {
    path.stem.partition(".")[0]: bytes.fromhex(path.read_text())
    for path in (Path(__file__).parents[1] / "contract" / "golden").glob("*.1.hex")
}
CODEC = Codec(FileRegistry())
ECG = GOLDEN["EcgRecorded"]


def prefix(name: str) -> bytes:
    return struct.pack(">BI", 0, schema_ids()[name][1])


def body(name: str, **changes: Any) -> bytes:
    """A message whose fields are changed past what the dataclass would allow."""
    plain = {**read_plain(name), **changes}
    written = BytesIO()
    schemaless_writer(written, parse_schema(raw_schema(name, 1)), plain)
    return prefix(name) + written.getvalue()


def read_plain(name: str) -> dict[str, Any]:
    plain: Any = schemaless_reader(BytesIO(GOLDEN[name][5:]), parse_schema(raw_schema(name, 1)), None)
    return plain  # type: ignore[no-any-return]


def decodes_or_is_poison(payload: bytes) -> None:
    try:
        record = CODEC.decode(payload)
    except PoisonError:
        return
    assert type(record) in RECORD_TYPES.values()


@given(payload=st.binary(max_size=300))
def test_random_bytes_are_poison_or_a_record(payload: bytes) -> None:
    decodes_or_is_poison(payload)


@given(name=st.sampled_from(sorted(GOLDEN)), rest=st.binary(max_size=400))
def test_a_known_schema_id_and_random_bytes_are_poison_or_a_record(name: str, rest: bytes) -> None:
    decodes_or_is_poison(prefix(name) + rest)


@given(name=st.sampled_from(sorted(GOLDEN)), cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_record_is_always_poison(name: str, cut: float) -> None:
    payload = GOLDEN[name]
    with pytest.raises(PoisonError):
        CODEC.decode(payload[: int(len(payload) * cut)])


@given(name=st.sampled_from(sorted(GOLDEN)), at=st.integers(0, 700), bit=st.integers(0, 7))
def test_a_flipped_bit_is_poison_or_a_record(name: str, at: int, bit: int) -> None:
    payload = bytearray(GOLDEN[name])
    payload[at % len(payload)] ^= 1 << bit
    decodes_or_is_poison(bytes(payload))


@given(extra=st.binary(min_size=1, max_size=20))
@example(extra=b"\x00")
def test_bytes_after_the_record_are_refused(extra: bytes) -> None:
    with pytest.raises(DecodeError, match="bytes follow"):
        CODEC.decode(ECG + extra)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01", b"{" + ECG])
def test_what_is_not_in_the_wire_format_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        CODEC.decode(payload)


@pytest.mark.parametrize("schema_id", [0, 999, 2**31, 2**32 - 1])
def test_an_unknown_schema_id_is_named(schema_id: int) -> None:
    with pytest.raises(UnknownSchemaError, match=str(schema_id)):
        CODEC.decode(struct.pack(">BI", 0, schema_id) + ECG[5:])


def test_a_record_of_another_topic_is_refused() -> None:
    with pytest.raises(DecodeError, match="does not carry EcgRecorded"):
        CODEC.decode(ECG, AlertRaised, AlertClosed, TechnicalAlarm)


def test_each_kind_of_fault_has_its_own_code() -> None:
    codes = {error.code for error in (PoisonError, DecodeError, UnknownSchemaError, InvalidRecordError)}
    assert len(codes) == 4


@pytest.mark.parametrize(
    "claimed", [2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**63)], ids=lambda length: f"{length}"
)
@pytest.mark.parametrize("what", ["string", "array"])
def test_a_huge_or_negative_claimed_length_costs_no_memory(claimed: int, what: str) -> None:
    length = zigzag(claimed)
    if what == "string":
        payload = prefix("EcgRecorded") + length + b"x" * 50
    else:  # lead_names stand after ecg_id, patient_id, acquired_at and sample_rate_hz
        plain = read_plain("EcgRecorded")
        at = 5 + (1 + 36) + (1 + len(plain["patient_id"].encode())) + 8 + 8
        payload = ECG[:at] + length + ECG[at + 1 :]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PoisonError):
        CODEC.decode(payload)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


def zigzag(number: int) -> bytes:
    rest = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    written = bytearray()
    while rest & ~0x7F:
        written.append((rest & 0x7F) | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def test_three_megabytes_of_empty_lead_names_are_refused() -> None:
    with pytest.raises(PoisonError):
        CODEC.decode(body("EcgRecorded", lead_names=[""] * 3_000_000))


def test_a_payload_over_the_limit_is_not_looked_at() -> None:
    for name, limit in (("EcgRecorded", 9_000_000), ("RiskAssessed", 1_000_000)):
        with pytest.raises(DecodeError, match="over the limit"):
            CODEC.decode(prefix(name) + bytes(limit))


def test_the_longest_lawful_recording_is_not_over_the_limit() -> None:
    assert CODEC.decode(body("EcgRecorded", samples=bytes(2 * 3_999_996))).samples.shape == (12, 333_333)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("EcgRecorded", {"samples": bytes(12 * 20 * 2 - 1)}),
        ("EcgRecorded", {"samples": bytes(12 * 20 * 2 - 2)}),
        ("EcgRecorded", {"lead_names": []}),
        ("EcgFeaturized", {"model_input_uv": bytes(80_000 - 2)}),
        ("EcgFeaturized", {"model_input_uv": bytes(80_001)}),
        ("RiskAssessed", {"rhythm_strip_uv": b""}),
        ("RiskAssessed", {"motion": {"velocities_cm_s": bytes(1023)}}),
    ],
)
def test_an_array_that_does_not_fit_its_shape_is_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="does not fit its shape"):
        CODEC.decode(body(name, **changes))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sample_rate_hz": 1e9}, "sample_rate_hz"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz"),
        ({"uv_per_unit": float("inf")}, "uv_per_unit"),
        ({"samples": b""}, "samples"),
        ({"patient_id": ""}, "patient_id"),
        ({"ecg_id": "secret-name"}, "ecg_id"),
    ],
)
def test_a_record_that_breaks_its_rules_is_refused_without_its_content(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecordError, match=field) as caught:
        CODEC.decode(body("EcgRecorded", **changes))
    assert "secret" not in str(caught.value)
    assert "patient-µ-1" not in str(caught.value)


def test_a_value_avro_cannot_carry_is_refused_without_its_content() -> None:
    ecg = CODEC.decode(ECG, EcgRecorded)
    object.__setattr__(ecg, "has_pacemaker", "secret")
    with pytest.raises(InvalidRecordError) as caught:
        CODEC.encode(ecg)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_impossible_time_is_refused() -> None:
    at = 5 + (1 + 36) + (1 + len(read_plain("EcgRecorded")["patient_id"].encode()))
    payload = ECG[:at] + zigzag(2**62) + ECG[at + 8 :]
    with pytest.raises(DecodeError):
        CODEC.decode(payload)


# --- schema id in the header


@pytest.mark.parametrize("as_mapping", [True, False])
def test_the_schema_id_is_taken_from_the_header_where_it_stands_there(as_mapping: bool) -> None:
    pairs = [("traceparent", b"x"), (SCHEMA_ID_HEADER, ECG[:5])]
    record = CODEC.decode(ECG[5:], EcgRecorded, headers=dict(pairs) if as_mapping else pairs)
    assert record.lead_names[0] == "I"


def test_a_guid_in_the_header_is_asked_of_the_registry() -> None:
    guid = UUID("8d6c0b0e-1f7e-5c0a-9a51-5d2a4b8f1c01")

    class KnowsGuid(FileRegistry):
        def schema_of(self, schema_id: SchemaId) -> ParsedSchema:
            assert schema_id == guid
            return super().schema_of(1)

    record = Codec(KnowsGuid()).decode(ECG[5:], EcgRecorded, headers={SCHEMA_ID_HEADER: b"\x01" + guid.bytes})
    assert record.lead_names[0] == "I"
    with pytest.raises(UnknownSchemaError):
        CODEC.decode(ECG[5:], headers={SCHEMA_ID_HEADER: b"\x01" + guid.bytes})


@pytest.mark.parametrize("header", [b"", b"\x00\x01", b"1", b"\x02" + bytes(16), b"\x00" + bytes(16)])
def test_a_broken_schema_id_header_is_refused(header: bytes) -> None:
    with pytest.raises(DecodeError, match=SCHEMA_ID_HEADER):
        CODEC.decode(ECG[5:], headers={SCHEMA_ID_HEADER: header})


# --- writer schemas of other versions


class OneSchema:
    """A registry that knows one schema, under every id."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema: Any = parse_schema(schema)

    def id_of(self, record_type: type) -> int:
        return 99

    def schema_of(self, schema_id: SchemaId) -> ParsedSchema:
        return self._schema  # type: ignore[no-any-return]


def written_with(schema: dict[str, Any], **changes: Any) -> bytes:
    written = BytesIO()
    schemaless_writer(written, parse_schema(schema), {**read_plain("TechnicalAlarm"), **changes})
    return struct.pack(">BI", 0, 99) + written.getvalue()


def test_a_newer_writer_with_another_field_and_symbol_is_read() -> None:
    newer = raw_schema("TechnicalAlarm", 1)
    newer["fields"].append({"name": "ward_id", "type": "string", "default": ""})
    newer["fields"][1]["type"]["symbols"].append("DISK_FULL")
    payload = written_with(newer, kind="DISK_FULL", ward_id="w")
    alarm = Codec(OneSchema(newer)).decode(payload, TechnicalAlarm)
    assert alarm.kind.value == "UNKNOWN"
    assert alarm.source == "infer"


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: schema["fields"].pop(),
        lambda schema: schema.update(name="TechnicalAlarmOfSomebody"),
        lambda schema: schema.update(namespace="org.somebody"),
        lambda schema: schema["fields"].append(
            {"name": "bomb", "type": {"type": "array", "items": "null"}, "default": []}
        ),
    ],
    ids=["field missing", "other name", "other namespace", "bomb"],
)
def test_a_writer_schema_that_is_not_ours_is_refused_before_reading(change: Any) -> None:
    foreign = raw_schema("TechnicalAlarm", 1)
    change(foreign)
    with pytest.raises(UnknownSchemaError):
        Codec(OneSchema(foreign)).decode(struct.pack(">BI", 0, 99) + bytes(40))
