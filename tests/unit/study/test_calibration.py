import numpy as np
import pytest
from scipy.special import expit, logit

from models.study.calibration import calibration


def outcomes(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(probability)) < probability).astype(float)


def test_true_probabilities_have_slope_one_and_intercept_nought() -> None:
    rng = np.random.default_rng(1)
    probability = expit(rng.normal(-0.5, 1.2, 40_000))
    found = calibration(outcomes(probability, rng), probability)
    assert found.slope is not None
    assert found.intercept is not None
    assert found.slope.value == pytest.approx(1.0, abs=0.05)
    assert found.slope.low < 1.0 < found.slope.high
    assert found.intercept.low < 0.0 < found.intercept.high
    assert found.expected_error == pytest.approx(found.expected_error_by_chance, abs=0.004)


@pytest.mark.parametrize(("stretch", "shift"), [(2.0, 0.0), (0.5, 0.0), (1.0, 0.7), (1.5, -0.4)])
def test_distortion_of_the_log_odds_is_found_again(stretch: float, shift: float) -> None:
    rng = np.random.default_rng(2)
    log_odds = rng.normal(-0.3, 1.0, 40_000)
    found = calibration(outcomes(expit(log_odds), rng), expit(stretch * log_odds + shift))
    assert found.slope is not None
    assert found.slope.value == pytest.approx(1 / stretch, rel=0.06)
    if stretch == 1.0:
        assert found.intercept is not None
        assert found.intercept.value == pytest.approx(-shift, abs=0.05)
    assert found.expected_error > 2 * found.expected_error_by_chance


def test_intercept_tells_too_high_from_too_low_apart_from_the_slope() -> None:
    rng = np.random.default_rng(3)
    truth = expit(rng.normal(0, 1, 5000))
    label = outcomes(truth, rng)
    too_high = calibration(label, expit(logit(truth) + 1)).intercept
    assert too_high is not None
    assert too_high.high < -0.8


def test_slope_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        probability = expit(rng.normal(0, 1, 300))
        slope = calibration(outcomes(probability, rng), probability, n_bins=2).slope
        assert slope is not None
        held += slope.low <= 1.0 <= slope.high
    assert held / 300 == pytest.approx(0.95, abs=0.035)


def test_known_brier_and_bins() -> None:
    label, probability = np.array([0, 1, 0, 1.0]), np.array([0.1, 0.9, 0.4, 0.6])
    found = calibration(label, probability, n_bins=2)
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.16 + 0.16) / 4)
    assert found.scaled_brier == pytest.approx(1 - found.brier / 0.25)
    assert [(each.n, each.mean_probability, each.observed.value) for each in found.bins] == [
        (2, pytest.approx(0.25), 0.0),
        (2, pytest.approx(0.75), 1.0),
    ]
    assert found.expected_error == pytest.approx(0.25)


def test_separated_classes_have_no_slope() -> None:
    label = np.array([0, 0, 0, 1, 1, 1.0])
    assert calibration(label, np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])).slope is None


def test_one_class_has_neither_slope_nor_intercept() -> None:
    found = calibration(np.zeros(5), np.linspace(0.1, 0.5, 5))
    assert found.slope is None
    assert found.intercept is None
    assert np.isnan(found.scaled_brier)


def test_certain_probabilities_do_not_break_it() -> None:
    found = calibration(np.array([0, 1, 0, 1, 1.0]), np.array([0.0, 1.0, 1.0, 0.6, 0.4]))
    assert found.brier == pytest.approx((1 + 0.16 + 0.36) / 5)
    assert np.isfinite(found.expected_error)
