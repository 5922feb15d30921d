"""EchoNext, read from files of its layout."""

import csv
import math
import os
import pickle
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from models.cohorts.echonext import TABULAR_COLUMNS, EchoNext
from models.cohorts.echonext_metadata import FLAGS
from models.cohorts.errors import CohortError
from models.cohorts.rows import RowSource
from models.cohorts.simulated_cohorts import echonext_like
from models.cohorts.store import featurize_cohort, stored_texts
from models.features import COLUMN_NAMES
from models.signal import condition
from schemas.leads import LEADS_12
from schemas.recorded import Sex

VALUES = {
    "aortic_stenosis_value": "none",
    "aortic_regurgitation_value": "none",
    "mitral_regurgitation_value": "mild",
    "tricuspid_regurgitation_value": "moderate",
    "pulmonary_regurgitation_value": "none",
    "rv_systolic_function_value": "normal",
    "pericardial_effusion_value": "none",
    "lvef_value": "55.0",
    "ivs_measurement": "1.1",
    "lvpw_measurement": "1.0",
    "pasp_value": "30.0",
    "tr_max_velocity_value": "2.5",
}
COLUMNS = (
    *("ecg_key", "patient_key", "age_at_ecg", "sex", "acquisition_year", "location_setting"),
    *("race_ethnicity", "most_recent_ecg", "split", "ventricular_rate", "atrial_rate", "pr_interval"),
    *("qrs_duration", "qt_corrected", *FLAGS, *VALUES),
)
#: Splits interleaved, as in the CSV.
ORDER = ("train", "no_split", "test", "train", "val", "train", "test", "no_split", "val", "train")


def line(i: int, split: str) -> dict[str, str]:
    known = {
        "ecg_key": f"E{i:05d}",
        "patient_key": f"P{i // 2:05d}",
        "age_at_ecg": str(40 + 7 * (i % 7) + i / 100),
        "sex": str(i % 2),
        "acquisition_year": "2015",
        "location_setting": "inpatient",
        "race_ethnicity": "unknown",
        "most_recent_ecg": "True",
        "split": split,
        "ventricular_rate": str(60 + i * 37 % 50),
        "atrial_rate": "",
        "pr_interval": "160.0",
        "qrs_duration": "90.0",
        "qt_corrected": "420.0",
    }
    return known | dict.fromkeys(FLAGS, "0") | VALUES


def write(
    folder: Path,
    lines: Sequence[Mapping[str, str]],
    *,
    columns: Sequence[str] = COLUMNS,
    dtype: str = "float64",
) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "echonext_metadata_100k.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    for split in {each["split"] for each in lines}:
        own = [each for each in lines if each["split"] == split]
        waveforms = np.zeros((len(own), 1, 2500, 12), dtype=dtype)
        for each, wave in zip(own, waveforms, strict=True):
            number = int(each["ecg_key"][1:])
            wave[0] = np.random.default_rng(number).normal(size=(2500, 12))
            wave[0, 0] = number  # tells whose samples these are
            wave[0, 1] = np.arange(12)  # and which lead
        tabular = np.zeros((len(own), 7), dtype=dtype)
        for j, name in enumerate(TABULAR_COLUMNS):
            column = np.array([float(each[name] or 0) if each[name] != "Female" else 0.0 for each in own])
            tabular[:, j] = column if name == "sex" else (column - column.mean()) / (column.std() or 1.0)
        np.save(folder / f"EchoNext_{split}_waveforms.npy", waveforms)
        np.save(folder / f"EchoNext_{split}_tabular_features.npy", tabular)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, [line(i, split) for i, split in enumerate(ORDER)])
    return tmp_path


def test_rows_are_joined_by_position_within_each_split(folder: Path) -> None:
    source: RowSource = EchoNext(folder)
    assert len(source) == 8
    expected = [i for split in ("train", "val", "test") for i, of in enumerate(ORDER) if of == split]
    for i, number in enumerate(expected):
        ecg = source[i]
        assert ecg.key == f"E{number:05d}"
        assert ecg.samples[0, 0] == number
        assert ecg.split == ORDER[number]
        assert ecg.patient_key == f"P{number // 2:05d}"
        assert ecg.outcomes["ventricular_rate"] == 60 + number * 37 % 50


