import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from models.study.estimate import percentile_interval, ratio_interval, share_interval, two_sided_p
from models.study.regression import design, linear, logistic


def test_logistic_is_that_of_another_library() -> None:
    rng = np.random.default_rng(1)
    columns = rng.standard_normal((500, 2)) * [1.0, 20.0]
    label = (rng.random(500) < expit(columns @ [0.8, 0.05] - 1)).astype(float)
    fit = logistic(design(*columns.T), label)
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(columns, label)
    assert fit is not None
    np.testing.assert_allclose(fit.coefficients, [*other.intercept_, *other.coef_[0]], rtol=1e-4)


def test_logistic_of_one_group_is_the_tables_odds_ratio_with_woolfs_interval() -> None:
    group, label = (
        np.repeat([1, 1, 0, 0], [30, 20, 15, 45]).astype(float),
        np.repeat([1, 0, 1, 0], [30, 20, 15, 45]),
    )
    fit = logistic(design(group), label.astype(float))
    assert fit is not None
    se = np.sqrt(1 / 30 + 1 / 20 + 1 / 15 + 1 / 45)
    assert fit.odds_ratio(1).value == pytest.approx(30 * 45 / (20 * 15))
    assert fit.se(1) == pytest.approx(se)
    assert fit.odds_ratio(1) == ratio_interval(float(fit.coefficients[1]), fit.se(1))


def test_linear_finds_coefficients_and_their_spread_where_variances_differ() -> None:
    rng = np.random.default_rng(2)
    group = (np.arange(200) < 40).astype(float)
    found = []
    for _ in range(800):
        fit = linear(design(group), 3 + 2 * group + rng.standard_normal(200) * np.where(group == 1, 4, 1))
        assert fit is not None
        found.append((fit.coefficients[1], fit.se(1)))
    values, ses = np.array(found).T
    assert values.mean() == pytest.approx(2.0, abs=0.07)
    assert np.mean(ses) == pytest.approx(values.std(), rel=0.08)


def test_nothing_is_said_where_there_is_no_maximum() -> None:
    x = np.arange(6.0)
    assert logistic(design(x), (x > 2).astype(float)) is None  # separated
    assert logistic(design(x), np.ones(6)) is None
    assert logistic(design(x, x), (x % 2).astype(float)) is None
    assert linear(design(x, 2 * x), x) is None
    assert linear(design(x[:2]), x[:2]) is None


def test_wilson_interval_of_a_known_example() -> None:
    share = share_interval(81, 263)
    assert (share.low, share.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert share_interval(10, 10).high == pytest.approx(1.0)
    assert share_interval(10, 10).high <= 1.0
    assert np.isnan(share_interval(0, 0).value)


def test_p_is_two_sided_and_the_bootstrap_interval_its_percentiles() -> None:
    assert two_sided_p(-1.959963984540054) == pytest.approx(0.05)
    found = percentile_interval(0.0, norm.ppf((np.arange(10_000) + 0.5) / 10_000))
    assert (found.low, found.high) == (pytest.approx(-1.96, abs=0.001), pytest.approx(1.96, abs=0.001))
