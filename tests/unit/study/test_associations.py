import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import fisher_exact, ttest_ind

from models.study.associations import binary_association, continuous_association


def test_means_are_compared_as_welch_does() -> None:
    rng = np.random.default_rng(1)
    is_high = np.arange(300) < 80
    mass = np.where(is_high, rng.normal(110, 25, 300), rng.normal(90, 15, 300))
    found = continuous_association("lv_mass_index_g_m2", mass, is_high, {})
    welch = ttest_ind(mass[is_high], mass[~is_high], equal_var=False)
    assert found is not None
    assert (found.n_high, found.n_low) == (80, 220)
    assert found.p == pytest.approx(welch.pvalue)
    assert found.difference.value == pytest.approx(found.mean_high - found.mean_low)
    assert found.difference.low == pytest.approx(welch.confidence_interval().low)
    assert found.effect_size.low < 20 / 18.2 < found.effect_size.high
    # Nothing to adjust for: the same difference, its interval by another estimator of the variance.
    assert found.adjusted is not None
    assert found.adjusted.value == pytest.approx(found.difference.value)
    assert found.adjusted.low == pytest.approx(found.difference.low, rel=0.02)


def test_cohens_d_of_a_known_example() -> None:
    high, low = np.array([2.0, 4.0, 7.0, 3.0, 7.0, 35.0, 8.0, 9.0]), np.array([3.0, 5.0, 6.0, 4.0])
    is_high = np.arange(12) < 8
    found = continuous_association("x", np.concatenate([high, low]), is_high, {})
    pooled = np.sqrt((7 * high.var(ddof=1) + 3 * low.var(ddof=1)) / 10)
    assert found is not None
    assert found.effect_size.value == pytest.approx((high.mean() - low.mean()) / pooled)


def test_adjusting_takes_away_what_age_alone_explains() -> None:
    rng = np.random.default_rng(2)
    held = np.zeros(2)
    for _ in range(300):
        age = rng.normal(60, 12, 400)
        is_high = rng.random(400) < expit((age - 60) / 6)
        volume = 20 + 0.4 * age + rng.normal(0, 4, 400)
        ill = (rng.random(400) < expit((age - 60) / 10)).astype(float)
        found = continuous_association("la_volume_index_ml_m2", volume, is_high, {"age_years": age})
        odds = binary_association("hypertension", ill, is_high, {"age_years": age})
        assert found is not None
        assert found.adjusted is not None
        assert found.difference.low > 3
        assert odds is not None
        assert odds.adjusted is not None
        assert odds.odds_ratio.value > 1.7
        held += found.adjusted.low < 0 < found.adjusted.high, odds.adjusted.low < 1 < odds.adjusted.high
    np.testing.assert_allclose(held / 300, 0.95, atol=0.035)


def test_quantity_is_not_adjusted_for_itself() -> None:
    rng = np.random.default_rng(3)
    age, sex = rng.normal(60, 10, 100), (rng.random(100) < 0.5).astype(float)
    found = continuous_association("age_years", age, np.arange(100) < 30, {"age_years": age, "is_male": sex})
    assert found is not None
    assert found.adjusted_for == ("is_male",)
    assert found.adjusted is not None
    assert found.adjusted.high > found.adjusted.low + 1


def test_unknown_rows_are_left_out() -> None:
    quantity = np.array([1.0, 2.0, np.nan, 4.0, 6.0, np.nan])
    is_high = np.array([True, True, True, False, False, False])
    found = continuous_association("x", quantity, is_high, {"age_years": np.array([1, 2, 3, 4, np.nan, 6.0])})
    assert found is not None
    assert (found.n_high, found.n_low) == (2, 2)
    assert found.difference.value == -3.5
    assert found.adjusted is None  # three rows, three coefficients
    condition = np.array([1, 0, np.nan, 0, 1, 0.0])
    odds = binary_association("y", condition, is_high, {})
    assert odds is not None
    assert (odds.with_high, odds.n_high, odds.with_low, odds.n_low) == (1, 2, 1, 3)


def test_odds_ratio_of_a_known_table() -> None:
    is_high = np.repeat([True, True, False, False], [688, 650, 21, 59])
    smokes = np.repeat([1, 0, 1, 0], [688, 650, 21, 59]).astype(float)
    found = binary_association("smokes", smokes, is_high, {})
    assert found is not None
    assert found.odds_ratio.value == pytest.approx(688 * 59 / (650 * 21))
    assert (found.odds_ratio.low, found.odds_ratio.high) == (
        pytest.approx(1.79, abs=0.01),
        pytest.approx(4.95, abs=0.01),
    )
    assert found.p == pytest.approx(fisher_exact([[688, 650], [21, 59]]).pvalue)
    assert found.adjusted is not None
    assert found.adjusted.value == pytest.approx(found.odds_ratio.value)


def test_empty_cell_gets_halves_and_no_adjusted_ratio() -> None:
    is_high, rare = np.arange(20) < 10, (np.arange(20) < 3).astype(float)
    found = binary_association("rare", rare, is_high, {})
    assert found is not None
    assert found.odds_ratio.value == pytest.approx((3.5 * 10.5) / (7.5 * 0.5))
    assert np.isfinite(found.odds_ratio.high)
    assert found.adjusted is None


def test_nothing_is_said_without_two_groups() -> None:
    x = np.arange(4.0)
    assert continuous_association("x", x, np.array([True, False, False, False]), {}) is None
    assert binary_association("x", x > 1, np.zeros(4, dtype=bool), {}) is None