def test_samples_are_lead_by_lead_at_250_hz_without_a_unit(folder: Path) -> None:
    ecg = EchoNext(folder)[0]
    assert ecg.samples.shape == (12, 2500)
    assert ecg.samples.dtype == np.float32
    assert ecg.samples[:, 1].tolist() == list(range(12))
    assert ecg.lead_names == LEADS_12
    assert ecg.sample_rate_hz == 250.0
    assert ecg.uv_per_unit is None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_waveforms_may_be_of_any_precision(tmp_path: Path, dtype: str) -> None:
    write(tmp_path, [line(0, "train")], dtype=dtype)
    assert EchoNext(tmp_path, ("train",))[0].samples.dtype == np.float32


def test_no_split_is_left_out_by_default_and_counted(folder: Path) -> None:
    source = EchoNext(folder)
    assert {source[i].split for i in range(len(source))} == {"train", "val", "test"}
    assert source.provenance.left_out == {"split no_split": 2}
    assert not source.provenance.is_simulated
    (folder / "EchoNext_no_split_waveforms.npy").unlink()
    (folder / "EchoNext_no_split_tabular_features.npy").unlink()
    assert len(EchoNext(folder)) == 8  # nor need its files be there


def test_splits_are_read_alone_in_the_order_asked_for(folder: Path) -> None:
    source = EchoNext(folder, ("test", "no_split"))
    assert [source[i].key for i in range(len(source))] == ["E00002", "E00006", "E00001", "E00007"]
    assert source.provenance.left_out == {"split train": 4, "split val": 2}
    assert source.provenance.details != EchoNext(folder).provenance.details
    for i in (4, -1):
        with pytest.raises(IndexError):
            source[i]


def test_sex_and_age_come_from_the_csv_with_1_for_male(folder: Path) -> None:
    source = EchoNext(folder, ("train",))
    assert [source[i].sex for i in range(4)] == [Sex.FEMALE, Sex.MALE, Sex.MALE, Sex.MALE]
    assert source[1].age_years == pytest.approx(61.03)
    write(folder, [line(0, "train") | {"sex": "Female", "age_at_ecg": ""}, line(1, "train") | {"sex": ""}])
    source = EchoNext(folder, ("train",))
    assert source[0].sex is Sex.FEMALE
    assert source[0].age_years is None
    assert source[1].sex is Sex.UNKNOWN


@pytest.mark.parametrize(
    ("flag", "columns"),
    [
        ("lvef_lte_45_flag", ("lvef_value",)),
        ("lvwt_gte_13_flag", ("ivs_measurement", "lvpw_measurement")),
        ("aortic_stenosis_moderate_or_greater_flag", ("aortic_stenosis_value",)),
        ("aortic_regurgitation_moderate_or_greater_flag", ("aortic_regurgitation_value",)),
        ("mitral_regurgitation_moderate_or_greater_flag", ("mitral_regurgitation_value",)),
        ("tricuspid_regurgitation_moderate_or_greater_flag", ("tricuspid_regurgitation_value",)),
        ("pulmonary_regurgitation_moderate_or_greater_flag", ("pulmonary_regurgitation_value",)),
        ("rv_systolic_dysfunction_moderate_or_greater_flag", ("rv_systolic_function_value",)),
        ("pericardial_effusion_moderate_large_flag", ("pericardial_effusion_value",)),
        ("pasp_gte_45_flag", ("pasp_value",)),
        ("tr_max_gte_32_flag", ("tr_max_velocity_value",)),
    ],
)
def test_a_flag_of_0_tells_apart_measured_and_not_measured(
    tmp_path: Path, flag: str, columns: tuple[str, ...]
) -> None:
    unmeasured = line(1, "val") | dict.fromkeys(columns, "")
    one_left = unmeasured | {columns[-1]: VALUES[columns[-1]]}
    write(tmp_path, [line(0, "val"), unmeasured, one_left])
    source = EchoNext(tmp_path, ("val",))
    assert [source[i].outcomes[flag] for i in range(3)] == [0.0, 0.0, 0.0]
    assert [source[i].outcomes[f"{flag}_measured"] for i in range(3)] == [1.0, 0.0, 1.0]
    others = [name for name in FLAGS if name != flag]
    assert all(source[1].outcomes[f"{name}_measured"] == 1.0 for name in others)


