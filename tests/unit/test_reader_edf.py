from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from writers.edf import EdfSignal, ecg_signals, edf_bytes

from schemas.leads import LEADS_12
from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

COUNTS = np.random.default_rng(5).integers(-900, 900, size=(12, 5000))
GIVEN = ReadOptions(patient_id="P1", acquired_at=datetime(2024, 1, 1, tzinfo=UTC))


def refusal_of(content: bytes, limits: ReadLimits | None = None) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        read(Document(content=content), ReadOptions(), limits or ReadLimits())
    return refusal.value


def test_samples_patient_device_and_time_come_from_an_edf_plus_file() -> None:
    reading = read(
        Document(content=edf_bytes(ecg_signals(COUNTS))), ReadOptions(timezone=ZoneInfo("Europe/Rome"))
    )
    ecg = reading.ecg
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.sample_rate_hz) == (LEADS_12, 500.0)
    assert ecg.uv_per_unit == pytest.approx(0.1)
    assert (ecg.patient_id, ecg.sex, ecg.age_years, ecg.device_id) == ("P-77", Sex.FEMALE, 63.0, "Model 7")
    assert ecg.acquired_at == datetime(2024, 2, 29, 7, 30, tzinfo=UTC)
    assert (ecg.source_format, ecg.is_zone_assumed) == ("EDF", True)


@pytest.mark.parametrize("label", ["ECG {}", "EKG {}", "{}", "Lead {}", "ecg_{}", "EKG{}"])
def test_leads_are_known_by_their_labels(label: str) -> None:
    assert read(Document(content=edf_bytes(ecg_signals(COUNTS, label=label)))).ecg.lead_names == LEADS_12


def test_calibration_with_offset_and_in_millivolts_is_applied() -> None:
    signals = ecg_signals(COUNTS, unit="mV", physical=("-5", "5.24"), digital=(-2048, 2047))
    ecg = read(Document(content=edf_bytes(signals))).ecg
    gain = 10.24 / 4095
    expected_uv = (COUNTS * gain + (-5 + 2048 * gain)) * 1000.0
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, expected_uv, atol=ecg.uv_per_unit / 2)


def test_an_inverted_channel_is_turned_back() -> None:
    ecg = read(Document(content=edf_bytes(ecg_signals(COUNTS, physical=("3276.7", "-3276.8"))))).ecg
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, -COUNTS * 0.1 - 0.1, atol=0.051)


def test_twenty_four_bits_come_through_without_loss() -> None:
    signals = ecg_signals(COUNTS * 30, physical=("-8388608", "8388607"), digital=(-(2**23), 2**23 - 1))
    ecg = read(Document(content=edf_bytes(signals, sample_bytes=3, variant="BDF+C"))).ecg
    np.testing.assert_array_equal(ecg.samples, COUNTS * 30)
    assert ecg.source_format == "BDF"


def test_a_slower_channel_beside_the_leads_costs_itself_alone() -> None:
    slow = EdfSignal(label="Resp chest", counts=np.arange(250), unit="Ohm")
    reading = read(Document(content=edf_bytes([slow, *ecg_signals(COUNTS)])))
    np.testing.assert_array_equal(reading.ecg.samples, COUNTS)
    assert reading.notes[-1].endswith("Resp chest")


def test_records_of_a_fraction_of_a_second_give_the_exact_rate() -> None:
    ecg = read(Document(content=edf_bytes(ecg_signals(COUNTS), record_s="0.8"))).ecg
    assert ecg.sample_rate_hz == 625.0


def test_the_first_records_fraction_of_a_second_is_added_to_the_start() -> None:
    ecg = read(Document(content=edf_bytes(ecg_signals(COUNTS), first_s=0.25))).ecg
    assert ecg.acquired_at == datetime(2024, 2, 29, 8, 30, 0, 250_000, tzinfo=UTC)


def test_a_century_comes_from_the_long_date() -> None:
    content = edf_bytes(ecg_signals(COUNTS), recording="Startdate 29-FEB-2096 X X X", date="29.02.96")
    assert read(Document(content=content)).ecg.acquired_at.year == 2096


