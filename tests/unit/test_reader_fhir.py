from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from writers.fhir import bundle, component, concept, fhir_json, fhir_xml, observation, patient, quantity

from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import CartStatement, EcgRecorded, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

COUNTS = np.random.default_rng(5).integers(-900, 900, size=(12, 1000))


def ecg_of(content: bytes) -> EcgRecorded:
    return read(Document(content=content)).ecg


def refusal_of(content: bytes, limits: ReadLimits | None = None) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        read(Document(content=content), ReadOptions(), limits or ReadLimits())
    return refusal.value


@pytest.mark.parametrize("write", [fhir_json, fhir_xml])
def test_an_observation_reads_back_whole(write: Callable[..., bytes]) -> None:
    ecg = ecg_of(write(observation(COUNTS)))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.uv_per_unit, ecg.sample_rate_hz) == (LEADS_12, 1.25, 500.0)
    assert (ecg.patient_id, ecg.sex, ecg.age_years) == ("P-77", Sex.FEMALE, 63.0)
    assert (ecg.device_id, ecg.source_uid, ecg.source_format) == ("SN-1", "urn:carts|ecg-1", "FHIR")
    assert ecg.acquired_at == datetime(2024, 2, 29, 7, 30, 0, 250_000, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("+01:00", False)


def test_json_and_xml_are_one_ecg() -> None:
    assert ecg_of(fhir_json(observation(COUNTS))).ecg_id == ecg_of(fhir_xml(observation(COUNTS))).ecg_id


def test_voltages_are_data_times_factor_plus_origin() -> None:
    sampled = {"origin": {"value": -2.5, "unit": "mV"}, "factor": 0.00125}
    ecg = ecg_of(fhir_json(observation(COUNTS + 2000, sampled=sampled)))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert ecg.uv_per_unit == pytest.approx(1.25)


def test_a_negative_factor_turns_the_lead() -> None:
    ecg = ecg_of(fhir_json(observation(COUNTS, sampled={"factor": -1.25})))
    np.testing.assert_array_equal(ecg.samples * ecg.uv_per_unit, COUNTS * -1.25)


def test_decimals_in_millivolts_come_through_exactly() -> None:
    sampled = {"origin": {"value": 0, "code": "mV"}, "factor": 1}
    ecg = ecg_of(fhir_json(observation(np.round(COUNTS * 0.00488, 5), sampled=sampled)))
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, COUNTS * 4.88, atol=1e-9)


@pytest.mark.parametrize("write", [fhir_json, fhir_xml])
def test_a_bundle_with_its_patient_is_one_ecg(write: Callable[..., bytes]) -> None:
    whole = observation(COUNTS, subject={"reference": "Patient/p1"})
    del whole["contained"]
    ecg = ecg_of(write(bundle(patient(), whole)))
    assert (ecg.patient_id, ecg.age_years) == ("P-77", 63.0)


def test_a_bundle_may_name_its_patient_by_url() -> None:
    whole = observation(COUNTS, subject={"reference": "urn:uuid:6b7a"})
    del whole["contained"]
    nameless = patient()
    del nameless["id"]
    assert ecg_of(fhir_json(bundle(nameless, whole, urls=["urn:uuid:6b7a"]))).patient_id == "P-77"


@pytest.mark.parametrize(
    ("subject", "contained", "expected"),
    [
        ({"identifier": {"value": "MRN-5"}}, [], "MRN-5"),
        ({"identifier": {"value": "MRN-5"}, "reference": "Patient/9"}, [], "MRN-5"),
        ({"reference": "Patient/9"}, [], "9"),
        ({"reference": "https://fhir.example.org/r4/Patient/9"}, [], "9"),
        ({"reference": "#p1"}, [patient(identifier="A"), patient(own_id="p2", identifier="B")], "A"),
        (
            {"reference": "#p1"},
            [patient(identifier=[{"value": "SSN-1"}, patient()["identifier"][0]])],
            "P-77",
        ),
    ],
)
def test_the_patient_is_whom_the_subject_names(subject: Any, contained: list[Any], expected: str) -> None:
    for each in contained:
        if isinstance(each["identifier"][0]["value"], list):
            each["identifier"] = each["identifier"][0]["value"]
    assert ecg_of(fhir_json(observation(COUNTS, subject=subject, contained=contained))).patient_id == expected


