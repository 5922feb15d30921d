from dataclasses import replace

import numpy as np
import pytest
from scored_cohorts import disease_cohort, motion_cohort, outcome_cohort, scored_cohort

from models.study.errors import StudyError
from models.study.wording import THIN

COHORT = scored_cohort("development", 40)
DISEASES = disease_cohort(20)
OUTCOMES = outcome_cohort(30)


def test_arrays_cannot_be_changed() -> None:
    for array in (COHORT.label, COHORT.probability["motion"], COHORT.covariates["age_years"], OUTCOMES.years):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.full(40, 0.5)}, "label must be 0 or 1"),
        ({"label": np.full(40, np.nan)}, "label must be 0 or 1"),
        ({"n_patients": 39}, "40 rows of 39 patients"),
        ({"covariates": {"age_years": np.ones(39)}}, r"age_years has shape \(39,\)"),
        ({"probability": {"motion": COHORT.probability["motion"]}}, "no probability of ensemble, foundation"),
        ({"probability": {**COHORT.probability, "more": np.full(40, np.nan)}}, "more needs a probability"),
        ({"probability": {**COHORT.probability, "more": np.full(40, 1.1)}}, "more needs a probability"),
    ],
)
def test_labelled_cohort_that_cannot_be_judged_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        replace(COHORT, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_patients": 40}, "20 patients in the rows, 40 said"),
        ({"flags": {"x": np.full(40, np.nan)}}, "x must be 0 or 1"),
        ({"probability": {"motion": np.zeros(40)}}, "no probability of the ensemble"),
        ({"is_measured": {"x": np.ones(1, dtype=bool)}}, "x has shape"),
    ],
)
def test_disease_cohort_that_cannot_be_judged_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        replace(DISEASES, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"years": np.full(30, np.nan)}, "years must be known"),
        ({"years": np.full(30, -1.0)}, "years must be known"),
        ({"event": np.full(30, 3)}, "events must be 0 to 2"),
        ({"event_names": ("death of any cause", "other")}, "two events with their causes"),
        ({"event_names": ("heart-failure death",)}, "two events with their causes"),
    ],
)
def test_follow_up_that_cannot_be_judged_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        replace(OUTCOMES, **change)


def test_death_without_a_cause_cannot_be_called_anything_else() -> None:
    without = outcome_cohort(30, are_causes_known=False)
    assert without.event_names == ("death of any cause",)
    with pytest.raises(StudyError, match="without causes the event is 'death of any cause'"):
        replace(without, event_names=("heart-failure death",))
    with pytest.raises(StudyError, match="events must be 0 to 1"):
        replace(without, event=np.full(30, 2))


def test_motion_must_be_measured_and_generated_by_the_same_names() -> None:
    cohort = motion_cohort("x", 10, is_external=False, error_cm_s=1.0)
    with pytest.raises(StudyError, match="same names"):
        replace(cohort, generated={"e_prime_septal_cm_s": np.ones(10)})


def test_headings_say_what_the_data_were() -> None:
    assert COHORT.facts.heading == "development: simulated, 40 patients"
    assert replace(COHORT, is_simulated=False).facts.heading == "development: real, 40 patients"
    assert (
        disease_cohort(1000).facts.heading
        == f"EchoNext-like: simulated, 1{THIN}000 patients, 2{THIN}000 ECGs"
    )
    assert COHORT.facts.n_not_scored == 7
