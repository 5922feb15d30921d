"""Subgroups, operating point, decision curve, ROC curve, single measurements and motion by known values."""

from dataclasses import replace

import numpy as np
import pytest
from scored_cohorts import motion_cohort, scored_cohort
from sklearn.metrics import roc_curve as other_roc_curve

from models.study.decision_curve import decision_curve
from models.study.delong import auc_interval
from models.study.motion_error import motion_errors
from models.study.operating_point import operating_point
from models.study.roc import roc_curve
from models.study.single_measurements import single_measurements
from models.study.subgroups import FEWEST, subgroups

COHORT = scored_cohort("development", 600, seed=1)


def test_subgroups_part_the_cohort_and_repeat_its_auc() -> None:
    found = subgroups(COHORT)
    whole, *parts = found
    assert whole.auc == auc_interval(COHORT.label, COHORT.probability["ensemble"])
    for of in ("sex", "rhythm", "age", "centre", "recorder"):
        assert sum(each.n for each in parts if each.of == of) == 600
        assert sum(each.n_positive for each in parts if each.of == of) == COHORT.label.sum()
    women = COHORT.covariates["is_male"] == 0
    female = next(each for each in parts if each.level == "female")
    assert female.auc == auc_interval(COHORT.label[women], COHORT.probability["ensemble"][women])


def test_small_subgroup_has_numbers_and_no_auc() -> None:
    alone = replace(COHORT, places={"centre": np.where(np.arange(600) < 30, "small", "large")})
    small, large = (each for level in ("small", "large") for each in subgroups(alone) if each.level == level)
    assert min(small.n_positive, 30 - small.n_positive) < FEWEST
    assert small.auc is None
    assert small.n == 30
    assert np.isfinite(small.sensitivity.value)
    assert large.auc is not None
    assert small.title == "centre small"


def test_unknown_belongs_to_no_subgroup_and_one_centre_makes_none() -> None:
    sex = COHORT.covariates["is_male"].copy()
    sex[:100] = np.nan
    places = {"centre": np.full(600, "only"), "recorder": np.where(np.arange(600) < 300, "a", "")}
    found = subgroups(replace(COHORT, covariates={"is_male": sex}, places=places))
    assert sum(each.n for each in found if each.of == "sex") == 500
    assert {each.of for each in found} == {"all", "sex"}


def test_age_bands_have_no_gap() -> None:
    age = np.tile([49.99, 50.0, 64.99, 65.0, 79.99, 80.0], 100)
    found = subgroups(replace(COHORT, covariates={"age_years": age}))
    counts = {each.level: each.n for each in found if each.of == "age"}
    assert counts == {"under 50 years": 100, "50–64 years": 200, "65–79 years": 200, "80 years and over": 100}


def test_operating_point_counts_calls() -> None:
    label = np.array([1, 1, 1, 0, 0, 0, 0, 0.0])
    ensemble = np.array([0.9, 0.5, 0.4, 0.6, 0.3, 0.3, 0.2, 0.1])
    cohort = replace(
        COHORT,
        n_patients=8,
        label=label,
        probability=dict.fromkeys(("motion", "foundation", "ensemble"), ensemble),
        covariates={},
        places={},
        measurements={},
        threshold=0.5,
    )
    found = operating_point(cohort)
    assert (found.sensitivity.value, found.specificity.value) == (2 / 3, 4 / 5)
    assert (found.ppv.value, found.npv.value, found.called_high.value) == (2 / 3, 4 / 5, 3 / 8)


def test_net_benefit_by_hand() -> None:
    label, probability = np.array([1, 1, 0, 0, 0.0]), np.array([0.9, 0.3, 0.4, 0.2, 0.1])
    found = decision_curve(label, {"ours": probability}, (0.2, 0.35))
    assert found.net_benefit["ours"] == pytest.approx([2 / 5 - 2 / 5 * 0.25, 1 / 5 - 1 / 5 * 0.35 / 0.65])
    assert found.treat_all == pytest.approx([2 / 5 - 3 / 5 * 0.25, 2 / 5 - 3 / 5 * 0.35 / 0.65])


def test_roc_curve_is_that_of_another_library_at_its_points() -> None:
    rng = np.random.default_rng(2)
    label = (rng.random(300) < 0.4).astype(float)
    score = (rng.standard_normal(300) + label).round(1)  # with ties
    n_negative = int((label == 0).sum())
    found = roc_curve(label, score, n_negative + 1)  # a point for each false positive there can be
    false, true, _ = other_roc_curve(label, score)
    at = np.unique(np.round(false * n_negative).astype(int))
    upper = [max(true[np.isclose(false, each / n_negative)]) for each in at]
    np.testing.assert_allclose(np.array(found.true_positive)[at], upper, atol=1e-9)
    area = np.trapezoid(found.true_positive, found.false_positive)
    assert area == pytest.approx(auc_interval(label, score).auc.value, abs=0.005)
    assert (np.diff(found.true_positive) >= -1e-12).all()


def test_single_measurement_is_read_to_either_side_by_distance_and_by_absence() -> None:
    label = COHORT.label
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(600)
    columns = {
        "falling_ms": noise - 2 * label,
        "axis_deg": noise * (1 + 4 * label),
        "absent_ms": np.where(rng.random(600) < 0.1 + 0.6 * label, np.nan, noise),
        "idle_ms": noise,
        "nowhere_ms": np.full(600, np.nan),
    }
    found = {each.name: each for each in single_measurements(replace(COHORT, measurements=columns))}
    assert next(iter(found)) == "falling_ms"
    assert (found["falling_ms"].reading, found["axis_deg"].reading) == ("lower", "far from the median")
    assert (found["absent_ms"].reading, found["absent_ms"].n) == ("missing", 600)
    assert found["falling_ms"].auc.auc.value > 0.85
    assert found["idle_ms"].auc.auc.value < 0.58
    assert "nowhere_ms" not in found


def test_motion_error_by_hand() -> None:
    cohort = motion_cohort("x", 4, is_external=True, error_cm_s=1.0)
    measured, generated = np.array([5.0, 7.0, 9.0, np.nan]), np.array([6.0, 7.5, 7.0, 8.0])
    found = motion_errors(
        replace(
            cohort,
            measured={"e_prime_septal_cm_s": measured, "e_prime_lateral_cm_s": measured + 2},
            generated={"e_prime_septal_cm_s": generated, "e_prime_lateral_cm_s": generated},
            generated_sd={"e_prime_septal_cm_s": np.full(4, 0.6)},
        )
    )
    septal, lateral = found.errors
    assert septal.mean_absolute_error.value == pytest.approx((1 + 0.5 + 2) / 3)
    assert septal.bias == pytest.approx(-0.5 / 3)
    assert septal.of_the_mean == pytest.approx(4 / 3)
    assert septal.correlation == pytest.approx(np.corrcoef(measured[:3], generated[:3])[0, 1])
    assert (septal.n, septal.n_invented, septal.n_lost) == (3, 1, 0)
    assert septal.coverage == pytest.approx(2 / 3)
    assert lateral.coverage is None
    mean = (septal.mean_absolute_error.value + lateral.mean_absolute_error.value) / 2
    assert found.e_prime_error_cm_s == pytest.approx(mean)


def test_motion_that_is_nowhere_to_compare_is_left_out() -> None:
    cohort = motion_cohort("x", 4, is_external=True, error_cm_s=1.0)
    nothing = {"a_prime_septal_cm_s": np.full(4, np.nan)}
    found = motion_errors(replace(cohort, measured=nothing, generated=nothing, generated_sd={}))
    assert found.errors == ()
    assert np.isnan(found.e_prime_error_cm_s)
