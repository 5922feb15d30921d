import json
from dataclasses import replace

import numpy as np
import pytest
from scored_cohorts import NOISE, outcome_cohort, scored_cohort, study_inputs

from models.study.comparison import compared
from models.study.delong import auc_interval, paired_test
from models.study.errors import StudyError
from models.study.json_form import study_json
from models.study.marks import Mark, marks
from models.study.published import PUBLISHED, SOURCES, published
from models.study.scored import MODELS
from models.study.study import StudyInputs, StudyResult, run_study

INPUTS = study_inputs(0.12)
NOTHING = StudyInputs(bundle_version="b", bundle_sha256="0", trained_on="nothing")


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return run_study(INPUTS)


def mark(result: StudyResult, name: str, cohort: str) -> Mark:
    return next(each for each in marks(result) if each.name.startswith(name) and each.cohort.name == cohort)


def test_every_row_of_the_published_results_is_there(result: StudyResult) -> None:
    assert {each.published.name for each in compared(result)} == {each.name for each in PUBLISHED} - {
        "auc_ecg"
    }
    of = result.external
    assert of is not None
    assert list(of.aucs) == list(of.rocs) == list(of.calibrations) == [*MODELS, "ensemble without motion"]
    assert set(of.beyond) == set(NOISE) - {"ensemble"}
    assert [each.name for each in of.continuous] == [
        "lv_mass_index_g_m2",
        "la_volume_index_ml_m2",
        "age_years",
    ]
    assert [each.name for each in of.binary][:2] == ["hypertension", "kidney_disease"]
    assert len(result.cohorts) == 6


def test_results_are_those_of_the_parts(result: StudyResult) -> None:
    cohort, of = INPUTS.development, result.development
    assert cohort is not None
    assert of is not None
    ensemble, motion = cohort.probability["ensemble"], cohort.probability["motion"]
    assert of.aucs["motion"] == auc_interval(cohort.label, motion)
    assert of.beyond["motion"] == paired_test(cohort.label, ensemble, motion)
    assert of.categorical_nri.thresholds == (cohort.threshold,)
    # High risk is what the ensemble calls so, not the label.
    assert of.continuous[0].n_high == (ensemble >= cohort.threshold).sum() != cohort.label.sum()


def test_associations_are_adjusted_for_what_is_known() -> None:
    cohort = scored_cohort("development", 300)
    known = {name: cohort.covariates[name] for name in ("age_years", "hypertension")}
    of = run_study(replace(NOTHING, development=replace(cohort, covariates=known))).development
    assert of is not None
    assert [(each.name, each.adjusted_for) for each in of.continuous] == [("age_years", ())]
    assert [(each.name, each.adjusted_for) for each in of.binary] == [("hypertension", ("age_years",))]


def test_study_of_nothing_has_no_marks() -> None:
    result = run_study(NOTHING)
    assert result.cohorts == ()
    assert marks(result) == compared(result) == ()


def test_cohort_of_one_class_is_refused_by_name() -> None:
    cohort = scored_cohort("external", 50)
    with pytest.raises(StudyError, match="external: all 50 patients have the same label"):
        run_study(replace(NOTHING, external=replace(cohort, label=np.zeros(50))))


def test_marks_are_met_and_missed_by_their_numbers(result: StudyResult) -> None:
    reached = marks(result)
    assert len(reached) == 14
    for each in reached:
        assert each.found is not None
        sign, _, limit = each.wanted.partition(" ")
        if sign == "≥":
            assert each.is_met == (each.found >= float(limit))
        elif sign in ("≤", "<"):
            assert each.is_met == (each.found <= float(limit))
    assert mark(result, "AUC, ensemble", "development").wanted == "≥ 0.85"
    assert mark(result, "AUC, ensemble", "external").wanted == "≥ 0.83"
    assert mark(result, "4-year rate of heart-failure death", "CODE-like").is_met
    assert mark(result, "mean absolute error", "Doppler, internal").wanted == "≤ 1.50"
    assert mark(result, "mean absolute error", "Doppler, external").wanted == "≤ 2.00"


def test_a_worse_ensemble_is_no_met_mark_however_small_its_p() -> None:
    cohort = scored_cohort("development", 1500)
    swapped = {**cohort.probability, "ensemble": cohort.probability["motion"]}
    swapped["foundation"] = cohort.probability["ensemble"]
    found = mark(
        run_study(replace(NOTHING, development=replace(cohort, probability=swapped))),
        "ensemble better",
        "development",
    )
    assert found.found is not None
    assert found.found < 0.01
    assert found.is_met is False


def test_calibration_slope_is_missed_to_either_side() -> None:
    cohort = scored_cohort("development", 1500)
    for stretch, met in ((0.6, False), (1.0, True), (1.6, False)):
        odds = (cohort.probability["ensemble"] / (1 - cohort.probability["ensemble"])) ** stretch
        changed = replace(cohort, probability={**cohort.probability, "ensemble": odds / (1 + odds)})
        found = mark(run_study(replace(NOTHING, development=changed)), "calibration slope", "development")
        assert found.is_met is met
        assert found.wanted == "0.85 to 1.15"


def test_what_could_not_be_had_is_neither_met_nor_missed() -> None:
    cohort = outcome_cohort(100)
    empty = replace(cohort, is_high=np.zeros(100, dtype=bool))
    (found,) = marks(run_study(replace(NOTHING, outcomes=empty)))
    assert (found.found, found.is_met) == (None, None)


def test_death_of_any_cause_is_not_compared_as_if_it_were_of_heart_failure() -> None:
    result = run_study(replace(NOTHING, outcomes=outcome_cohort(3000, are_causes_known=False)))
    assert all("death of any cause" in each.differs for each in compared(result))
    assert "death of any cause" in marks(result)[0].name


def test_json_is_strict_says_what_the_data_were_and_repeats_itself(result: StudyResult) -> None:
    text = study_json(result)
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert next(iter(read)) == "warning"
    assert read["warning"] == "Simulated data say nothing of patients."
    assert read["study"]["development"]["cohort"]["is_simulated"] is True
    assert read["study"]["development"]["aucs"]["ensemble"]["auc"]["value"] == pytest.approx(
        result.development.aucs["ensemble"].auc.value if result.development else None, rel=1e-7
    )
    assert len(read["marks"]) == 14
    assert {each["source"] for each in read["published"]} <= set(read["published_sources"])
    assert study_json(run_study(INPUTS)) == text


def test_json_of_real_data_carries_no_warning_and_no_patient() -> None:
    cohort = replace(scored_cohort("development", 200), is_simulated=False)
    text = study_json(run_study(replace(NOTHING, development=cohort)))
    assert json.loads(text)["warning"] is None
    assert repr(float(f"{cohort.probability['ensemble'][0]:.8g}")) not in text


def test_published_figures_have_a_source_and_a_number() -> None:
    for each in PUBLISHED:
        assert each.source in SOURCES
        assert (each.value is None) == (each.low is not None and each.high is not None)
    assert published("auc_development").value == 0.86
    with pytest.raises(KeyError):
        published("anything")
