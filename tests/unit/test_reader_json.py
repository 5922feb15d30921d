import json
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from writers.json_ecg import json_bytes, json_ecg

from schemas.leads import LEADS_12
from schemas.recorded import CartStatement, EcgRecorded, Sex, Urgency
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

COUNTS = np.random.default_rng(5).integers(-900, 900, size=(12, 1000))


def ecg_of(content: bytes, options: ReadOptions | None = None) -> EcgRecorded:
    return read(Document(content=content), options).ecg


def refusal_of(content: bytes, limits: ReadLimits | None = None) -> FeedRefusedError:
    began = time.monotonic()
    with pytest.raises(FeedRefusedError) as refusal:
        read(Document(content=content), ReadOptions(), limits or ReadLimits())
    assert time.monotonic() - began < 2.0
    return refusal.value


def test_an_object_reads_back_whole() -> None:
    ecg = ecg_of(
        json_bytes(
            json_ecg(
                COUNTS,
                age_years=63,
                sex="female",
                has_pacemaker=False,
                urgency="STAT",
                site_id="north",
                ward_id="4b",
                device_id="SN-1",
                source_uid="1.2.3",
                source_system="our host",
                cart={"heart_rate_bpm": 72, "qrs_ms": 95.5, "t_axis_deg": -30},
            )
        )
    )
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.uv_per_unit, ecg.sample_rate_hz) == (LEADS_12, 1.0, 500.0)
    assert (ecg.patient_id, ecg.age_years, ecg.sex, ecg.has_pacemaker) == ("P-77", 63.0, Sex.FEMALE, False)
    assert (ecg.site_id, ecg.ward_id, ecg.device_id, ecg.source_uid) == ("north", "4b", "SN-1", "1.2.3")
    assert (ecg.urgency, ecg.source_system, ecg.source_format) == (Urgency.STAT, "our host", "JSON")
    assert ecg.cart == CartStatement(heart_rate_bpm=72.0, qrs_ms=95.5, t_axis_deg=-30.0)
    assert ecg.acquired_at == datetime(2024, 2, 29, 7, 30, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("+01:00", False)


def test_a_local_time_is_the_sites() -> None:
    content = json_bytes(json_ecg(COUNTS, acquired_at="2024-02-29T08:30:00"))
    ecg = ecg_of(content, ReadOptions(timezone=ZoneInfo("America/New_York")))
    assert (ecg.acquired_at, ecg.is_zone_assumed) == (datetime(2024, 2, 29, 13, 30, tzinfo=UTC), True)


def test_the_senders_urgency_holds_where_the_object_states_none() -> None:
    options = ReadOptions(urgency=Urgency.STAT)
    assert ecg_of(json_bytes(json_ecg(COUNTS)), options).urgency is Urgency.STAT
    assert ecg_of(json_bytes(json_ecg(COUNTS, urgency="ROUTINE")), options).urgency is Urgency.ROUTINE


@pytest.mark.parametrize("uv_per_unit", [4.88, 0.5, 2])
def test_units_of_any_size_come_through_exactly(uv_per_unit: float) -> None:
    whole = json_ecg(COUNTS, uv_per_unit=uv_per_unit)
    del whole["unit"]
    ecg = ecg_of(json_bytes(whole))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert ecg.uv_per_unit == uv_per_unit


def test_multiples_of_a_decimal_step_come_through_exactly() -> None:
    ecg = ecg_of(json_bytes(json_ecg(np.round(COUNTS * 0.00488, 5), unit="mV")))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert ecg.uv_per_unit == pytest.approx(4.88)


def test_other_decimals_lose_less_than_a_tenth_of_a_microvolt() -> None:
    millivolts = np.random.default_rng(9).normal(0, 0.6, size=(12, 1000)).clip(-3, 3)
    ecg = ecg_of(json_bytes(json_ecg(millivolts, unit="mV")))
    assert np.abs(ecg.samples * ecg.uv_per_unit - millivolts * 1000.0).max() < 0.05


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    content = json.dumps(json_ecg(COUNTS)).encode(encoding)
    np.testing.assert_array_equal(ecg_of(content).samples, COUNTS)


def changed(**changes: Any) -> bytes:
    return json_bytes(json_ecg(COUNTS, **changes))


def lead_one(samples: Any) -> bytes:
    whole = json_ecg(COUNTS)
    whole["leads"]["I"] = samples
    return json_bytes(whole)


def without(key: str) -> bytes:
    whole = json_ecg(COUNTS)
    del whole[key]
    return json_bytes(whole)


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (without("patient_id"), RefusalReason.NO_PATIENT, "patient"),
        (changed(patient_id=77), RefusalReason.INVALID_RECORD, "'patient_id' must be text"),
        (without("acquired_at"), RefusalReason.NO_TIME, "acquired"),
        (changed(acquired_at="2024-02-29"), RefusalReason.NO_TIME, "'acquired_at'"),
        (changed(acquired_at="2024-02-30T08:30:00Z"), RefusalReason.NO_TIME, "'acquired_at'"),
        (changed(acquired_at=1709191800), RefusalReason.INVALID_RECORD, "'acquired_at' must be text"),
        (without("sample_rate_hz"), RefusalReason.INVALID_RECORD, "'sample_rate_hz' is missing"),
        (changed(sample_rate_hz="500"), RefusalReason.INVALID_RECORD, "'sample_rate_hz' must be a number"),
        (changed(sample_rate_hz=True), RefusalReason.INVALID_RECORD, "'sample_rate_hz' must be a number"),
        (changed(sample_rate_hz=0), RefusalReason.IMPLAUSIBLE_RATE, "0"),
        (without("unit"), RefusalReason.UNIT_UNKNOWN, "'unit' and 'uv_per_unit'"),
        (changed(uv_per_unit=1), RefusalReason.UNIT_UNKNOWN, "'unit' and 'uv_per_unit'"),
        (changed(unit="mmHg"), RefusalReason.UNIT_UNKNOWN, "mmHg"),
        (without("leads"), RefusalReason.LEADS_MISSING, "'leads'"),
        (changed(leads=[1, 2]), RefusalReason.LEADS_MISSING, "'leads'"),
        (changed(leads={"I": [1, 2]}), RefusalReason.LEADS_MISSING, "missing"),
        (lead_one([]), RefusalReason.INVALID_RECORD, "a list of samples for I"),
        (lead_one("1 2 3"), RefusalReason.INVALID_RECORD, "a list of samples for I"),
        (lead_one([1, 2, 3]), RefusalReason.INVALID_RECORD, "lists of one length"),
        (lead_one([1, None, 3]), RefusalReason.INVALID_RECORD, "I[1]"),
        (lead_one([1, 2, True]), RefusalReason.INVALID_RECORD, "I[2]"),
        (lead_one(["1"]), RefusalReason.INVALID_RECORD, "I[0]"),
        (lead_one([[1]]), RefusalReason.INVALID_RECORD, "I[0]"),
        (lead_one([10**400] * 1000), RefusalReason.INVALID_RECORD, "beyond all voltages"),
        (lead_one([10**40] * 1000), RefusalReason.IMPLAUSIBLE_AMPLITUDE, "beyond all numbers"),
        (changed(age_years="63"), RefusalReason.INVALID_RECORD, "'age_years'"),
        (changed(sex="woman"), RefusalReason.INVALID_RECORD, "'sex' must be one of"),
        (changed(urgency="NOW"), RefusalReason.INVALID_RECORD, "'urgency' must be one of"),
        (changed(has_pacemaker="no"), RefusalReason.INVALID_RECORD, "'has_pacemaker'"),
        (changed(cart=[1]), RefusalReason.INVALID_RECORD, "'cart'"),
        (changed(cart={"pulse": 72}), RefusalReason.INVALID_RECORD, "cart: a key that is not known: 'pulse'"),
        (changed(cart={"qrs_ms": "95"}), RefusalReason.INVALID_RECORD, "'qrs_ms' must be a number"),
        (changed(patientid="P-77"), RefusalReason.INVALID_RECORD, "not known: 'patientid'"),
        (changed(**{"P-77 Doe": 1}), RefusalReason.INVALID_RECORD, "one that is no word"),
        (b'{"patient_id": "P-77", "patient_id": "P-78"}', RefusalReason.DAMAGED, "twice in one object"),
        (b'{"P-77": 1, "P-77": 2}', RefusalReason.DAMAGED, "one that is no word"),
        (b'{"patient_id": "P-77"', RefusalReason.DAMAGED, "damaged JSON (line 1"),
        (b'{"age_years": NaN}', RefusalReason.DAMAGED, "NaN is no JSON"),
        (b'{"age_years": -Infinity}', RefusalReason.DAMAGED, "-Infinity is no JSON"),
        (
            changed().replace(b": 500", b': 500, "age_years": 1e999', 1),
            RefusalReason.INVALID_RECORD,
            "'age_years' must be a number",
        ),
        (b'{"age_years": ' + b"9" * 5000 + b"}", RefusalReason.DAMAGED, "thousands of digits"),
        (b'{"patient_id": "\xff"}', RefusalReason.DAMAGED, "UTF-8"),
        (changed(patient_id="\ud800"), RefusalReason.INVALID_RECORD, "'patient_id' must be text"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, RefusalReason.UNSAFE, "nested deeper"),
        (b'{"a":' + b"[" * 199_000, RefusalReason.UNSAFE, "nested deeper"),
        (b'{"a":' + b"[" * 5_000_000, RefusalReason.TOO_LARGE, "more values"),
        (b'{"a":[' + b"[]," * 5_000_000, RefusalReason.TOO_LARGE, "more values"),
        (b'{"' + b'\\"' * 5_000_000, RefusalReason.DAMAGED, "damaged JSON"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_be_read_is_refused_naming_the_key(
    content: bytes, reason: RefusalReason, words: str
) -> None:
    refusal = refusal_of(content)
    assert words in str(refusal)
    assert refusal.reason is reason
    assert "P-77" not in str(refusal)


def test_brackets_in_strings_are_no_nesting() -> None:
    content = changed(device_id="[{" * 40 + '"' + "[" * 40)
    assert ecg_of(content).device_id.startswith("[{[{")


def test_more_samples_than_may_be_read_are_refused() -> None:
    assert refusal_of(changed(), ReadLimits(max_samples=9_000)).reason is RefusalReason.TOO_LARGE
