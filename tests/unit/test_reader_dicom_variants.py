"""DICOM as other vendors write it: byte orders, sample sizes, groups, names, measurements."""

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from writers.dicom import Group, bare_bytes, dataset, deflate_bomb, dicom_bytes, measurement

from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import CartStatement, EcgRecorded, Sex
from streams.feeds.document import Document
from streams.feeds.files import read_file
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

COUNTS = np.random.default_rng(5).integers(-900, 900, size=(12, 1001))
WHOLE = Group(counts=COUNTS)


def read_bytes(content: bytes, name: str = "ecg") -> EcgRecorded:
    return read(Document(content=content, name=name)).ecg


def refusal_of(content: bytes) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        read_bytes(content)
    return refusal.value


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_transfer_syntax_gives_the_same_samples(syntax: str) -> None:
    ecg = read_bytes(dicom_bytes(dataset([WHOLE], transfer_syntax=syntax)))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.uv_per_unit, ecg.sample_rate_hz) == (LEADS_12, 1.25, 500.0)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4"])
def test_every_sample_size_comes_through_without_loss(dtype: str) -> None:
    low, high = (0, 200) if dtype[0] == "u" else (-100, 100)
    counts = np.random.default_rng(6).integers(low, high, size=(12, 999))
    ecg = read_bytes(dicom_bytes(dataset([Group(counts=counts, dtype=dtype)])))
    np.testing.assert_array_equal(ecg.samples, counts)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_read(implicit: bool) -> None:
    content = bare_bytes(dataset([WHOLE]), implicit=implicit)
    np.testing.assert_array_equal(read_bytes(content, "ecg.dcm").samples, COUNTS)


def test_a_bare_data_set_of_explicit_types_needs_no_name() -> None:
    content = bare_bytes(dataset([WHOLE]), implicit=False)
    np.testing.assert_array_equal(read_bytes(content).samples, COUNTS)


@pytest.mark.parametrize("scheme", ["MDC", "SCPECG", "CPT"])
def test_channels_in_any_order_are_named_by_code_or_else_by_words(scheme: str) -> None:
    order = np.random.default_rng(7).permutation(12)
    leads = [LEADS_12[i] for i in order]
    ecg = read_bytes(dicom_bytes(dataset([Group(counts=COUNTS[order], leads=leads, scheme=scheme)])))
    assert ecg.lead_names == tuple(leads)
    np.testing.assert_array_equal(ecg.samples, COUNTS[order])


def test_the_code_of_a_potential_names_its_lead() -> None:
    whole = dataset([WHOLE])
    for channel in whole.WaveformSequence[0].ChannelDefinitionSequence:
        source = channel.ChannelSourceSequence[0]
        source.CodeValue = str(131328 + int(source.CodeValue.removeprefix("2:")))
        source.CodeMeaning = "electric potential"
    assert read_bytes(dicom_bytes(whole)).lead_names == LEADS_12


def test_sensitivity_correction_and_baseline_make_the_voltage() -> None:
    sensitivities = [2.5 if row % 2 else 1.25 for row in range(12)]
    baselines = [100.0 * row for row in range(12)]
    group = Group(counts=COUNTS, sensitivities=sensitivities, baselines=baselines, correction=2.0)
    ecg = read_bytes(dicom_bytes(dataset([group])))
    expected_uv = COUNTS * np.array(sensitivities)[:, None] * 2.0 + np.array(baselines)[:, None]
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, expected_uv, atol=ecg.uv_per_unit / 2)


def test_a_lead_set_spread_over_groups_recorded_at_once_is_one_recording() -> None:
    limb = Group(counts=COUNTS[:6], leads=LEADS_12[:6])
    chest = Group(counts=COUNTS[6:], leads=LEADS_12[6:], sensitivities=[2.5] * 6)
    ecg = read_bytes(dicom_bytes(dataset([limb, chest])))
    assert ecg.lead_names == LEADS_12
    np.testing.assert_array_equal(ecg.samples, np.vstack([COUNTS[:6], COUNTS[6:] * 2]))


def test_groups_recorded_one_after_the_other_are_no_twelve_leads() -> None:
    limb = Group(counts=COUNTS[:6], leads=LEADS_12[:6])
    chest = Group(counts=COUNTS[6:], leads=LEADS_12[6:], offset_ms=2500.0)
    assert refusal_of(dicom_bytes(dataset([limb, chest]))).reason is RefusalReason.LEADS_MISSING


def test_of_two_rhythm_groups_the_longer_is_taken_and_starts_at_its_own_time() -> None:
    short = Group(counts=COUNTS[:, :600])
    long = Group(counts=COUNTS, offset_ms=1500.0)
    ecg = read_bytes(dicom_bytes(dataset([short, long])))
    assert ecg.samples.shape == (12, 1001)
    assert ecg.acquired_at == datetime(2024, 2, 29, 7, 30, 1, 750_000, tzinfo=UTC)


def test_a_derived_rhythm_is_read_and_a_derived_beat_is_not() -> None:
    rhythm = Group(counts=COUNTS[:, :1000], originality="DERIVED", label="")
    np.testing.assert_array_equal(read_bytes(dicom_bytes(dataset([rhythm]))).samples, COUNTS[:, :1000])
    beat = Group(counts=COUNTS[:, :600], originality="DERIVED", label="")
    assert refusal_of(dicom_bytes(dataset([beat]))).reason is RefusalReason.NO_WAVEFORM