@pytest.mark.parametrize(
    ("subject", "contained"),
    [
        ({"display": "Jane Doe"}, []),
        ({"reference": "urn:uuid:6b7a"}, []),
        ({"reference": "#p9"}, []),
        ({"reference": "#p1"}, [{**patient(), "identifier": [{"value": "A"}, {"value": "B"}]}]),
    ],
)
def test_a_patient_who_cannot_be_told_is_not_guessed(subject: Any, contained: list[Any]) -> None:
    content = fhir_json(observation(COUNTS, subject=subject, contained=contained))
    refusal = refusal_of(content)
    assert refusal.reason is RefusalReason.NO_PATIENT
    assert "Doe" not in str(refusal)


def test_the_carts_measurements_are_taken_from_components() -> None:
    whole = observation(COUNTS)
    whole["component"] += [
        quantity("8867-4", "Heart rate", 72, "/min"),
        quantity("8625-6", "P-R interval", 160, "ms"),
        quantity("8633-0", "QRS duration", 95, "ms"),
        quantity("8632-2", "QRS axis", -30, "deg"),
        quantity("147232", "MDC_ECG_TIME_PD_QT", 0.4, "s"),
        quantity("0-0", "something else", 7, "ms"),
    ]
    assert ecg_of(fhir_json(whole)).cart == CartStatement(
        heart_rate_bpm=72.0, pr_ms=160.0, qrs_ms=95.0, qrs_axis_deg=-30.0, qt_ms=400.0
    )


def test_a_period_begins_the_recording() -> None:
    whole = observation(
        COUNTS, effectivePeriod={"start": "2024-02-29T08:30:00Z", "end": "2024-02-29T08:30:10Z"}
    )
    del whole["effectiveDateTime"]
    ecg = ecg_of(fhir_json(whole))
    assert ecg.acquired_at == datetime(2024, 2, 29, 8, 30, tzinfo=UTC)
    assert ecg.acquired_zone == "UTC"


def test_extensions_of_profiles_are_passed_over() -> None:
    whole = observation(COUNTS)
    whole["component"][0]["valueSampledData"]["extension"] = [{"url": "urn:x", "valueString": "y"}]
    whole["somethingOfAProfile"] = {"a": 1}
    np.testing.assert_array_equal(ecg_of(fhir_json(whole, is_lawful=False)).samples, COUNTS)


def test_leads_may_be_named_in_words() -> None:
    rows = [LEADS_12.index(lead) for lead in LEADS_8]
    whole = observation(COUNTS[rows], leads=LEADS_8)
    for lead, each in zip(LEADS_8, whole["component"], strict=True):
        each["code"] = {"text": f"Lead {lead}"}
    assert ecg_of(fhir_json(whole)).lead_names == LEADS_8


def with_first(**changes: Any) -> bytes:
    whole = observation(COUNTS)
    whole["component"][0]["valueSampledData"] |= changes
    return fhir_json(whole, is_lawful=False)