def test_the_composite_is_measured_where_anything_was(tmp_path: Path) -> None:
    nothing = line(0, "val") | dict.fromkeys(VALUES, "")
    presumed = line(1, "val") | dict.fromkeys(VALUES, "") | {"aortic_stenosis_value": "presumed none"}
    write(tmp_path, [nothing, presumed, line(2, "val")])
    source = EchoNext(tmp_path, ("val",))
    measured = [source[i].outcomes["shd_moderate_or_greater_flag_measured"] for i in range(3)]
    assert measured == [0.0, 1.0, 1.0]
    # what was only presumed was not measured
    assert source[1].outcomes["aortic_stenosis_moderate_or_greater_flag_measured"] == 0.0
    assert math.isnan(source[0].outcomes["lvef_value"])


def test_a_grade_of_none_is_a_measurement(folder: Path) -> None:
    assert EchoNext(folder)[0].outcomes["pericardial_effusion_moderate_large_flag_measured"] == 1.0


def test_without_a_column_of_grades_it_is_not_known_what_was_measured(tmp_path: Path) -> None:
    write(tmp_path, [line(0, "val")], columns=[name for name in COLUMNS if name != "aortic_stenosis_value"])
    outcomes = EchoNext(tmp_path, ("val",))[0].outcomes
    assert math.isnan(outcomes["aortic_stenosis_moderate_or_greater_flag_measured"])
    assert outcomes["mitral_regurgitation_moderate_or_greater_flag_measured"] == 1.0


def test_another_number_of_rows_is_an_error(folder: Path) -> None:
    path = folder / "EchoNext_val_waveforms.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(CohortError, match=r"EchoNext_val_waveforms\.npy has 1 rows, .*csv 2 with split val"):
        EchoNext(folder)
    EchoNext(folder, ("train", "test"))


def many(n: int = 40) -> list[dict[str, str]]:
    ages = np.random.default_rng(5).permutation(np.linspace(30, 85, n))
    return [line(i, "train") | {"age_at_ecg": f"{age:.2f}"} for i, age in enumerate(ages)]


def test_a_csv_that_was_sorted_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, many())
    path = tmp_path / "echonext_metadata_100k.csv"
    EchoNext(tmp_path, ("train",))
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *sorted(lines, key=lambda each: float(each.split(",")[2]))]) + "\n")
    with pytest.raises(CohortError, match="same rows in different orders"):
        EchoNext(tmp_path, ("train",))


def test_tabular_features_in_the_described_order_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, many())
    path = tmp_path / "EchoNext_train_tabular_features.npy"
    np.save(path, np.load(path)[:, [0, 2, 3, 4, 5, 6, 1]])
    with pytest.raises(CohortError, match="age_at_ecg is column 6 of the array, expected 1"):
        EchoNext(tmp_path, ("train",))


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("waveforms", np.zeros((4, 2500, 12)), r"has shape \(4, 2500, 12\), expected \(N, 1, 2500, 12\)"),
        ("waveforms", np.zeros((4, 1, 12, 2500)), r"expected \(N, 1, 2500, 12\)"),
        ("waveforms", np.zeros((4, 1, 2500, 12), np.int16), "holds int16, expected float16 or float32"),
        ("tabular_features", np.zeros((4, 6)), r"expected \(N, 7\)"),
    ],
)
def test_an_array_of_another_layout_is_an_error_that_names_it(
    folder: Path, name: str, array: np.ndarray, said: str
) -> None:
    np.save(folder / f"EchoNext_train_{name}.npy", array)
    with pytest.raises(CohortError, match=rf"EchoNext_train_{name}\.npy.*{said}"):
        EchoNext(folder)


def test_a_missing_or_cut_file_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "EchoNext_test_waveforms.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CohortError, match=r"EchoNext_test_waveforms\.npy is damaged, cut short"):
        EchoNext(folder)
    path.unlink()
    with pytest.raises(CohortError, match=r"EchoNext_test_waveforms\.npy cannot be read \(No such file"):
        EchoNext(folder)
    (folder / "echonext_metadata_100k.csv").unlink()
    with pytest.raises(CohortError, match=r"echonext_metadata_100k\.csv cannot be read"):
        EchoNext(folder)


