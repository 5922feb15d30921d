import numpy as np
import pytest

from models.training.judge import auc, threshold_at_specificity


def test_auc_counts_pairs_in_order_and_ties_as_half() -> None:
    label = np.array([0.0, 0.0, 1.0, 1.0])
    assert auc(label, np.array([0.1, 0.4, 0.4, 0.9])) == 3.5 / 4
    assert auc(label, np.array([0.9, 0.8, 0.2, 0.1])) == 0.0
    assert np.isnan(auc(np.zeros(3), np.arange(3.0)))


def test_threshold_keeps_the_specificity_asked_for() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0.0, 1.0], 1000)
    judged = np.concatenate([rng.random(1000) * 0.6, 0.3 + rng.random(1000) * 0.7])
    threshold = threshold_at_specificity(label, judged, 0.9)
    high = judged >= threshold
    assert (~high)[label == 0.0].mean() == pytest.approx(0.9, abs=0.002)
    assert 0.5 < high[label == 1.0].mean() < 1.0
