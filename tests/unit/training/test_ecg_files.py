import pickle
from pathlib import Path

import numpy as np
import pytest
from unit.training.files import write_dicom, write_ecgs

from models.cohorts.simulated_cohorts import SimulatedCohort
from models.cohorts.store import featurize_cohort
from ops.ecg_files import find_ecg_files
from ops.ecg_sources import SIMULATED, open_ecgs
from schemas.errors import ConfigurationError
from schemas.recorded import Sex


def opened(where: str) -> object:
    return open_ecgs(where, n_simulated=5, seed=3, progress=lambda *_: None, refused=lambda *_: None)


def test_files_that_can_be_read_are_rows_and_the_others_are_told(tmp_path: Path) -> None:
    write_ecgs(tmp_path / "ward", 2)
    write_ecgs(tmp_path, 1, first=2)
    (tmp_path / "empty.xml").write_text("<nothing/>")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / ".hidden.xml").write_text("nor this")
    told: list[tuple[str, str]] = []
    files = find_ecg_files(tmp_path, refused=lambda path, why: told.append((path.name, why)))
    assert files.paths == ("ecg-2.hea", "ward/ecg-0.hea", "ward/ecg-1.hea")
    assert [name for name, _ in told] == ["empty.xml"]
    assert files.provenance.left_out == {"cannot be read": 1}
    assert not files.provenance.is_simulated
    row = files[1]
    assert row.samples.shape == (12, 5000)
    assert (row.sample_rate_hz, row.sex, row.outcomes) == (500.0, Sex.MALE, {"has_pacemaker": 0.0})
    with pytest.raises(IndexError, match="files 0 to 2, not 3"):
        files[3]


def test_patients_are_numbered_as_they_appear_and_nothing_of_their_identifier_is_kept(tmp_path: Path) -> None:
    for name, patient in (("a", "4711"), ("b", "0815"), ("c", None), ("d", "4711")):
        write_dicom(tmp_path / f"{name}.dcm", patient)
    files = find_ecg_files(tmp_path)
    rows = [files[i] for i in range(4)]
    assert [row.patient_key for row in rows] == ["patient 1", "patient 2", "patient 3", "patient 1"]
    assert [row.key for row in rows] == ["ECG 1", "ECG 2", "ECG 3", "ECG 4"]
    assert find_ecg_files(tmp_path) == files


def test_other_patients_in_the_same_files_are_another_source(tmp_path: Path) -> None:
    for name, patients in (("one", ("4711", "4711")), ("two", ("4711", "0815"))):
        for i, patient in enumerate(patients):
            write_dicom(tmp_path / name / f"{i}.dcm", patient)
    assert find_ecg_files(tmp_path / "one").provenance != find_ecg_files(tmp_path / "two").provenance


def test_same_files_have_the_same_identity_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_ecgs(tmp_path / name, 2)
    one, two = find_ecg_files(tmp_path / "one"), find_ecg_files(tmp_path / "two")
    assert one.provenance == two.provenance
    assert one[0].patient_key == two[0].patient_key
    write_ecgs(tmp_path / "two", 1, first=2)
    assert find_ecg_files(tmp_path / "two").provenance != one.provenance


def test_files_become_a_cohort(tmp_path: Path) -> None:
    write_ecgs(tmp_path / "files", 2)
    cohort = featurize_cohort(pickle.loads(pickle.dumps(find_ecg_files(tmp_path / "files"))), tmp_path / "c")  # noqa: S301 - our own
    assert len(cohort) == 2
    assert np.isfinite(cohort.features[:, 0]).all()


def test_source_is_told_by_what_the_folder_holds(tmp_path: Path) -> None:
    simulated = opened(SIMULATED)
    assert isinstance(simulated, SimulatedCohort)
    assert (len(simulated), simulated.seed) == (5, 3)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        opened(str(tmp_path / "absent"))
    with pytest.raises(
        ConfigurationError, match=r"no ECG in .* can be read: it wants files that end in \.dcm"
    ):
        opened(str(tmp_path))
    (tmp_path / "exams.csv").write_text("nothing of CODE-15\n")
    with pytest.raises(ConfigurationError, match=r"exams\.csv"):
        opened(str(tmp_path))