@pytest.mark.parametrize("missing", ["patient_key", "lvef_lte_45_flag", "pasp_value", "age_at_ecg"])
def test_a_missing_column_is_an_error_that_names_it(tmp_path: Path, missing: str) -> None:
    write(tmp_path, [line(0, "val")], columns=[name for name in COLUMNS if name != missing])
    with pytest.raises(CohortError, match=f"has no column {missing}"):
        EchoNext(tmp_path, ("val",))


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("lvef_lte_45_flag", "2", "is neither 0 nor 1"),
        ("sex", "X", "is none of male, m,"),
        ("age_at_ecg", "300", "is not between 0 and 130"),
        ("pasp_value", "high", "is no number"),
        ("pasp_value", "inf", "is not finite"),
        ("split", "dev", "is none of train, val, test, no_split"),
    ],
)
def test_a_field_that_cannot_be_is_an_error_with_line_and_column(
    tmp_path: Path, column: str, text: str, said: str
) -> None:
    write(tmp_path, [line(0, "val"), line(1, "val")])
    write_csv = [line(0, "val"), line(1, "val") | {column: text}]
    with (tmp_path / "echonext_metadata_100k.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(write_csv)
    with pytest.raises(CohortError, match=f"line 3, column {column}: .*{said}"):
        EchoNext(tmp_path, ("val",))


def test_it_is_told_which_splits_there_are(folder: Path) -> None:
    for splits in (("development",), (), ("train", "train")):
        with pytest.raises(CohortError, match="give some of train, val, test, no_split"):
            EchoNext(folder, splits)


def test_reading_row_by_row_holds_one_row(tmp_path: Path) -> None:
    """60 rows are 14 MB on disk; a row is 240 kB as read and 120 kB as given."""
    write(tmp_path, [line(i, "train") for i in range(60)])
    assert (tmp_path / "EchoNext_train_waveforms.npy").stat().st_size > 14_000_000
    source = EchoNext(tmp_path, ("train",))
    tracemalloc.start()
    assert sum(source[i].samples.size for i in range(60)) == 60 * 12 * 2500
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert highest < 1_000_000


def test_another_process_reads_the_same_and_is_sent_no_waveforms(folder: Path) -> None:
    source = EchoNext(folder)
    source[0]
    sent = pickle.dumps(source)
    assert len(sent) < 20_000
    received = pickle.loads(sent)  # noqa: S301 - our own
    np.testing.assert_array_equal(received[3].samples, source[3].samples)
    assert received[3].outcomes == pytest.approx(source[3].outcomes, nan_ok=True)


def test_z_scored_ecgs_reach_the_model_with_their_shape_and_without_voltages(tmp_path: Path) -> None:
    drawn = echonext_like(4)
    write(tmp_path, [line(i, "train") for i in range(4)])
    ecgs = [drawn[i] for i in range(4)]
    z = np.stack([ecg.samples.T[:2500].astype(np.float64) for ecg in ecgs])
    z = (z - z.mean()) / z.std()
    np.save(tmp_path / "EchoNext_train_waveforms.npy", z[:, None])
    cohort = featurize_cohort(EchoNext(tmp_path, ("train",)), tmp_path / "prepared")
    assert len(cohort) == 4
    for ecg, ours in zip(ecgs, cohort.inputs_uv, strict=True):
        theirs = condition(
            ecg.samples[None], sample_rate_hz=250.0, lead_names=ecg.lead_names, uv_per_unit=1.0
        ).mv[0, [0, 1, 6, 7, 8, 9, 10, 11]]
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
    assert np.isnan(cohort.features[:, COLUMN_NAMES.index("r_v5_mv")]).all()
    assert np.isfinite(cohort.features[:, COLUMN_NAMES.index("heart_rate_bpm")]).all()
    assert stored_texts(tmp_path / "prepared", "split").tolist() == ["train"] * 4


def test_rows_of_arrays_that_were_written_to_are_other_rows(folder: Path) -> None:
    before, path = EchoNext(folder).provenance, folder / "EchoNext_val_waveforms.npy"
    assert EchoNext(folder).provenance == before
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert EchoNext(folder).provenance != before
