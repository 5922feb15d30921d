from pathlib import Path

import pytest
from scored_cohorts import scored_cohort, study_inputs

from models.study.marks import Mark, marks
from models.study.study import run_study
from ops.cli.study import chosen_sources, marks_table, report, verdict
from schemas.errors import ConfigurationError

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
    whole = chosen_sources(None, None, None, None, is_quick=False)
    assert [
        len(each) for each in (whole.development, whole.external, whole.diseases, whole.outcomes) if each
    ] == [
        1012,
        956,
        100_000,
        233_770,
    ]
    quick = chosen_sources(None, None, None, None, is_quick=True)
    assert quick.is_quick
    assert quick.outcomes is not None
    assert len(quick.outcomes) < 5000


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--external needs --development"):
        chosen_sources(None, Path("somewhere"), None, None, is_quick=False)
    with pytest.raises(ConfigurationError, match="--quick is for simulated cohorts"):
        chosen_sources(None, None, None, Path("somewhere"), is_quick=True)


def test_folder_that_holds_no_cohort_is_refused_by_name(tmp_path: Path) -> None:
    for at in range(4):
        paths = [tmp_path if at == i else None for i in range(4)]
        if at != 1:  # an external cohort alone is refused before it is opened
            with pytest.raises(ConfigurationError, match=str(tmp_path)):
                chosen_sources(*paths, is_quick=False)