def test_patient_device_and_zone_come_from_the_file() -> None:
    ecg = read_bytes(dicom_bytes(dataset([WHOLE])))
    assert (ecg.patient_id, ecg.age_years, ecg.sex) == ("P-77", 63.0, Sex.FEMALE)
    assert (ecg.device_id, ecg.source_system) == ("SN-1", "Maker Model 7")
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("+01:00", False)


def test_eight_leads_are_enough() -> None:
    rows = [LEADS_12.index(lead) for lead in LEADS_8]
    ecg = read_bytes(dicom_bytes(dataset([Group(counts=COUNTS[rows], leads=LEADS_8)])))
    assert ecg.lead_names == LEADS_8


def test_pydicoms_sample_brings_its_carts_measurements() -> None:
    ecg = read_file(Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))).ecg
    assert ecg.cart == CartStatement(
        heart_rate_bpm=61.1,  # of an RR interval of 982 ms
        p_duration_ms=114.0,  # from sample 299 to 413 at 1000 Hz
        pr_ms=161.0,
        qrs_ms=75.0,
        qt_ms=368.0,
        qtc_ms=370.0,
        p_axis_deg=74.0,
        qrs_axis_deg=52.0,
        t_axis_deg=57.0,
    )


def test_measurements_are_known_by_code_or_words_and_kept_only_in_their_unit() -> None:
    annotations = [
        measurement("Ventricular Heart Rate", 72, "/min", code_value="2:16016"),
        measurement("PR interval, global", 160, "ms"),
        measurement("QRS Duration", 0.095, "s"),
        measurement("QT Interval", 400, "mV"),
        measurement("QTc interval global", 29999, "ms"),
        measurement("T Axis", -30, "deg", channel=3),
    ]
    ecg = read_bytes(dicom_bytes(dataset([WHOLE], changes={"WaveformAnnotationSequence": annotations})))
    assert ecg.cart == CartStatement(heart_rate_bpm=72.0, pr_ms=160.0, qrs_ms=95.0)


def test_a_skew_of_more_than_a_sample_is_noted() -> None:
    whole = dataset([WHOLE])
    whole.WaveformSequence[0].ChannelDefinitionSequence[5].ChannelTimeSkew = 0.006
    del whole.WaveformSequence[0].ChannelDefinitionSequence[5].ChannelSampleSkew
    notes = read(Document(content=dicom_bytes(whole))).notes
    assert notes == ("its channels are up to 6 ms apart, kept as stored",)


def _several_patients(whole: pydicom.Dataset) -> None:
    whole.PatientID = ["P1", "P2"]


def _no_code_no_label(whole: pydicom.Dataset) -> None:
    for channel in whole.WaveformSequence[0].ChannelDefinitionSequence:
        del channel.ChannelSourceSequence


def _more_samples_than_declared(whole: pydicom.Dataset) -> None:
    whole.WaveformSequence[0].NumberOfWaveformSamples = 900


def _absurdly_many_samples(whole: pydicom.Dataset) -> None:
    whole.WaveformSequence[0].NumberOfWaveformSamples = 2**32 - 1


def _no_groups(whole: pydicom.Dataset) -> None:
    whole.WaveformSequence = []


def _odd_size(whole: pydicom.Dataset) -> None:
    whole.WaveformSequence[0].WaveformBitsAllocated = 24


def _no_zone(whole: pydicom.Dataset) -> None:
    whole.AcquisitionDateTime = "20240229083000"
    whole.TimezoneOffsetFromUTC = "+9900"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_several_patients, RefusalReason.NO_PATIENT),
        (_no_code_no_label, RefusalReason.LEADS_MISSING),
        (_more_samples_than_declared, RefusalReason.DAMAGED),
        (_absurdly_many_samples, RefusalReason.TOO_LARGE),
        (_no_groups, RefusalReason.NO_WAVEFORM),
        (_odd_size, RefusalReason.UNSUPPORTED),
        (_no_zone, RefusalReason.NO_TIME),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_reason(change: object, reason: RefusalReason) -> None:
    whole = dataset([WHOLE])
    change(whole)  # type: ignore[operator]
    assert refusal_of(dicom_bytes(whole)).reason is reason


def test_a_deflate_bomb_is_refused_at_once() -> None:
    content = deflate_bomb(2**30)
    assert len(content) < 2 * 2**20
    began = time.monotonic()
    assert refusal_of(content).reason is RefusalReason.TOO_LARGE
    assert time.monotonic() - began < 2.0


def test_a_text_called_dcm_is_no_dicom() -> None:
    with pytest.raises(FeedRefusedError, match="not a DICOM file"):
        read_bytes(b"hello, this is no DICOM file" * 20, "ecg.dcm")


def test_a_label_names_a_channel_without_a_source() -> None:
    whole = dataset([WHOLE])
    for lead, channel in zip(LEADS_12, whole.WaveformSequence[0].ChannelDefinitionSequence, strict=True):
        del channel.ChannelSourceSequence
        channel.ChannelLabel = lead
    assert read_bytes(dicom_bytes(whole)).lead_names == LEADS_12


def test_a_time_without_zone_is_the_sites() -> None:
    whole = dataset([WHOLE], changes={"AcquisitionDateTime": "20240229083000"})
    options = ReadOptions(timezone=timezone(timedelta(hours=2)))
    ecg = read(Document(content=dicom_bytes(whole)), options).ecg
    assert ecg.acquired_at == datetime(2024, 2, 29, 6, 30, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("+02:00", True)
