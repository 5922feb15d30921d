"""A cohort is prepared once, in bounded memory, and an interruption changes nothing."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spoilt_rows import PowerCut, Rows

from models.cohorts.errors import CohortError, CohortWorkerError
from models.cohorts.featurized import Cohort
from models.cohorts.fingerprint import cohort_sha256
from models.cohorts.rows import CohortEcg, Provenance
from models.cohorts.simulated_cohorts import doppler
from models.cohorts.store import (
    featurize_cohort,
    open_cohort,
    stored_sha256,
    stored_state,
    stored_texts,
)
from models.examination import examine
from models.features import COLUMN_NAMES
from schemas.recorded import Sex

N = 22
VOLTAGES = [i for i, name in enumerate(COLUMN_NAMES) if name.endswith(("_mv", "_mv_ms"))]


def assert_same(one: Cohort, other: Cohort) -> None:
    assert one.keys.tolist() == other.keys.tolist()
    assert one.patient_keys.tolist() == other.patient_keys.tolist()
    for name in ("inputs_uv", "beats_uv", "features", "velocities_cm_s"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert list(one.outcomes) == list(other.outcomes)
    for name, column in one.outcomes.items():
        np.testing.assert_array_equal(column, other.outcomes[name], err_msg=name)
    assert cohort_sha256(one) == cohort_sha256(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    featurize_cohort(Rows(), folder)
    return folder


def test_rows_are_what_the_running_pipeline_makes_of_them(whole: Path) -> None:
    cohort, rows = open_cohort(whole), Rows()
    kept = np.load(whole / "source_rows.npy")
    for i, row in enumerate(kept.tolist()):
        ecg = rows[row]
        (examined,) = examine(
            ecg.samples[None],
            sample_rate_hz=ecg.sample_rate_hz,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit or 0.0,
            stated=[[]],
        )
        assert cohort.keys[i] == ecg.key
        assert cohort.patient_keys[i] == ecg.patient_key
        np.testing.assert_array_equal(cohort.inputs_uv[i], examined.model_input_uv)
        np.testing.assert_array_equal(cohort.beats_uv[i], examined.median_beat_uv)
        assert cohort.features[i, COLUMN_NAMES.index("age_years")] == np.float32(ecg.age_years)
        assert cohort.features[i, COLUMN_NAMES.index("sex")] == (1.0 if ecg.sex is Sex.MALE else -1.0)
        qrs_ms = examined.measurements.qrs_ms
        assert cohort.features[i, COLUMN_NAMES.index("qrs_ms")] == np.float32(qrs_ms)
        np.testing.assert_array_equal(cohort.velocities_cm_s[i], ecg.velocities_cm_s)
        assert {name: column[i] for name, column in cohort.outcomes.items()} == pytest.approx(
            dict(ecg.outcomes), nan_ok=True
        )
    assert stored_texts(whole, "split").tolist() == ["train" if row % 2 else "val" for row in kept]
    assert stored_texts(whole, "centre").tolist() == [rows[row].centre for row in kept]


def test_what_is_left_out_is_counted_by_reason_and_adds_up(whole: Path) -> None:
    left_out = json.loads((whole / "left_out.json").read_text())
    short, missing = list(range(3, N, 8)), list(range(5, N, 8))
    assert left_out["by_reason"]["TOO_SHORT"] == {
        "n": len(short),
        "first_keys": [f"doppler-{i:06d}" for i in short],
    }
    assert left_out["by_reason"]["MISSING_LEAD"]["n"] == len(missing)
    assert left_out["n_kept"] + sum(each["n"] for each in left_out["by_reason"].values()) == N
    assert left_out["n_kept"] == len(open_cohort(whole))
    assert left_out["not_offered_by_the_source"] == {"SPLIT_NOT_ASKED_FOR": 4}


def test_the_folder_says_what_it_holds(whole: Path) -> None:
    said = json.loads((whole / "cohort.json").read_text())
    assert said["is_complete"] is True
    assert said["provenance"]["is_simulated"] is True
    assert said["provenance"]["name"] == "rows"
    assert (said["n_done"], said["n_rows"]) == (N, N)
    assert stored_sha256(whole) == cohort_sha256(open_cohort(whole))


@pytest.mark.parametrize("fails_at", [0, 1, 9, N - 1])
def test_interrupted_work_goes_on_and_gives_the_same(tmp_path: Path, whole: Path, fails_at: int) -> None:
    with pytest.raises(PowerCut):
        featurize_cohort(Rows(fails_at=fails_at), tmp_path, chunk_rows=4)
    state = stored_state(tmp_path)
    assert state is not None
    assert state.n_done == fails_at // 4 * 4
    rows = Rows()
    assert_same(featurize_cohort(rows, tmp_path, chunk_rows=4), open_cohort(whole))
    assert rows.reads == list(range(fails_at // 4 * 4, N))  # what was done is not read again
    assert json.loads((tmp_path / "left_out.json").read_text()) == json.loads(
        (whole / "left_out.json").read_text()
    )


def test_rows_half_written_when_the_power_went_are_written_anew(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(PowerCut):
        featurize_cohort(Rows(fails_at=9), tmp_path, chunk_rows=4)
    for name in ("inputs_uv", "features", "key"):  # arrays may be ahead of what cohort.json says
        with (tmp_path / f"{name}.npy").open("ab") as file:
            file.write(b"\x7f" * 1001)
    assert_same(featurize_cohort(Rows(), tmp_path, chunk_rows=5), open_cohort(whole))


def test_work_that_is_complete_reads_nothing(whole: Path) -> None:
    rows = Rows()
    assert_same(featurize_cohort(rows, whole), open_cohort(whole))
    assert rows.reads == []


def test_workers_give_the_same_as_one_process(tmp_path: Path, whole: Path) -> None:
    told: list[tuple[str, float]] = []
    cohort = featurize_cohort(
        Rows(), tmp_path, workers=2, chunk_rows=4, progress=lambda what, done: told.append((what, done))
    )
    assert_same(cohort, open_cohort(whole))
    assert [done for _, done in told] == pytest.approx([min(4 * i, N) / N for i in range(1, 7)])


def test_a_worker_that_is_killed_is_told_and_the_work_goes_on(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(CohortWorkerError, match="fewer workers"):
        featurize_cohort(Rows(dies_at=13), tmp_path, workers=2, chunk_rows=4)
    state = stored_state(tmp_path)
    assert state is not None
    assert state.n_done <= 12
    assert_same(featurize_cohort(Rows(), tmp_path), open_cohort(whole))


PARENT = """
import multiprocessing, signal, sys
from models.cohorts.fan_out import prepared_in_order
from models.cohorts.simulated_cohorts import doppler

