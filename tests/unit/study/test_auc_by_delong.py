import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from models.study.delong import auc_interval, paired_test


def scored(n: int, shift: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    label = (rng.random(n) < 0.3).astype(float)
    return label, rng.standard_normal(n) + shift * label


def areas(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Areas of many replicates at once, (replicates, n) each, by the sum of ranks."""
    n_positive = label.sum(axis=-1)
    ranks = (rankdata(score, axis=-1) * label).sum(axis=-1)
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * (label.shape[-1] - n_positive))


def by_all_pairs(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and their covariance by DeLong's definition: every positive against every negative."""
    positive, negative = scores[:, label == 1], scores[:, label == 0]
    wins = (positive[:, :, None] > negative[:, None]) + 0.5 * (positive[:, :, None] == negative[:, None])
    v10, v01 = wins.mean(axis=2), wins.mean(axis=1)
    return wins.mean(axis=(1, 2)), np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]


@pytest.mark.parametrize("decimals", [12, 1, 0])
def test_area_is_that_of_another_library_with_and_without_ties(decimals: int) -> None:
    label, score = scored(400, 1.2, np.random.default_rng(1))
    score = score.round(decimals)
    found = auc_interval(label, score)
    assert found.auc.value == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert (found.n_positive, found.n_negative) == (label.sum(), 400 - label.sum())


@pytest.mark.parametrize("decimals", [12, 1, 0])
def test_midranks_give_the_variance_of_the_definition_over_all_pairs(decimals: int) -> None:
    label, first = scored(150, 1.0, np.random.default_rng(2))
    second = first + np.random.default_rng(3).standard_normal(150)
    scores = np.stack([first, second]).round(decimals)
    areas, covariance = by_all_pairs(label, scores)
    assert auc_interval(label, scores[0]).se == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-12)
    test = paired_test(label, scores[0], scores[1])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert test.difference.value == pytest.approx(areas[0] - areas[1])
    assert test.z == pytest.approx((areas[0] - areas[1]) / np.sqrt(variance))


def test_known_values_of_a_small_example() -> None:
    label = np.array([1, 1, 1, 0, 0, 0, 0.0])
    score = np.array([0.9, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1])
    # Of 12 pairs one is the wrong way: placements (1, 1, 3/4) and (2/3, 1, 1, 1).
    found = auc_interval(label, score)
    assert found.auc.value == pytest.approx(11 / 12)
    assert found.se**2 == pytest.approx(
        np.var([1, 1, 0.75], ddof=1) / 3 + np.var([2 / 3, 1, 1, 1], ddof=1) / 4
    )


def test_interval_agrees_with_a_bootstrap() -> None:
    rng = np.random.default_rng(4)
    label, score = scored(300, 1.1, rng)
    found = auc_interval(label, score)
    rows = rng.integers(300, size=(1500, 300))
    replicates = areas(label[rows], score[rows])
    assert found.se == pytest.approx(np.std(replicates), rel=0.08)
    np.testing.assert_allclose(
        [found.auc.low, found.auc.high], np.percentile(replicates, [2.5, 97.5]), atol=0.012
    )


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    truth = norm.cdf(1.5 / np.sqrt(2))
    held = 0
    for _ in range(600):
        found = auc_interval(*scored(120, 1.5, rng)).auc
        held += found.low <= truth <= found.high
    assert held / 600 == pytest.approx(0.95, abs=0.03)


def test_paired_test_agrees_with_a_permutation_of_the_two_scores() -> None:
    rng = np.random.default_rng(6)
    label, common = scored(200, 1.0, rng)
    first, second = common + 0.6 * rng.standard_normal(200), common + 1.2 * rng.standard_normal(200)
    # Which of both scores is the first is drawn anew in each row; on ranks, so that both have one scale.
    ranks = np.stack([first.argsort().argsort(), second.argsort().argsort()]).astype(float)
    found = paired_test(label, ranks[0], ranks[1])
    swap = rng.random((1500, 200)) < 0.5
    one, other = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
    labels = np.broadcast_to(label, one.shape)
    p = np.mean(np.abs(areas(labels, one) - areas(labels, other)) >= abs(found.difference.value))
    assert 0.001 < found.p < 0.2
    assert found.p == pytest.approx(p, abs=0.03)


def test_paired_test_errs_as_often_as_it_says_where_nothing_differs() -> None:
    rng = np.random.default_rng(7)
    p = []
    for _ in range(500):
        label, common = scored(100, 1.0, rng)
        p.append(paired_test(label, common + rng.standard_normal(100), common + rng.standard_normal(100)).p)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_same_order_differs_by_nothing() -> None:
    label, score = scored(50, 1.0, np.random.default_rng(8))
    test = paired_test(label, score, np.exp(score))
    assert (test.difference.value, test.z, test.p) == (0.0, 0.0, 1.0)


def test_perfect_and_single_rows_have_an_area_without_interval() -> None:
    perfect = auc_interval(np.array([0, 0, 1, 1.0]), np.arange(4.0)).auc
    assert perfect.value == 1.0
    assert np.isnan([perfect.low, perfect.high]).all()
    single = auc_interval(np.array([0, 1, 0.0]), np.array([0.1, 0.2, 0.3]))
    assert single.auc.value == 0.5
    assert np.isnan([single.se, single.auc.low]).all()


@pytest.mark.parametrize("label", [np.zeros(3), np.ones(3)])
def test_one_class_is_refused(label: np.ndarray) -> None:
    with pytest.raises(ValueError, match="both classes"):
        auc_interval(label, np.arange(3.0))


def test_missing_score_is_refused() -> None:
    with pytest.raises(ValueError, match="every row"):
        auc_interval(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))


def test_rows_each_of_another_patient_have_delongs_variance() -> None:
    label, score = scored(100, 1.0, np.random.default_rng(9))
    names = np.array([f"p{i}" for i in np.random.default_rng(0).permutation(100)])
    assert auc_interval(label, score, patients=names).se == pytest.approx(
        auc_interval(label, score).se, rel=1e-12
    )


def test_repeated_rows_of_patients_add_no_certainty() -> None:
    label, score = scored(200, 1.0, np.random.default_rng(10))
    patients = np.arange(200)
    once = auc_interval(label, score)
    four_times = auc_interval(np.tile(label, 4), np.tile(score, 4), patients=np.tile(patients, 4))
    believed = auc_interval(np.tile(label, 4), np.tile(score, 4))
    assert four_times.se == pytest.approx(once.se, rel=1e-9)
    assert believed.se < 0.55 * once.se


def test_clustered_variance_agrees_with_a_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(11)
    n, each = 150, 3
    person = rng.standard_normal(n)
    label = (rng.random((n, each)) < 1 / (1 + np.exp(1 - person[:, None]))).astype(
        float
    )  # may change within a patient
    score = person[:, None] + 0.5 * label + 0.5 * rng.standard_normal((n, each))
    found = auc_interval(label.ravel(), score.ravel(), patients=np.repeat(np.arange(n), each))
    rows = rng.integers(n, size=(1200, n))
    replicates = areas(label[rows].reshape(1200, -1), score[rows].reshape(1200, -1))
    assert found.se == pytest.approx(np.std(replicates), rel=0.1)


def test_hundred_thousand_rows_take_no_matrix_of_pairs() -> None:
    label, score = scored(100_000, 1.0, np.random.default_rng(12))
    assert auc_interval(label, score).auc.value == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.006)