def without(field: str) -> bytes:
    whole = observation(COUNTS)
    del whole["component"][0]["valueSampledData"][field]
    return fhir_json(whole, is_lawful=False)


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (with_first(data="1 2 E 4"), RefusalReason.UNSUPPORTED, "1 samples of lead I are missing"),
        (with_first(data="1 L U 4"), RefusalReason.UNSUPPORTED, "2 samples of lead I"),
        (with_first(data="1 two 3"), RefusalReason.DAMAGED, "no numbers"),
        (with_first(data="1 1e999 3"), RefusalReason.DAMAGED, "no numbers"),
        (with_first(data="1 1e99 3"), RefusalReason.IMPLAUSIBLE_AMPLITUDE, "beyond all numbers"),
        (with_first(data="1 nan 3"), RefusalReason.DAMAGED, "no numbers"),
        (with_first(data="1 1_0 3"), RefusalReason.DAMAGED, "no numbers"),
        (with_first(data="1 2 3"), RefusalReason.DAMAGED, "different lengths"),
        (with_first(data=17), RefusalReason.DAMAGED, "different lengths"),
        (with_first(period="soon"), RefusalReason.DAMAGED, "period"),
        (with_first(period=True), RefusalReason.DAMAGED, "period"),
        (with_first(period=0), RefusalReason.DAMAGED, "period"),
        (with_first(period=4), RefusalReason.UNSUPPORTED, "different rates"),
        (with_first(dimensions=2), RefusalReason.UNSUPPORTED, "2 dimensions"),
        (with_first(factor=0), RefusalReason.DAMAGED, "above 0"),
        (with_first(origin={"value": 0}), RefusalReason.UNIT_UNKNOWN, "no unit"),
        (with_first(origin={"value": 0, "unit": "mmHg"}), RefusalReason.UNIT_UNKNOWN, "mmHg"),
        (with_first(origin={}), RefusalReason.UNIT_UNKNOWN, "no unit"),
        (without("data"), RefusalReason.DAMAGED, "no data"),
        (without("period"), RefusalReason.DAMAGED, "period"),
        (fhir_json(observation(COUNTS, component=[])), RefusalReason.NO_WAVEFORM, "SampledData"),
        (fhir_json(observation(COUNTS[:6], leads=LEADS_12[:6])), RefusalReason.LEADS_MISSING, "missing V1"),
        (fhir_json(observation(COUNTS, effectiveDateTime="2024-02-29")), RefusalReason.NO_TIME, "acquired"),
        (
            fhir_json(observation(COUNTS, status="entered-in-error")),
            RefusalReason.INVALID_RECORD,
            "withdrawn",
        ),
        (
            fhir_json(bundle(observation(COUNTS), observation(COUNTS))),
            RefusalReason.UNSUPPORTED,
            "2 recordings",
        ),
        (b'{"resourceType": "Patient"}', RefusalReason.NO_WAVEFORM, "SampledData"),
        (b'{"resourceType": ["Observation"], "component": 7}', RefusalReason.NO_WAVEFORM, "SampledData"),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_reason(
    content: bytes, reason: RefusalReason, words: str
) -> None:
    refusal = refusal_of(content)
    assert refusal.reason is reason
    assert words in str(refusal)
    assert "P-77" not in str(refusal)


def test_a_lead_in_two_pieces_is_refused() -> None:
    whole = observation(COUNTS)
    whole["component"].append(component("II", COUNTS[1]))
    refusal = refusal_of(fhir_json(whole))
    assert (refusal.reason, "several components" in str(refusal)) == (RefusalReason.UNSUPPORTED, True)


def test_another_recording_beside_the_leads_is_left_out_and_noted() -> None:
    whole = observation(COUNTS)
    extra = component("I", np.arange(10), period=100, origin={"value": 0, "unit": "Ohm"})
    extra["code"] = concept("urn:x", "1", "Respiration")
    whole["component"].insert(0, extra)
    reading = read(Document(content=fhir_json(whole)))
    np.testing.assert_array_equal(reading.ecg.samples, COUNTS)
    assert reading.notes[-1].endswith(": Respiration")


def test_more_samples_than_may_be_read_are_refused() -> None:
    assert refusal_of(fhir_json(observation(COUNTS)), ReadLimits(max_samples=900)).reason is (
        RefusalReason.TOO_LARGE
    )


def test_an_interval_in_milliseconds_is_a_period() -> None:
    whole = observation(COUNTS)
    for each in whole["component"]:
        del each["valueSampledData"]["period"]
        each["valueSampledData"] |= {"interval": 4, "intervalUnit": "ms"}
    assert ecg_of(fhir_json(whole, is_lawful=False)).sample_rate_hz == 250.0