if __name__ == "__main__":
    chunks = prepared_in_order(doppler(10**6), 0, workers=2, chunk_rows=1)
    next(chunks)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    signal.pause()
"""


def test_workers_leave_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    waiting = [os.pidfd_open(pid) for pid in children]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for child in waiting:
        assert multiprocessing.connection.wait([child], timeout=30), "a worker outlived its parent"
        os.close(child)


def test_another_cohort_is_not_mixed_in(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        featurize_cohort(Rows(fails_at=9), tmp_path, chunk_rows=4)
    with pytest.raises(CohortError, match=r"holds 22 rows of .*not the same: choose another folder"):
        featurize_cohort(Rows(details="train"), tmp_path)
    with pytest.raises(CohortError, match="asked for are 21 rows of"):
        featurize_cohort(Rows(cohort=doppler(N - 1)), tmp_path)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(CohortError, match=r"thesis\.docx"):
        featurize_cohort(Rows(), tmp_path)
    assert [each.name for each in tmp_path.iterdir() if each.name != ".lock"] == ["thesis.docx"]


def test_two_processes_do_not_work_on_one_folder(tmp_path: Path) -> None:
    inner: list[str] = []

    def progress(_what: str, _done: float) -> None:
        with pytest.raises(CohortError, match="another process works on") as refused:
            featurize_cohort(Rows(), tmp_path)
        inner.append(str(refused.value))

    featurize_cohort(Rows(cohort=doppler(2)), tmp_path, progress=progress)
    assert len(inner) == 1


def test_work_in_progress_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="holds no prepared cohort"):
        open_cohort(tmp_path)
    with pytest.raises(PowerCut):
        featurize_cohort(Rows(fails_at=9), tmp_path, chunk_rows=4)
    with pytest.raises(CohortError, match="holds 8 of 22 rows"):
        open_cohort(tmp_path)


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    featurize_cohort(Rows(cohort=doppler(1)), tmp_path)
    said = json.loads((tmp_path / "cohort.json").read_text())
    (tmp_path / "cohort.json").write_text(json.dumps(said | {"columns": said["columns"][1:]}))
    with pytest.raises(CohortError, match="another version"):
        open_cohort(tmp_path)
    (tmp_path / "cohort.json").write_text("{")
    with pytest.raises(CohortError, match="damaged"):
        featurize_cohort(Rows(cohort=doppler(1)), tmp_path)


def test_content_that_changed_on_disk_is_found_when_asked(tmp_path: Path) -> None:
    featurize_cohort(Rows(cohort=doppler(2)), tmp_path)
    assert len(open_cohort(tmp_path, verify=True)) == 2
    features = np.load(tmp_path / "features.npy", mmap_mode="r+")
    features[1, 0] += 1
    features.flush()
    with pytest.raises(CohortError, match="features changed"):
        open_cohort(tmp_path, verify=True)


def test_a_stored_cohort_cannot_be_written_to(whole: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_cohort(whole).inputs_uv[0, 0, 0] = 1


def test_the_fingerprint_is_of_the_content_alone(whole: Path) -> None:
    cohort = open_cohort(whole)
    copied = cohort.rows(np.arange(len(cohort)))
    turned = replace(copied, outcomes=dict(sorted(copied.outcomes.items(), reverse=True)))
    narrow = replace(turned, keys=copied.keys.astype("<U20"))
    other_nan = narrow.velocities_cm_s.copy()
    other_nan.view(np.uint32)[np.isnan(other_nan)] = 0xFFC00001
    assert cohort_sha256(replace(narrow, velocities_cm_s=other_nan)) == cohort_sha256(cohort)
    for name in ("inputs_uv", "beats_uv", "features", "velocities_cm_s"):
        array = getattr(copied, name).copy()
        array[-1].flat[0] = 3
        assert cohort_sha256(replace(copied, **{name: array})) != cohort_sha256(cohort), name
    assert cohort_sha256(cohort.rows(slice(0, -1))) != cohort_sha256(cohort)


def test_amplitudes_without_a_unit_leave_the_shape_and_no_voltage(tmp_path: Path) -> None:
    rows = Rows(cohort=doppler(6), has_unit=False, spoilt=False)
    cohort = featurize_cohort(rows, tmp_path)
    with_unit = featurize_cohort(Rows(cohort=doppler(6), spoilt=False), tmp_path / "unit")
    assert len(cohort) == len(with_unit) == 6
    assert np.isnan(cohort.features[:, VOLTAGES]).all()
    assert not np.isnan(with_unit.features[:, VOLTAGES]).all()
    qrs = COLUMN_NAMES.index("qrs_ms")
    np.testing.assert_allclose(cohort.features[:, qrs], with_unit.features[:, qrs], atol=8)
    for ours, theirs in zip(cohort.inputs_uv, with_unit.inputs_uv, strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9999
    size_uv = np.median(cohort.inputs_uv.astype(float).std(axis=-1), axis=-1)
    assert ((size_uv > 60) & (size_uv < 300)).all()


class Listed(list[CohortEcg]):
    """Rows that are there already."""

    provenance = Provenance(name="listed", is_simulated=True)


def test_clipping_by_the_publisher_does_not_cost_a_source_without_unit_its_ecgs(tmp_path: Path) -> None:
    ecg = doppler(1)[0]
    limit = np.percentile(np.abs(ecg.samples), 99.5)
    cut = replace(ecg, samples=np.clip(ecg.samples, -limit, limit).astype(np.int16))
    known, unknown = Listed([cut]), Listed([replace(cut, uv_per_unit=None)])
    with pytest.raises(CohortError, match=r"none of 1 ECGs of listed can be used: CLIPPED 1"):
        featurize_cohort(known, tmp_path / "known")
    assert len(featurize_cohort(unknown, tmp_path / "unknown")) == 1


def test_a_pacemaker_the_source_knows_of_leaves_the_ecg_out(tmp_path: Path) -> None:
    ecgs = [replace(doppler(3)[i], outcomes={"has_pacemaker": float(i == 1)}) for i in range(3)]
    cohort = featurize_cohort(Listed(ecgs), tmp_path)
    assert cohort.keys.tolist() == [ecgs[0].key, ecgs[2].key]
    assert json.loads((tmp_path / "left_out.json").read_text())["by_reason"]["PACED"]["n"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lead_names": ("I", "II")}, "row 1 has samples of shape .* for 2 lead names"),
        ({"uv_per_unit": 0.0}, "row 1 has 0.0 µV per unit"),
        ({"uv_per_unit": float("nan")}, "row 1 has nan µV per unit"),
        ({"velocities_cm_s": np.zeros((2, 64), np.float32)}, "row 1 has velocities"),
        ({"outcomes": {"age": 1.0}}, r"row 1 has the outcomes \[age\], rows before it \[cart,"),
        ({"key": "k" * 65}, "a key has 65 characters"),
    ],
)
def test_a_row_that_cannot_be_is_an_error_that_names_it(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    good = doppler(2)[0]
    source = Listed([good, replace(good, **change)])  # type: ignore[arg-type]
    with pytest.raises(CohortError, match=said):
        featurize_cohort(source, tmp_path)


def test_memory_does_not_grow_with_the_cohort(tmp_path: Path) -> None:
    """64 more ECGs are 5.7 MB in the arrays alone; what is held grows by less than one chunk."""

    def peak(n: int) -> int:
        featurize_cohort(Rows(cohort=doppler(8), spoilt=False), tmp_path / f"warm{n}")
        tracemalloc.start()
        featurize_cohort(Rows(cohort=doppler(n), spoilt=False), tmp_path / str(n), chunk_rows=8)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(80) - peak(16) < 8 * 90_000


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond six ECGs and some, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * 90_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told(tmp_path: Path, small_files: None) -> None:
    with pytest.raises(CohortError, match=r"cannot be written to \(File too large\): make room"):
        featurize_cohort(Rows(), tmp_path, chunk_rows=4)
    state = stored_state(tmp_path)
    assert state is not None
    assert state.n_done == 8  # two chunks, of which six ECGs were kept; from there it goes on
