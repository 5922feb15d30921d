import numpy as np
import pytest

from models.study.reclassification import categorical_nri, continuous_nri, integrated_discrimination

LABEL = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0.0])
OLD = np.array([0.2, 0.5, 0.6, 0.4, 0.3, 0.3, 0.3, 0.6, 0.1])
NEW = np.array([0.3, 0.7, 0.5, 0.4, 0.2, 0.1, 0.4, 0.4, 0.1])


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    label = (rng.random(n) < 0.35).astype(float)
    old = 1 / (1 + np.exp(-(rng.standard_normal(n) + label - 1)))
    return label, old, 1 / (1 + np.exp(-(rng.standard_normal(n) + 1.8 * label - 1)))


def test_continuous_counts_every_move_and_tells_both_classes_apart() -> None:
    found = continuous_nri(LABEL, OLD, NEW)
    assert (found.events_up, found.events_down) == (2 / 4, 1 / 4)
    assert (found.non_events_up, found.non_events_down) == (1 / 5, 3 / 5)
    assert found.events.value == pytest.approx(0.25)
    assert found.non_events.value == pytest.approx(0.4)
    assert found.nri.value == pytest.approx(0.65)
    assert found.thresholds == ()


def test_categorical_counts_crossings_and_puts_the_threshold_in_the_upper_category() -> None:
    found = categorical_nri(LABEL, OLD, NEW, [0.5])
    assert (found.events_up, found.events_down) == (0.0, 0.0)  # 0.5 → 0.7 and 0.6 → 0.5 stay above
    assert (found.non_events_up, found.non_events_down) == (0.0, 1 / 5)
    assert found.nri.value == pytest.approx(0.2)
    both = categorical_nri(LABEL, OLD, NEW, [0.55, 0.25])
    assert both.thresholds == (0.25, 0.55)
    assert (both.events_up, both.events_down) == (2 / 4, 1 / 4)


def test_interval_is_that_of_drawing_rows_with_replacement() -> None:
    rng = np.random.default_rng(1)
    label, old, new = drawn(250, rng)
    found = continuous_nri(label, old, new, n_bootstrap=20_000)
    rows = rng.integers(250, size=(4000, 250))
    up, y = np.sign(new - old)[rows], label[rows] == 1
    events, non_events = (up * y).sum(axis=1) / y.sum(axis=1), -(up * ~y).sum(axis=1) / (~y).sum(axis=1)
    for part, replicates in (
        (found.nri, events + non_events),
        (found.events, events),
        (found.non_events, non_events),
    ):
        np.testing.assert_allclose([part.low, part.high], np.percentile(replicates, [2.5, 97.5]), atol=0.03)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Two coins: each event moves up with 0.7, each non-event down with 0.6, so the NRI is 0.4 + 0.2.
    rng = np.random.default_rng(2)
    held = 0
    for seed in range(400):
        label = (rng.random(200) < 0.4).astype(float)
        up = rng.random(200) < np.where(label == 1, 0.7, 0.4)
        found = continuous_nri(label, np.full(200, 0.5), np.where(up, 0.6, 0.4), seed=seed, n_bootstrap=1000)
        held += found.nri.low <= 0.6 <= found.nri.high
    assert held / 400 == pytest.approx(0.95, abs=0.035)


def test_same_seed_same_interval() -> None:
    label, old, new = drawn(100, np.random.default_rng(3))
    assert continuous_nri(label, old, new, seed=4) == continuous_nri(label, old, new, seed=4)
    assert continuous_nri(label, old, new, seed=4).nri.low != continuous_nri(label, old, new, seed=5).nri.low


def test_a_worse_model_has_a_negative_nri() -> None:
    label, old, new = drawn(2000, np.random.default_rng(4))
    assert continuous_nri(label, new, old).nri.high < 0 < continuous_nri(label, old, new).nri.low


@pytest.mark.parametrize("label", [np.zeros(3), np.ones(3)])
def test_one_class_is_refused(label: np.ndarray) -> None:
    with pytest.raises(ValueError, match="with and without"):
        continuous_nri(label, np.zeros(3), np.ones(3))


def test_integrated_discrimination_is_how_far_the_means_move_apart() -> None:
    found = integrated_discrimination(LABEL, OLD, NEW)
    gap = [p[LABEL == 1].mean() - p[LABEL == 0].mean() for p in (OLD, NEW)]
    assert found.idi.value == pytest.approx(gap[1] - gap[0])
    assert found.idi.value == pytest.approx(found.events.value + found.non_events.value)
    rng = np.random.default_rng(5)
    label, old, new = drawn(400, rng)
    rows = rng.integers(400, size=(3000, 400))
    gain, y = (new - old)[rows], label[rows] == 1
    replicates = (gain * y).sum(axis=1) / y.sum(axis=1) - (gain * ~y).sum(axis=1) / (~y).sum(axis=1)
    found = integrated_discrimination(label, old, new)
    np.testing.assert_allclose(
        [found.idi.low, found.idi.high], np.percentile(replicates, [2.5, 97.5]), atol=0.012
    )
