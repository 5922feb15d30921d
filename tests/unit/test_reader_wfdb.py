from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pytest
import wfdb

from schemas.leads import LEADS_12
from schemas.recorded import Sex
from streams.feeds.files import read_file
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.wfdb import _require_no_gaps
from streams.feeds.refusal import FeedRefusedError

GIVEN = ReadOptions(patient_id="P1", acquired_at=datetime(1990, 10, 1, tzinfo=UTC))


def write_record(folder: Path, name: str = "r1", gain: float = 1000.0, **changes: object) -> Path:
    rng = np.random.default_rng(3)
    counts = rng.integers(-2000, 2000, size=(1000, 12))
    fields: dict[str, object] = {
        "fs": 100,
        "units": ["mV"] * 12,
        "sig_name": list(LEADS_12),
        "fmt": ["16"] * 12,
        "adc_gain": [gain] * 12,
        "baseline": [0] * 12,
        "comments": ["Age: 63", "Sex: M"],
        "d_signal": counts,
    }
    wfdb.wrsamp(name, write_dir=str(folder), **{**fields, **changes})
    return folder / f"{name}.hea"


def test_samples_equal_wfdbs_own_millivolts(shared_ecg: Path) -> None:
    path = shared_ecg / "wfdb" / "s0010_re.hea"
    reading = read_file(path, GIVEN)
    ecg = reading.ecg

    millivolts = wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T[:12]  # (12, 38400)
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, millivolts * 1000.0, atol=1e-9)
    assert ecg.lead_names == LEADS_12
    assert reading.notes == ("left out, none of the twelve leads or one of them again: vx, vy, vz",)
    assert (ecg.age_years, ecg.sex, ecg.sample_rate_hz) == (81.0, Sex.FEMALE, 1000.0)


def test_an_ambiguous_date_in_a_comment_is_not_guessed(shared_ecg: Path) -> None:
    with pytest.raises(FeedRefusedError, match="--acquired-at"):
        read_file(shared_ecg / "wfdb" / "s0010_re.hea", ReadOptions(patient_id="P1"))


def test_date_and_time_of_the_header_are_taken_in_the_given_zone(tmp_path: Path) -> None:
    path = write_record(tmp_path, base_date=date(2024, 2, 29), base_time=time(8, 30))
    assert read_file(path, ReadOptions(patient_id="P1")).ecg.acquired_at == datetime(
        2024, 2, 29, 8, 30, tzinfo=UTC
    )


def test_a_record_without_a_patient_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(FeedRefusedError, match="--patient-id"):
        read_file(write_record(tmp_path), ReadOptions(acquired_at=GIVEN.acquired_at))


def test_gain_and_baseline_are_applied(tmp_path: Path) -> None:
    ecg = read_file(write_record(tmp_path, gain=200.0, baseline=[100] * 12), GIVEN).ecg
    millivolts = wfdb.rdrecord(str(tmp_path / "r1")).p_signal.T
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, millivolts * 1000.0, atol=1e-9)
    assert (ecg.age_years, ecg.sex) == (63.0, Sex.MALE)


def test_missing_samples_are_refused_and_counted(tmp_path: Path) -> None:
    counts = np.zeros((1000, 12), dtype=np.int64)
    counts[10:15, 7] = -32768
    with pytest.raises(FeedRefusedError, match="5 samples of lead V2"):
        read_file(write_record(tmp_path, d_signal=counts), GIVEN)


def test_a_header_without_its_signal_file_is_refused_without_the_files_name(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    (tmp_path / "r1.dat").unlink()
    with pytest.raises(FeedRefusedError, match="a signal file that its header names is missing"):
        read_file(path, GIVEN)


def test_a_signal_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    (tmp_path / "r1.dat").write_bytes((tmp_path / "r1.dat").read_bytes()[:500])
    with pytest.raises(FeedRefusedError, match="damaged or incomplete WFDB"):
        read_file(path, GIVEN)


def test_a_voltage_in_other_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRefusedError, match="'mmHg'"):
        read_file(write_record(tmp_path, units=["mmHg"] * 12), GIVEN)


