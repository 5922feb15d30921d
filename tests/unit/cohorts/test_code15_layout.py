"""CODE-15 %, read from files of its layout."""

import csv
import math
import os
import pickle
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from models.cohorts.code15 import Code15
from models.cohorts.errors import CohortError
from models.cohorts.rows import CohortEcg, RowSource
from models.cohorts.simulated_cohorts import code_like
from models.cohorts.store import featurize_cohort, stored_state
from models.features import COLUMN_NAMES
from schemas.recorded import Sex

COLUMNS = (
    *("exam_id", "age", "is_male", "nn_predicted_age", "1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"),
    *("patient_id", "death", "timey", "normal_ecg", "trace_file"),
)
#: Exams of each part as they lie in it, its last row of zeros left to the writer.
PARTS = {0: (1169160, 2873686, 11), 3: (70, 5)}


def line(exam_id: int, part: int, **said: str) -> dict[str, str]:
    return {
        "exam_id": str(exam_id),
        "age": "54",
        "is_male": "True",
        "nn_predicted_age": "51.5",
        **dict.fromkeys(("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"), "False"),
        "patient_id": str(exam_id * 10),
        "death": "",
        "timey": "",
        "normal_ecg": "True",
        "trace_file": f"exams_part{part}.hdf5",
        **said,
    }


#: In another order than in the parts: by exam id.
LINES = (
    line(5, 3, death="False", timey="3.5", patient_id="77"),
    line(11, 0, is_male="False", AF="True", age=""),
    line(70, 3, patient_id="77"),  # a later exam of the same patient
    line(1169160, 0, death="True", timey="1.25", normal_ecg="False"),
    line(2873686, 0),
)