def test_plain_edf_has_a_short_date_and_no_patient_that_can_be_told() -> None:
    content = edf_bytes(
        ecg_signals(COUNTS), variant="", recording="ward 3", patient="Doe Jane", date="01.02.85", first_s=None
    )
    assert refusal_of(content).reason is RefusalReason.NO_PATIENT
    ecg = read(Document(content=content), ReadOptions(patient_id="P1")).ecg
    assert (ecg.acquired_at, ecg.patient_id) == (datetime(1985, 2, 1, 8, 30, tzinfo=UTC), "P1")


def test_an_anonymous_file_is_not_given_a_patient_or_a_date() -> None:
    content = edf_bytes(
        ecg_signals(COUNTS),
        patient="X X X X",
        recording="Startdate X X X X",
        date="01.01.85",
        clock="00.00.00",
    )
    assert refusal_of(content).reason is RefusalReason.NO_PATIENT
    with pytest.raises(FeedRefusedError, match="--acquired-at"):
        read(Document(content=content), ReadOptions(patient_id="P1"))
    assert read(Document(content=content), GIVEN).ecg.acquired_at == GIVEN.acquired_at


WHOLE = edf_bytes(ecg_signals(COUNTS))


def with_field(place: int, text: str) -> bytes:
    return WHOLE[:place] + text.encode("latin-1") + WHOLE[place + len(text) :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WHOLE[:200], RefusalReason.DAMAGED),
        (WHOLE[:2000], RefusalReason.DAMAGED),
        (WHOLE[:-1], RefusalReason.DAMAGED),
        (WHOLE + b"\0\0", RefusalReason.DAMAGED),
        (with_field(252, "9999"), RefusalReason.DAMAGED),
        (with_field(252, "-1  "), RefusalReason.DAMAGED),
        (with_field(236, "-1      "), RefusalReason.DAMAGED),
        (with_field(236, "99999999"), RefusalReason.DAMAGED),
        (with_field(244, "nan     "), RefusalReason.DAMAGED),
        (with_field(244, "1e99    "), RefusalReason.INVALID_RECORD),
        (with_field(244, "0       "), RefusalReason.NO_WAVEFORM),
        (edf_bytes(ecg_signals(COUNTS), variant="EDF+D"), RefusalReason.UNSUPPORTED),
        (edf_bytes(ecg_signals(COUNTS, unit="")), RefusalReason.UNIT_UNKNOWN),
        (edf_bytes(ecg_signals(COUNTS, unit="degC")), RefusalReason.UNIT_UNKNOWN),
        (edf_bytes(ecg_signals(COUNTS, physical=("1", "1"))), RefusalReason.UNIT_UNKNOWN),
        (edf_bytes(ecg_signals(COUNTS, digital=(5, 5))), RefusalReason.UNIT_UNKNOWN),
        (edf_bytes(ecg_signals(COUNTS, physical=("1e999", "1"))), RefusalReason.DAMAGED),
        (edf_bytes(ecg_signals(COUNTS), date="28.02.24"), RefusalReason.NO_TIME),
        (edf_bytes(ecg_signals(COUNTS), clock="25.00.00"), RefusalReason.NO_TIME),
        (edf_bytes(ecg_signals(COUNTS)[:5]), RefusalReason.LEADS_MISSING),
        (
            edf_bytes([*ecg_signals(COUNTS)[:11], EdfSignal(label="V6", counts=np.arange(2500))]),
            RefusalReason.UNSUPPORTED,
        ),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_reason(content: bytes, reason: RefusalReason) -> None:
    refusal = refusal_of(content)
    assert refusal.reason is reason
    assert "P-77" not in str(refusal)


def test_more_samples_than_may_be_read_are_refused() -> None:
    assert refusal_of(WHOLE, ReadLimits(max_samples=50_000)).reason is RefusalReason.TOO_LARGE