def test_the_same_record_read_twice_has_the_same_id(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    assert read_file(path, GIVEN).ecg.ecg_id == read_file(path, GIVEN).ecg.ecg_id


@pytest.mark.parametrize(("storage_format", "no_sample"), [("80", -128), ("212", -2048), ("24", -(2**23))])
def test_a_gap_is_seen_in_every_storage_format(tmp_path: Path, storage_format: str, no_sample: int) -> None:
    counts = np.random.default_rng(5).integers(-100, 100, size=(1000, 12))
    counts[10:15, 7] = no_sample
    with pytest.raises(FeedRefusedError, match="5 samples of lead V2"):
        read_file(write_record(tmp_path, d_signal=counts, fmt=[storage_format] * 12), GIVEN)


@pytest.mark.parametrize(
    ("storage_format", "no_sample"),
    [("508", -128), ("516", -32768), ("524", -(2**23)), ("160", -32768), ("8", None)],
)
def test_formats_wfdb_cannot_write_are_known_by_their_mark_too(
    storage_format: str, no_sample: int | None
) -> None:
    counts = np.array([0, -128, -32768, -(2**23)])
    if no_sample is None:
        return _require_no_gaps(counts, storage_format, "V2")
    with pytest.raises(FeedRefusedError, match="1 samples of lead V2"):
        _require_no_gaps(counts, storage_format, "V2")
    return None


def with_channel(counts: np.ndarray, name: str, unit: str) -> dict[str, object]:
    ecg = np.random.default_rng(3).integers(-2000, 2000, size=(1000, 12))
    return {
        "d_signal": np.column_stack([counts, ecg]),
        "sig_name": [name, *LEADS_12],
        "units": [unit, *["mV"] * 12],
        "fmt": ["16"] * 13,
        "adc_gain": [0.004, *[1000.0] * 12],
        "baseline": [0] * 13,
    }


def test_an_auxiliary_channel_neither_refuses_nor_coarsens_the_ecg(tmp_path: Path) -> None:
    alone = read_file(write_record(tmp_path, "alone"), GIVEN).ecg
    loud = np.full(1000, 32000)
    loud[3] = -32768  # and a gap in it
    for unit, name in (("mV", "RESP"), ("NU", "Pleth"), ("mmHg", "arterial blood pressure")):
        ecg = read_file(write_record(tmp_path, "with", **with_channel(loud, name, unit)), GIVEN).ecg
        assert ecg.lead_names == LEADS_12
        assert ecg.uv_per_unit == alone.uv_per_unit
        np.testing.assert_array_equal(ecg.samples, alone.samples)


def test_an_inverted_avr_is_turned_back(tmp_path: Path) -> None:
    cabrera = [name if name != "aVR" else "-aVR" for name in LEADS_12]
    plain = read_file(write_record(tmp_path, "plain"), GIVEN).ecg
    ecg = read_file(write_record(tmp_path, "cabrera", sig_name=cabrera), GIVEN).ecg
    assert ecg.lead_names == LEADS_12
    np.testing.assert_array_equal(ecg.samples[3], -plain.samples[3])
    np.testing.assert_array_equal(np.delete(ecg.samples, 3, 0), np.delete(plain.samples, 3, 0))


def test_a_slower_channel_beside_the_leads_does_not_average_them(tmp_path: Path) -> None:
    counts = np.random.default_rng(3).integers(-2000, 2000, size=(1000, 12))
    wfdb.wrsamp(
        "framed",
        fs=100,
        units=["mV"] * 12 + ["NU"],
        sig_name=[*LEADS_12, "RESP"],
        e_d_signal=[*counts.T, np.arange(250)],
        samps_per_frame=[4] * 12 + [1],
        fmt=["16"] * 13,
        adc_gain=[1000.0] * 13,
        baseline=[0] * 13,
        write_dir=str(tmp_path),
    )
    ecg = read_file(tmp_path / "framed.hea", GIVEN).ecg
    assert ecg.sample_rate_hz == 400.0
    np.testing.assert_array_equal(ecg.samples, counts.T)


@pytest.mark.parametrize("elsewhere", ["../r1.dat", "/etc/hosts", "s3://bucket/r1.dat", "..\\r1.dat"])
def test_a_header_cannot_point_to_other_places(tmp_path: Path, elsewhere: str) -> None:
    path = write_record(tmp_path)
    path.write_text(path.read_text().replace("r1.dat", elsewhere))
    with pytest.raises(FeedRefusedError, match="damaged or incomplete WFDB"):
        read_file(path, GIVEN)


def test_a_header_without_signals_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.hea").write_text("none 0 500 5000\n")
    with pytest.raises(FeedRefusedError, match="of no signal"):
        read_file(tmp_path / "none.hea", GIVEN)


def test_of_two_channels_of_one_name_the_first_is_taken(tmp_path: Path) -> None:
    counts = np.full(1000, 7)
    twice = {**with_channel(counts, "ii", "mV"), "adc_gain": [1000.0] * 13}
    reading = read_file(write_record(tmp_path, **twice), GIVEN)
    assert reading.ecg.lead_names == ("II", "I", *LEADS_12[2:])
    assert set(reading.ecg.samples[0].tolist()) == {7}
    assert reading.notes == ("left out, none of the twelve leads or one of them again: II",)
