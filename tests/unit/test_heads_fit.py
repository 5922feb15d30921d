"""Heads are fitted to patients drawn from a known law, so that it is known what they should find."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import expit

from models.heads_plan import GROUPS, HeadsPlan
from models.training.heads import Fitted, fit_ensemble
from models.training.judge import auc
from models.training.logistic import LogisticRegression, logistic_regression, platt
from models.training.out_of_fold import OutOfFold, out_of_fold
from models.training.penalties import Pieces, choose_penalties
from models.training.worsening import Inputs, blur, hide
from schemas.errors import ConfigurationError

PLAN = HeadsPlan(n_heads=5, inner_folds=3, penalties=(0.01, 0.1, 1.0))


class Drawn(NamedTuple):
    embedding: np.ndarray
    motion: np.ndarray
    features: np.ndarray
    label: np.ndarray


def drawn(n: int, seed: int, n_embedding: int = 24) -> Drawn:
    """People with six hidden traits: embedding shows four of them, motion two, one of them curved."""
    law, rng = np.random.default_rng(99), np.random.default_rng(seed)
    traits = rng.standard_normal((n, 6))
    embedding = traits[:, :4] @ law.standard_normal((4, n_embedding)) + rng.standard_normal((n, n_embedding))
    motion = 8.0 + traits[:, 4:] @ law.standard_normal((2, 13)) + 0.7 * rng.standard_normal((n, 13))
    measured = 50.0 + 10.0 * (traits[:, 1:2] + rng.standard_normal((n, 15)))
    age = 60.0 + 10.0 * (traits[:, 0] + rng.standard_normal(n))
    features = np.column_stack([measured, age, np.sign(rng.standard_normal(n))])
    features[rng.random(n) < 0.1, 2] = np.nan
    motion[rng.random(n) < 0.1, 2] = np.nan
    log_odds = 1.2 * traits[:, 0] + traits[:, 1] + 1.2 * traits[:, 4] + 0.6 * (traits[:, 5] ** 2 - 1) - 0.5
    label = (rng.random(n) < expit(log_odds)).astype(np.float64)
    return Drawn(embedding.astype(np.float32), motion.astype(np.float32), features.astype(np.float32), label)


@pytest.fixture(scope="module")
def people() -> Drawn:
    return drawn(600, seed=0)


@pytest.fixture(scope="module")
def others() -> Drawn:
    return drawn(3000, seed=1)


@pytest.fixture(scope="module")
def fitted(people: Drawn) -> Fitted:
    return fit_ensemble(*people, PLAN, seed=1)


@pytest.fixture(scope="module")
def judged(people: Drawn) -> OutOfFold:
    return out_of_fold(*people, PLAN, seed=1, n_folds=5)


def answers(fitted: Fitted, people: Drawn) -> np.ndarray:
    return fitted.log_odds(people.embedding, people.motion, people.features)


def test_ensemble_is_calibrated_on_people_it_was_not_fitted_on(fitted: Fitted, others: Drawn) -> None:
    slope, offset = platt(answers(fitted, others), others.label)
    assert 0.8 < slope < 1.25
    assert (
        abs(offset) < 0.4
    )  # the prevalence among 600 is off by 0.1 in log-odds, and theirs is all that is known
    assert expit(answers(fitted, others)).mean() == pytest.approx(others.label.mean(), abs=0.06)


def test_out_of_fold_answers_are_calibrated_and_as_good_as_those_to_others(
    judged: OutOfFold, fitted: Fitted, people: Drawn, others: Drawn
) -> None:
    slope, _ = platt(judged.log_odds, people.label)
    assert 0.85 < slope < 1.15
    honest = auc(others.label, answers(fitted, others))
    assert auc(people.label, judged.log_odds) == pytest.approx(honest, abs=0.04)
    np.testing.assert_allclose(judged.probability, expit(judged.log_odds))
    assert len(judged.penalties) == 5


def test_out_of_fold_answers_to_noise_know_nothing(people: Drawn) -> None:
    """Whatever is chosen or fitted on a fold left out would show here as an AUC above chance."""
    noise = (np.random.default_rng(5).random(600) < 0.4).astype(float)
    found = out_of_fold(*people[:3], noise, PLAN, seed=2, n_folds=5)
    assert auc(noise, found.log_odds) < 0.56


def test_ensemble_is_better_than_any_of_its_parts(people: Drawn, judged: OutOfFold) -> None:
    whole = auc(people.label, judged.log_odds)
    for uses in (("foundation",), ("motion",), ("foundation", "demographics")):
        part = out_of_fold(*people, replace(PLAN, uses=uses), seed=1, n_folds=5)
        assert (part.fold == judged.fold).all()
        assert 0.6 < auc(people.label, part.log_odds) < whole - 0.02


def test_head_of_a_part_gives_weight_to_that_part_alone(people: Drawn) -> None:
    found = fit_ensemble(*people, replace(PLAN, uses=("motion",)), seed=1)
    assert set(found.penalties) == {"motion"}
    changed = people._replace(embedding=people.embedding[::-1].copy(), features=people.features[::-1].copy())
    assert (answers(found, changed) == answers(found, people)).all()
    assert auc(people.label, answers(found, people)) > 0.6


def test_squares_find_what_lines_cannot(people: Drawn, others: Drawn) -> None:
    found = {
        degree: auc(
            others.label, answers(fit_ensemble(*people, replace(PLAN, degree=degree), seed=1), others)
        )
        for degree in (1, 2)
    }
    assert found[2] > found[1] + 0.01


def test_linear_heads_leave_squares_without_weight(people: Drawn) -> None:
    ensemble = fit_ensemble(*people, replace(PLAN, degree=1), seed=1).ensemble
    n_known = 13 + ensemble.n_embedding + 17
    assert (ensemble.weights[:, n_known : n_known + 30] == 0.0).all()
    assert (ensemble.weights[:, :n_known] != 0.0).any()


def test_same_seed_gives_the_same_heads_and_another_seed_others(fitted: Fitted, people: Drawn) -> None:
    again, other = (fit_ensemble(*people, PLAN, seed=seed) for seed in (1, 2))
    assert (again.ensemble.weights == fitted.ensemble.weights).all()
    assert (other.ensemble.weights != fitted.ensemble.weights).any()


def test_contributions_are_counted_from_the_people_fitted_on(fitted: Fitted, people: Drawn) -> None:
    reference = fitted.ensemble.reference_log_odds
    assert reference == pytest.approx(answers(fitted, people).mean(), abs=1e-3)


def test_heads_do_without_motion_measurements_age_and_sex(fitted: Fitted, others: Drawn) -> None:
    unknown = others._replace(
        motion=np.full_like(others.motion, np.nan), features=np.full_like(others.features, np.nan)
    )
    found = answers(fitted, unknown)
    assert auc(others.label, found) > 0.65
    assert expit(found).mean() == pytest.approx(others.label.mean(), abs=0.1)


def test_rows_of_one_patient_are_in_one_fold_and_drawn_together() -> None:
    few = drawn(200, seed=3)
    twice = Drawn(*(np.concatenate([each, each]) for each in few))
    groups = np.concatenate([np.arange(200), np.arange(200)]).astype(np.str_)
    found = out_of_fold(*twice, PLAN, seed=1, groups=groups, n_folds=4)
    assert (found.fold[:200] == found.fold[200:]).all()
    alike = auc(twice.label, found.log_odds)
    leaking = out_of_fold(*twice, PLAN, seed=1, n_folds=4)
    assert auc(twice.label, leaking.log_odds) > alike + 0.03


def test_more_folds_than_patients_are_refused() -> None:
    few = drawn(20, seed=3)
    groups = np.array(["a", "b"] * 10)
    with pytest.raises(ConfigurationError, match="2 patients"):
        out_of_fold(*few, PLAN, seed=1, groups=groups, n_folds=4)


def test_penalties_are_found_for_each_group() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 60))
    label = (rng.random(400) < expit(inputs[:, :3] @ [2.0, -1.5, 1.5])).astype(float)
    piece = Pieces(
        fitted=LogisticRegression(inputs[:300], label[:300]), judged=inputs[300:], label=label[300:]
    )
    chosen = choose_penalties([piece], ["telling"] * 3 + ["noise"] * 57, (0.001, 0.03, 1.0))
    assert chosen["telling"] < chosen["noise"]
    assert chosen["noise"] == 1.0


def test_every_group_has_a_penalty_from_the_grid(fitted: Fitted) -> None:
    assert set(fitted.penalties) == set(GROUPS)
    assert set(fitted.penalties.values()) <= set(PLAN.penalties)


def test_hiding_takes_each_part_of_a_person_whole_and_by_itself() -> None:
    people = Inputs(
        embedding=np.ones((1000, 3), np.float32),
        motion=np.ones((1000, 13), np.float32),
        features=np.ones((1000, 17), np.float32),
    )
    hidden = hide(people, 0.2, np.random.default_rng(0))
    missing = np.isnan(hidden.features)
    shares = np.column_stack([np.isnan(hidden.motion)[:, 0], missing[:, 0], missing[:, 15], missing[:, 16]])
    assert (missing[:, :15].all(axis=1) == missing[:, 0]).all()
    assert (np.isnan(hidden.motion).all(axis=1) == shares[:, 0]).all()
    np.testing.assert_allclose(shares.mean(axis=0), 0.2, atol=0.05)
    assert np.abs(np.corrcoef(shares.T) - np.eye(4)).max() < 0.15
    assert not np.isnan(people.features).any()
    assert not np.isnan(hidden.embedding).any()


def test_blurring_leaves_age_sex_and_motion() -> None:
    people = Inputs(
        embedding=np.zeros((500, 3), np.float32),
        motion=np.zeros((500, 13), np.float32),
        features=np.zeros((500, 17), np.float32),
    )
    blurred = blur(people, np.arange(17, dtype=float), np.random.default_rng(0))
    np.testing.assert_allclose(blurred.features.std(axis=0)[:15], np.arange(15), rtol=0.15)
    assert (blurred.features[:, 15:] == 0.0).all()
    assert (blurred.motion == 0.0).all()


def test_logistic_regression_finds_the_weights_it_was_made_of() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((20000, 2))
    label = (rng.random(20000) < expit(inputs @ [1.5, -0.5] - 1.0)).astype(float)
    weights, bias = logistic_regression(inputs, label, penalty=0.0)
    np.testing.assert_allclose([*weights, bias], [1.5, -0.5, -1.0], atol=0.08)


@pytest.mark.parametrize("penalty", [0.003, 0.1, 3.0])
def test_logistic_regression_ends_where_the_slope_is_zero(people: Drawn, penalty: float) -> None:
    """Alike inputs, weighted patients, and a start from elsewhere: still the one minimum there is."""
    rng = np.random.default_rng(0)
    inputs = np.column_stack([people.embedding, people.embedding + 0.01 * rng.standard_normal((600, 24))])
    counts = rng.integers(0, 3, 600).astype(float)
    problem = LogisticRegression(inputs, people.label, counts)
    penalties = np.linspace(0.5, 1.5, 48) * penalty
    theta = problem.fit(penalties, start=rng.standard_normal(49))
    residual = counts * (expit(inputs @ theta[:-1] + theta[-1]) - people.label) / counts.sum()
    slope = np.append(inputs.T @ residual + penalties * theta[:-1], residual.sum())
    assert np.abs(slope).max() < 1e-4


def test_separable_patients_are_fitted_without_overflow() -> None:
    label = np.repeat([0.0, 1.0], 50)
    weights, _ = logistic_regression((2 * label - 1)[:, None] * 1000.0, label, penalty=1e-6)
    assert np.isfinite(weights).all()


def test_calibration_of_answers_that_know_nothing_gives_the_prevalence() -> None:
    label = np.repeat([0.0, 0.0, 0.0, 1.0], 25)
    slope, offset = platt(-label, label)
    assert slope == 0.0
    assert expit(offset) == pytest.approx(0.25)
