from pathlib import Path

import numpy as np
import pytest
from scored_cohorts import scored_cohort, study_inputs
from typer.testing import CliRunner

from models.cohorts.paired_writer import write_paired
from models.cohorts.rows import CohortEcg, RowSource
from models.study.marks import Mark, marks
from models.study.study import run_study
from models.training.paired_sources import paired_sources
from ops.cli import main as cli
from ops.cli.study import Paths, chosen_sources, marks_table, report, verdict
from schemas.errors import ConfigurationError
from schemas.leads import LEADS_8

FACTS = scored_cohort("development", 30).facts


def mark(*, is_met: bool | None) -> Mark:
    return Mark(
        name="AUC", cohort=FACTS, wanted="≥ 0.85", found=None if is_met is None else 0.8, is_met=is_met
    )


def test_verdict_counts_and_warns_of_simulated_data() -> None:
    assert verdict([mark(is_met=True)]) == (
        "1 of 1 marks met, none missed",
        "Simulated data say nothing of patients.",
    )
    assert verdict([mark(is_met=True), mark(is_met=False), mark(is_met=None)])[0] == (
        "1 of 3 marks met, 1 MISSED, 1 not known"
    )


def test_table_shows_a_row_a_mark() -> None:
    reached = marks(run_study(study_inputs(0.05)))
    assert marks_table("b", reached).row_count == len(reached) == 14


def test_missed_marks_are_said_with_where_the_report_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(study_inputs(0.05), tmp_path / "new")
    said = capsys.readouterr().out
    assert "MISSED" in said
    assert "Simulated data say nothing of patients." in said
    for name in ("study.html", "study.json"):
        assert str(tmp_path / "new" / name) in said
        assert (tmp_path / "new" / name).is_file()


def test_without_a_path_simulated_cohorts_are_judged() -> None:
    whole = chosen_sources(Paths(), seed=1, is_quick=False)
    assert [
        len(each) for each in (whole.development, whole.external, whole.diseases, whole.outcomes) if each
    ] == [
        1012,
        956,
        100_000,
        233_770,
    ]
    quick = chosen_sources(Paths(), seed=1, is_quick=True)
    assert quick.is_quick
    assert quick.outcomes is not None
    assert len(quick.outcomes) < 5000


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--external needs --development"):
        chosen_sources(Paths(external=Path("somewhere")), seed=1, is_quick=False)
    with pytest.raises(ConfigurationError, match="leave out --development and --external"):
        chosen_sources(Paths(cohort=Path("somewhere"), development=Path("elsewhere")), seed=1, is_quick=False)
    with pytest.raises(ConfigurationError, match="--quick is for simulated cohorts"):
        chosen_sources(Paths(code15=Path("somewhere")), seed=1, is_quick=True)


def test_folder_that_holds_no_cohort_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("cohort", "development", "echonext", "code15"):
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            chosen_sources(Paths(**{name: tmp_path}), seed=1, is_quick=False)


def row(i: int, split: str) -> CohortEcg:
    return CohortEcg(
        key=f"E{i}",
        patient_key=f"P{i}",
        samples=np.zeros((8, 1000), dtype=np.int16),
        sample_rate_hz=100.0,
        lead_names=LEADS_8,
        uv_per_unit=5.0,
        split=split,
        outcomes={"is_high_risk": float(i % 2)},
        velocities_cm_s=np.ones((2, 128), dtype=np.float32),
    )


def lab(folder: Path, *splits: str) -> Path:
    rows = [row(i, splits[i % len(splits)]) for i in range(600)]
    write_paired(folder, rows, name="Lab", is_simulated=False)
    return folder


def keys(source: RowSource | None) -> set[str]:
    assert source is not None
    return {source[i].key for i in range(len(source))}


def test_cohort_the_bundle_was_trained_on_is_judged_on_what_only_the_ensemble_saw(tmp_path: Path) -> None:
    folder = lab(tmp_path, "")
    for seed in (1, 2):
        trained, judged = (
            paired_sources(folder, seed),
            chosen_sources(Paths(cohort=folder), seed=seed, is_quick=False),
        )
        assert keys(judged.development) == keys(trained.development)
        assert keys(judged.external) == keys(trained.external)
        assert not (keys(judged.development) | keys(judged.external)) & keys(trained.registry)
        assert "same site" in judged.external_what
    first, second = (
        chosen_sources(Paths(cohort=folder), seed=seed, is_quick=False).development for seed in (1, 2)
    )
    assert first is not None
    assert second is not None
    assert first.provenance != second.provenance, "what was scored under another seed is not taken up"


def test_of_folders_whose_splits_name_parts_only_the_part_is_judged(tmp_path: Path) -> None:
    parted = lab(tmp_path / "parted", "motion", "development", "external")
    whole = lab(tmp_path / "whole", "")
    sources = chosen_sources(Paths(development=parted, external=parted), seed=1, is_quick=False)
    assert keys(sources.development) == {f"E{i}" for i in range(1, 600, 3)}
    assert keys(sources.external) == {f"E{i}" for i in range(2, 600, 3)}
    sources = chosen_sources(Paths(development=whole, external=whole), seed=1, is_quick=False)
    assert keys(sources.development) == keys(sources.external) == {f"E{i}" for i in range(600)}
    assert "another paired cohort" in sources.external_what


def test_folder_whose_splits_name_other_parts_is_refused(tmp_path: Path) -> None:
    only_motion = lab(tmp_path / "motion", "motion", "")
    with pytest.raises(ConfigurationError, match="no row is of the part development"):
        chosen_sources(Paths(development=only_motion), seed=1, is_quick=False)
    with pytest.raises(ConfigurationError, match="unlabelled, motion, development or external"):
        chosen_sources(Paths(development=lab(tmp_path / "own", "train", "test")), seed=1, is_quick=False)


def test_seed_without_the_cohort_it_dealt_is_refused() -> None:
    result = CliRunner().invoke(cli.app, ["study", "--seed", "3"])
    assert isinstance(result.exception, ConfigurationError)
    assert "--seed says how --cohort was dealt" in str(result.exception)
