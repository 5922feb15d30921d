from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb
from tiny_bundle import tiny_bundle_folder
from typer.testing import CliRunner

from models.cohorts.simulated import Course, SimulatedPatient
from models.motion_measurements import MOTION_COLUMNS
from models.study.words import title
from ops.cli import main as cli
from schemas.leads import LEADS_8

AT = datetime(2025, 1, 1, tzinfo=UTC)
BARS = set("▁▂▃▄▅▆▇█")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle_folder(tmp_path_factory.mktemp("bundles") / "tiny")


def write_ecg(folder: Path, *comments: str, flat: bool = False) -> Path:
    """A WFDB record, which gives no date; age and sex only where the comments do."""
    ecg = SimulatedPatient(seed=5, course=Course(start=0.6, end=0.6)).record(AT)
    samples = np.zeros_like(ecg.samples) if flat else ecg.samples
    wfdb.wrsamp(
        "ecg",
        write_dir=str(folder),
        fs=ecg.sample_rate_hz,
        units=["mV"] * 12,
        sig_name=list(ecg.lead_names),
        fmt=["16"] * 12,
        adc_gain=[1000.0 / ecg.uv_per_unit] * 12,
        baseline=[0] * 12,
        comments=list(comments),
        d_signal=samples.T,
    )
    return folder / "ecg.hea"


def explained(file: Path, bundle: Path, *options: str, exit_code: int = 0) -> str:
    command = ["explain", str(file), "--bundle", str(bundle), *options]
    result = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


def probability(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("probability "))


def test_a_file_without_a_date_is_explained(tmp_path: Path, bundle: Path) -> None:
    said = explained(write_ecg(tmp_path), bundle)
    assert "age unknown, sex unknown" in said
    assert "rests on the median beat" in said
    assert "held fixed" in said
    assert "First order" in said
    assert "nobody trained this model" in said


def test_age_and_sex_count_where_the_file_gives_none(tmp_path: Path, bundle: Path) -> None:
    silent = write_ecg(tmp_path)
    without = explained(silent, bundle)
    given = explained(silent, bundle, "--age", "81", "--sex", "female")
    assert "age 81 years, sex female" in given
    assert probability(given) != probability(without)
    stated = write_ecg(tmp_path, "Age: 81", "Sex: F")
    said = explained(stated, bundle, "--age", "20", "--sex", "male")
    assert "age 81 years, sex female" in said
    assert probability(said) == probability(given)


def test_motion_is_shown_by_readable_names_in_its_own_order(tmp_path: Path, bundle: Path) -> None:
    said = explained(write_ecg(tmp_path), bundle)
    places = [said.find(title(name)) for name in MOTION_COLUMNS]
    assert -1 not in places
    assert places == sorted(places)
    assert "_cm_s" not in said
    assert "±" in said


def test_beat_and_strip_are_drawn_for_each_lead(tmp_path: Path, bundle: Path) -> None:
    said = explained(write_ecg(tmp_path), bundle)
    drawn = [sum(char in BARS for char in line) for line in said.splitlines() if line[2:4].strip() in LEADS_8]
    assert drawn == [55] * 8 + [100] * 8


def test_an_ecg_that_is_not_scored_is_not_explained(tmp_path: Path, bundle: Path) -> None:
    said = explained(write_ecg(tmp_path, flat=True), bundle, exit_code=1)
    assert said.startswith("not scored: ")
    assert "probability" not in said
