from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pytest
import wfdb

from schemas.leads import LEADS_12
from schemas.recorded import Sex
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
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
    ecg = read(path, GIVEN)

    millivolts = wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T  # (15, 38400)
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, millivolts * 1000.0, atol=1e-9)
    assert ecg.lead_names == (*LEADS_12, "vx", "vy", "vz")
    assert (ecg.age_years, ecg.sex, ecg.sample_rate_hz) == (81.0, Sex.FEMALE, 1000.0)


def test_an_ambiguous_date_in_a_comment_is_not_guessed(shared_ecg: Path) -> None:
    with pytest.raises(FeedRefusedError, match="--acquired-at"):
        read(shared_ecg / "wfdb" / "s0010_re.hea", ReadOptions(patient_id="P1"))


def test_date_and_time_of_the_header_are_taken_in_the_given_zone(tmp_path: Path) -> None:
    path = write_record(tmp_path, base_date=date(2024, 2, 29), base_time=time(8, 30))
    assert read(path, ReadOptions(patient_id="P1")).acquired_at == datetime(2024, 2, 29, 8, 30, tzinfo=UTC)


def test_a_record_without_a_patient_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(FeedRefusedError, match="--patient-id"):
        read(write_record(tmp_path), ReadOptions(acquired_at=GIVEN.acquired_at))


def test_gain_and_baseline_are_applied(tmp_path: Path) -> None:
    ecg = read(write_record(tmp_path, gain=200.0, baseline=[100] * 12), GIVEN)
    millivolts = wfdb.rdrecord(str(tmp_path / "r1")).p_signal.T
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, millivolts * 1000.0, atol=1e-9)
    assert (ecg.age_years, ecg.sex) == (63.0, Sex.MALE)


def test_missing_samples_are_refused_and_counted(tmp_path: Path) -> None:
    counts = np.zeros((1000, 12), dtype=np.int64)
    counts[10:15, 7] = -32768
    with pytest.raises(FeedRefusedError, match="5 samples of lead V2"):
        read(write_record(tmp_path, d_signal=counts), GIVEN)


def test_a_header_without_its_signal_file_names_the_missing_file(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    (tmp_path / "r1.dat").unlink()
    with pytest.raises(FeedRefusedError, match=r"r1\.dat is missing"):
        read(path, GIVEN)


def test_a_signal_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    (tmp_path / "r1.dat").write_bytes((tmp_path / "r1.dat").read_bytes()[:500])
    with pytest.raises(FeedRefusedError, match="damaged WFDB"):
        read(path, GIVEN)


def test_a_voltage_in_other_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRefusedError, match="'mmHg'"):
        read(write_record(tmp_path, units=["mmHg"] * 12), GIVEN)


def test_the_same_record_read_twice_has_the_same_id(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    assert read(path, GIVEN).ecg_id == read(path, GIVEN).ecg_id