def write_csv(folder: Path, lines: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> None:
    with (folder / "exams.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def padded(tracing: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, 12) in the middle of 4096 zeros."""
    out = np.zeros((4096, 12), dtype=tracing.dtype)
    start = (4096 - len(tracing)) // 2
    out[start : start + len(tracing)] = tracing
    return out


def tracing(exam_id: int, n: int = 4000) -> npt.NDArray[np.float32]:
    """Samples that tell exam and lead, and that are 0 in the middle."""
    out = np.random.default_rng(exam_id).normal(size=(n, 12)).astype(np.float32)
    out[0], out[-1] = exam_id % 1000, np.arange(12)
    out[100:110] = 0.0
    return out


def write_part(
    folder: Path,
    part: int,
    exams: Sequence[int],
    *,
    dtype: str = "float32",
    chunks: Any = None,
    n: int = 4000,
) -> None:
    tracings = np.stack([*(padded(tracing(exam, n)) for exam in exams), np.zeros((4096, 12))]).astype(dtype)
    with h5py.File(folder / f"exams_part{part}.hdf5", "w") as file:
        file["exam_id"] = np.array([*exams, 0], dtype=np.int64)
        file.create_dataset("tracings", data=tracings, chunks=chunks, compression="gzip" if chunks else None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_csv(tmp_path, LINES)
    for part, exams in PARTS.items():
        write_part(tmp_path, part, exams)
    return tmp_path


def all_of(source: RowSource) -> list[CohortEcg]:
    return [source[i] for i in range(len(source))]


def test_exams_are_joined_by_id_in_the_order_of_the_files(folder: Path) -> None:
    ecgs = all_of(Code15(folder))
    assert [ecg.key for ecg in ecgs] == ["1169160", "2873686", "11", "70", "5"]
    for ecg in ecgs:
        assert ecg.samples[0, 0] == int(ecg.key) % 1000
    assert [ecg.patient_key for ecg in ecgs] == ["11691600", "28736860", "110", "77", "77"]
    assert [ecg.outcomes["AF"] for ecg in ecgs] == [0, 0, 1, 0, 0]
    assert [ecg.sex for ecg in ecgs] == [Sex.MALE, Sex.MALE, Sex.FEMALE, Sex.MALE, Sex.MALE]
    assert [ecg.age_years for ecg in ecgs] == [54, 54, None, 54, 54]


def test_the_row_of_zeros_that_ends_each_part_is_no_exam(folder: Path) -> None:
    source = Code15(folder)
    assert len(source) == 5
    assert all(np.any(ecg.samples) for ecg in all_of(source))
    assert source.provenance.left_out == {}


def test_samples_are_in_mv_at_400_hz_lead_by_lead(folder: Path) -> None:
    ecg = Code15(folder)[0]
    assert ecg.samples.dtype == np.float32
    assert ecg.sample_rate_hz == 400.0
    assert ecg.uv_per_unit == 1000.0
    assert ecg.lead_names == ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert ecg.samples[:, -1].tolist() == list(range(12))
    np.testing.assert_array_equal(ecg.samples, tracing(1169160).T)


@pytest.mark.parametrize("n", [4096, 4000, 2800, 1])
def test_padding_is_cut_at_both_ends_and_nothing_else(tmp_path: Path, n: int) -> None:
    write_csv(tmp_path, [line(9, 0)])
    write_part(tmp_path, 0, [9], n=n)
    samples = Code15(tmp_path)[0].samples
    np.testing.assert_array_equal(samples, tracing(9, n).T)


def test_a_tracing_of_nothing_has_no_samples(tmp_path: Path) -> None:
    write_csv(tmp_path, [line(9, 0)])
    write_part(tmp_path, 0, [9])
    with h5py.File(tmp_path / "exams_part0.hdf5", "r+") as file:
        file["tracings"][0] = 0.0
    assert Code15(tmp_path)[0].samples.shape == (12, 0)


def test_follow_up_is_of_all_cause_death_and_blank_is_not_known(folder: Path) -> None:
    ecgs = {ecg.key: ecg.outcomes for ecg in all_of(Code15(folder))}
    assert (ecgs["1169160"]["death_all_cause"], ecgs["1169160"]["follow_up_years"]) == (1.0, 1.25)
    assert (ecgs["5"]["death_all_cause"], ecgs["5"]["follow_up_years"]) == (0.0, 3.5)
    for blank in ("70", "11", "2873686"):
        assert math.isnan(ecgs[blank]["death_all_cause"])
        assert math.isnan(ecgs[blank]["follow_up_years"])
    assert not any("event" in outcomes or "death" in outcomes for outcomes in ecgs.values())


def test_first_exams_alone_are_one_a_patient_and_the_others_are_counted(folder: Path) -> None:
    source = Code15(folder, first_exam_only=True)
    assert [ecg.key for ecg in all_of(source)] == ["1169160", "5"]
    assert source.provenance.left_out == {"no follow-up from this exam": 3}
    assert source.provenance.details != Code15(folder).provenance.details


def test_a_column_of_causes_gives_competing_events(folder: Path) -> None:
    causes = {"5": "", "1169160": "heart_failure"}
    more = line(12, 3, death="1", timey="2", cause="other")
    lines = [{**each, "cause": causes.get(each["exam_id"], "")} for each in LINES]
    write_csv(folder, [*lines, more], (*COLUMNS, "cause"))
    write_part(folder, 3, (70, 5, 12))
    events = {ecg.key: ecg.outcomes["event"] for ecg in all_of(Code15(folder))}
    assert (events["5"], events["1169160"], events["12"]) == (0.0, 1.0, 2.0)
    assert math.isnan(events["70"])


@pytest.mark.parametrize(
    ("said", "cause"), [({"death": "True"}, ""), ({"death": "False"}, "other"), ({}, "heart_failure")]
)
def test_a_cause_that_contradicts_the_death_is_an_error(
    tmp_path: Path, said: dict[str, str], cause: str
) -> None:
    followed = said | {"timey": "1"} if said else {}
    write_csv(tmp_path, [line(9, 0, cause=cause, **followed)], (*COLUMNS, "cause"))
    with pytest.raises(
        CohortError, match="line 2, column cause: give heart_failure or other where death is 1"
    ):
        Code15(tmp_path)


def test_follow_up_on_two_exams_of_a_patient_is_an_error(folder: Path) -> None:
    lines = [each | {"death": "False", "timey": "2"} for each in LINES]
    write_csv(folder, lines)
    with pytest.raises(CohortError, match="line 2: this patient has death and timey on several exams"):
        Code15(folder)


def test_half_a_follow_up_is_an_error(folder: Path) -> None:
    write_csv(folder, [*LINES[:-1], LINES[-1] | {"death": "True"}])
    with pytest.raises(CohortError, match="line 6: one of death and timey is blank"):
        Code15(folder)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tracings_may_be_of_any_precision(tmp_path: Path, dtype: str) -> None:
    write_csv(tmp_path, [line(9, 0)])
    write_part(tmp_path, 0, [9], dtype=dtype)
    samples = Code15(tmp_path)[0].samples
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, tracing(9).astype(dtype).astype(np.float32).T)


@pytest.mark.parametrize("chunks", [None, (1, 4096, 12), (3, 1024, 6), (100, 4096, 1)])
def test_tracings_may_be_stored_in_any_chunks(tmp_path: Path, chunks: tuple[int, ...] | None) -> None:
    exams = list(range(1, 8))
    write_csv(tmp_path, [line(exam, 0) for exam in exams])
    write_part(tmp_path, 0, exams, chunks=chunks if chunks is None else (min(chunks[0], 8), *chunks[1:]))
    source = Code15(tmp_path)
    for i in (0, 1, 2, 6, 3, 5):  # forward, and back
        np.testing.assert_array_equal(source[i].samples, tracing(exams[i]).T)


def test_parts_that_are_not_there_can_be_left_out(folder: Path) -> None:
    (folder / "exams_part3.hdf5").unlink()
    with pytest.raises(
        CohortError, match=r"exams_part3\.hdf5 cannot be read, it is not there: put it there, or"
    ):
        Code15(folder)
    source = Code15(folder, parts=(0,))
    assert [ecg.key for ecg in all_of(source)] == ["1169160", "2873686", "11"]
    assert source.provenance.left_out == {"line without a tracing in the parts read": 2}


def test_tracings_that_the_table_does_not_know_are_counted(folder: Path) -> None:
    write_csv(folder, LINES[1:])
    source = Code15(folder)
    assert "5" not in [ecg.key for ecg in all_of(source)]
    assert source.provenance.left_out == {"tracing without a line in exams.csv": 1}


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_csv(tmp_path, [line(part + 1, part) for part in (10, 2, 1)])
    for part in (1, 2, 10):
        write_part(tmp_path, part, [part + 1])
    assert [ecg.key for ecg in all_of(Code15(tmp_path))] == ["2", "3", "11"]


def test_one_exam_twice_is_an_error(folder: Path) -> None:
    write_part(folder, 3, (70, 11))
    with pytest.raises(CohortError, match="line 3: this exam has two tracings"):
        Code15(folder)
    write_csv(folder, [*LINES, LINES[0]])
    with pytest.raises(CohortError, match="line 7, column exam_id: stands in line 2 already"):
        Code15(folder)


@pytest.mark.parametrize(
    ("exam_id", "tracings", "said"),
    [
        (np.arange(3), np.zeros((3, 4096, 8), np.float32), r"shape \(3, 4096, 8\).*expected .*4096, 12"),
        (np.arange(3), np.zeros((2, 4096, 12), np.float32), "for 3 exam_id"),
        (np.arange(3), np.zeros((3, 12, 4096), np.float32), "expected floating-point"),
        (np.arange(3), np.zeros((3, 4096, 12), np.int16), "expected floating-point"),
        (np.arange(3.0), np.zeros((3, 4096, 12), np.float32), "float64 exam_id"),
    ],
)
def test_a_part_of_another_layout_is_an_error_that_names_it(
    folder: Path, exam_id: npt.NDArray[Any], tracings: npt.NDArray[Any], said: str
) -> None:
    with h5py.File(folder / "exams_part3.hdf5", "w") as file:
        file["exam_id"], file["tracings"] = exam_id, tracings
    with pytest.raises(CohortError, match=rf"exams_part3\.hdf5 holds .*{said}"):
        Code15(folder)


def test_a_part_without_its_data_sets_or_cut_short_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "exams_part0.hdf5"
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    with pytest.raises(CohortError, match=r"exams_part0\.hdf5 cannot be read, it is damaged or cut short"):
        Code15(folder)
    with h5py.File(path, "w") as file:
        file["signal"] = np.zeros(3)
    with pytest.raises(CohortError, match=r"has no data set exam_id and tracings; it has signal"):
        Code15(folder)


@pytest.mark.parametrize("missing", ["patient_id", "timey", "AF", "trace_file"])
def test_a_missing_column_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    write_csv(folder, LINES, [name for name in COLUMNS if name != missing])
    with pytest.raises(CohortError, match=rf"exams\.csv has no column {missing}"):
        Code15(folder)


def test_reading_in_order_decompresses_once_and_holds_one_block(tmp_path: Path) -> None:
    """48 tracings are 9.4 MB in 12 chunks of 4; what is held at once is one of them, and one tracing."""
    exams = list(range(1, 49))
    write_csv(tmp_path, [line(exam, 0) for exam in exams])
    write_part(tmp_path, 0, exams, chunks=(4, 4096, 12))
    source = Code15(tmp_path)
    tracemalloc.start()
    n_samples = sum(source[i].samples.shape[1] for i in range(len(source)))
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == 48 * 4000
    assert highest < 3_000_000


def test_another_process_opens_its_own_files(folder: Path) -> None:
    source = Code15(folder)
    source[0]
    received = pickle.loads(pickle.dumps(source))  # noqa: S301 - our own
    for ours, theirs in zip(all_of(source), all_of(received), strict=True):
        np.testing.assert_array_equal(ours.samples, theirs.samples)
        assert ours.outcomes == pytest.approx(dict(theirs.outcomes), nan_ok=True)


def test_exams_reach_the_model_and_short_ones_are_counted(tmp_path: Path) -> None:
    drawn = [code_like(3)[i] for i in range(3)]
    write_csv(tmp_path, [line(i + 1, 0) for i in range(3)])
    write_part(tmp_path, 0, [1, 2, 3], n=2800)
    with h5py.File(tmp_path / "exams_part0.hdf5", "r+") as file:
        for i, ecg in enumerate(drawn[:2]):
            assert ecg.uv_per_unit is not None
            mv = (ecg.samples.astype(np.float64) * ecg.uv_per_unit / 1000.0).T
            at = np.linspace(0, len(mv) - 1, 4000)  # to 400 Hz
            resampled = [np.interp(at, np.arange(len(mv)), lead) for lead in mv.T]
            file["tracings"][i] = padded(np.stack(resampled, axis=1).astype(np.float32))
    cohort = featurize_cohort(Code15(tmp_path), tmp_path / "prepared")
    assert cohort.keys.tolist() == ["1", "2"]
    state = stored_state(tmp_path / "prepared")
    assert state is not None
    assert {reason: each.n for reason, each in state.left_out.items()} == {"TOO_SHORT": 1}
    direct = featurize_cohort(code_like(3), tmp_path / "direct")
    column = COLUMN_NAMES.index("r_v5_mv")
    np.testing.assert_allclose(cohort.features[:, column], direct.features[:2, column], rtol=0.1, atol=0.05)


def test_rows_of_arrays_that_were_written_to_are_other_rows(folder: Path) -> None:
    before, path = Code15(folder).provenance, folder / "exams_part3.hdf5"
    assert Code15(folder).provenance == before
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert Code15(folder).provenance != before
