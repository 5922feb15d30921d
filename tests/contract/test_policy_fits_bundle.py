"""What is alerted as HIGH is what is shown as HIGH."""

import pytest

from models.bundle import DEFAULT_BUNDLE, load_bundle
from streams.policy import load_policy


def test_the_shipped_policy_enters_high_where_the_shipped_bundle_says_high() -> None:
    threshold = load_bundle(DEFAULT_BUNDLE).manifest.threshold.probability
    assert load_policy().enter_threshold == pytest.approx(threshold, abs=0.005)
