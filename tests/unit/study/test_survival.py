"""Curves, tests and ratios against other libraries, written-out weights, and what data were made of."""

import numpy as np
import pytest
from comprisk import CumulativeIncidence, FineGrayRegression
from lifelines import CoxPHFitter, KaplanMeierFitter
from pandas import DataFrame

from models.study.incidence import cumulative_incidence
from models.study.survival import cox_hazard, grays_test, log_rank_test, subdistribution_hazard

Cohort = tuple[np.ndarray, np.ndarray, np.ndarray]


def competing(
    n: int, ratio: float, rng: np.random.Generator, ends: tuple[float, float] = (0.5, 4.0)
) -> Cohort:
    """Years, event and group whose subdistribution hazards of event 1 are in proportion, after Fine & Gray.

    In the low group F₁(t) = 0.3 (1 − e⁻ᵗ), in the high one 1 − (1 − F₁)^ratio; event 2 takes the others.
    """
    is_high = rng.random(n) < 0.4
    power = np.where(is_high, ratio, 1.0)
    ever = 1 - 0.7**power  # whom event 1 takes in the end
    takes_1 = rng.random(n) < ever
    u = rng.random(n) * ever
    time_1 = -np.log(1 - (1 - (1 - u) ** (1 / power)) / 0.3)
    time_2 = rng.exponential(np.where(is_high, 0.8, 1.2))
    times, censored = np.where(takes_1, time_1, time_2), rng.uniform(*ends, n)
    event = np.where(times <= censored, np.where(takes_1, 1, 2), 0)
    return np.minimum(times, censored), event, is_high


def alone(n: int, ratio: float, rng: np.random.Generator) -> Cohort:
    is_high = rng.random(n) < 0.5
    times, censored = rng.exponential(1 / np.where(is_high, ratio, 1.0)), rng.uniform(0.2, 2.0, n)
    return np.minimum(times, censored), (times <= censored).astype(int), is_high


def test_incidence_of_a_known_example() -> None:
    # At risk 5, 4, 3, 2, 1: event 1 at 1, event 2 at 2, censored at 3, event 1 at 4, event 2 at 5.
    found = cumulative_incidence(np.array([3, 1, 2, 5, 4.0]), np.array([0, 1, 2, 2, 1]))
    np.testing.assert_allclose(found.years, [1, 2, 4, 5])
    np.testing.assert_allclose(found.incidence, [1 / 5, 1 / 5, 1 / 5 + (3 / 5) / 2, 1 / 2])
    assert [found.at_risk(t) for t in (0, 1, 1.5, 5, 6)] == [5, 5, 4, 1, 0]
    assert found.at(0.5).value == 0.0
    assert found.at(2.0).value == pytest.approx(0.2)
    assert np.isnan(found.at(5.1).value)


def test_one_event_alone_gives_kaplan_meier_and_greenwood() -> None:
    years, event, _ = alone(300, 1.0, np.random.default_rng(1))
    years = years.round(1) + 0.1  # with ties
    found, other = cumulative_incidence(years, event), KaplanMeierFitter().fit(years, event)
    np.testing.assert_allclose(found.incidence, 1 - other.survival_function_at_times(found.years), atol=1e-12)
    survival = 1 - found.incidence
    n = np.array([found.at_risk(t) for t in found.years])
    d = np.array([(years[event == 1] == t).sum() for t in found.years])
    greenwood = survival * np.sqrt(np.cumsum(d / (n * np.maximum(n - d, 1))))
    np.testing.assert_allclose(found.se[n > d], greenwood[n > d], rtol=1e-9)


def test_competing_events_give_the_curve_and_variance_of_another_library() -> None:
    years, event, _ = competing(500, 1.0, np.random.default_rng(2))
    found = cumulative_incidence(years, event)
    other = CumulativeIncidence().fit(years, event).curves_[(None, 1)]
    at = np.searchsorted(found.years, other.times)
    np.testing.assert_allclose(found.incidence[at], other.cif, atol=1e-12)
    np.testing.assert_allclose(found.se[at], np.sqrt(other.var), rtol=0.01)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(3), 0
    truth = 0.3 * (1 - np.exp(-1.5))
    for _ in range(400):
        years, event, _ = competing(200, 1.0, rng)
        found = cumulative_incidence(years, event).at(1.5)
        held += found.low <= truth <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_everybody_dying_and_nobody_dying_have_no_interval() -> None:
    everybody = cumulative_incidence(np.array([1.0, 2.0]), np.array([1, 1]))
    assert everybody.at(2.0).value == 1.0
    assert np.isnan(everybody.at(2.0).low)
    nobody = cumulative_incidence(np.array([1.0, 2.0]), np.array([0, 0]))
    assert nobody.at(1.5).value == 0.0
    assert nobody.at_risk(1.5) == 1


def censoring_free(years: np.ndarray, event: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Kaplan–Meier of being censored, just before each time."""
    other = KaplanMeierFitter().fit(years, event == 0)
    return other.survival_function_at_times(np.nextafter(at, 0)).to_numpy()


def fine_gray_by_weights(years: np.ndarray, event: np.ndarray, x: np.ndarray) -> float:
    """Log ratio that solves Fine & Gray's score: those with event 2 stay at risk with a weight."""
    times = np.sort(years[event == 1])
    g_event, g_own = censoring_free(years, event, times), censoring_free(years, event, years)
    stays = (event == 2)[:, None] & (years[:, None] < times)
    weight = (years[:, None] >= times) + stays * g_event / g_own[:, None]  # (n, n_times)
    beta = 0.0
    for _ in range(30):
        risk = weight * np.exp(beta * x)[:, None]
        mean = (risk * x[:, None]).sum(axis=0) / risk.sum(axis=0)
        beta += (x[event == 1].sum() - mean.sum()) / (mean * (1 - mean)).sum()  # of a group of 0 and 1
    return beta


def test_fine_gray_solves_the_score_written_out_with_weights() -> None:
    years, event, is_high = competing(400, 2.5, np.random.default_rng(4))
    found = subdistribution_hazard(years, event, is_high, {})
    assert found is not None
    assert np.log(found.ratio.value) == pytest.approx(
        fine_gray_by_weights(years, event, is_high * 1.0), abs=2e-4
    )


def test_fine_gray_without_competing_events_is_coxs_model() -> None:
    years, event, is_high = alone(500, 2.0, np.random.default_rng(5))
    age = np.random.default_rng(6).normal(60, 10, 500)
    ours = subdistribution_hazard(years, event, is_high, {"age_years": age})
    cox = cox_hazard(years, event, is_high, {"age_years": age})
    assert ours is not None
    assert cox is not None
    assert ours.ratio.value == pytest.approx(cox.ratio.value, rel=1e-3)
    assert ours.ratio.low == pytest.approx(cox.ratio.low, rel=0.02)
    assert ours.adjusted_for == cox.adjusted_for == ("age_years",)


def test_fine_gray_finds_the_ratio_and_its_interval_holds_it() -> None:
    rng, log_ratios, held = np.random.default_rng(7), [], 0
    for _ in range(150):
        found = subdistribution_hazard(*competing(600, 3.0, rng), {})
        assert found is not None
        log_ratios.append(np.log(found.ratio.value))
        held += found.ratio.low <= 3.0 <= found.ratio.high
    assert np.mean(log_ratios) == pytest.approx(np.log(3.0), abs=0.03)
    assert held / 150 == pytest.approx(0.95, abs=0.045)


def test_adjusting_removes_a_common_cause() -> None:
    rng = np.random.default_rng(8)
    age = rng.normal(60, 10, 8000)
    is_high = rng.random(8000) < 1 / (1 + np.exp(-(age - 60) / 5))
    death = rng.exponential(1 / (0.2 * np.exp(0.08 * (age - 60))))
    years, event = np.minimum(death, 3.0), (death < 3.0).astype(int)
    crude, adjusted = (cox_hazard(years, event, is_high, by) for by in ({}, {"age_years": age}))
    assert crude is not None
    assert adjusted is not None
    assert crude.ratio.low > 1.8
    assert adjusted.ratio.value == pytest.approx(1.0, abs=0.1)


def test_grays_test_errs_as_often_as_it_says_and_finds_a_difference() -> None:
    rng = np.random.default_rng(9)
    p = np.array([grays_test(*competing(150, 1.0, rng)).p for _ in range(150)])
    assert np.mean(p < 0.1) == pytest.approx(0.1, abs=0.07)
    assert grays_test(*competing(800, 3.0, rng)).p < 1e-8


def test_grays_test_without_competing_events_is_nearly_the_log_rank_test() -> None:
    cohort = alone(400, 1.3, np.random.default_rng(10))
    assert grays_test(*cohort).chi2 == pytest.approx(log_rank_test(*cohort).chi2, rel=0.05)


def test_log_rank_test_of_a_known_trial() -> None:
    # Remission of acute leukaemia, 6-mercaptopurine and placebo: Freireich et al., Blood 21 (1963) 699.
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    years = np.array(treated + placebo, dtype=float)
    event = np.array([1] * 9 + [0] * 12 + [1] * 21)
    is_high = np.arange(42) >= 21
    assert log_rank_test(years, event, is_high).chi2 == pytest.approx(16.79, abs=0.01)
    found = cox_hazard(years, event, is_high, {})
    assert found is not None
    assert np.log(found.ratio.value) == pytest.approx(1.572, abs=0.001)  # Efron
    assert found.name == "hazard (Cox)"


def test_no_ratio_where_a_group_has_no_event() -> None:
    years, is_high = np.arange(1.0, 9.0), np.arange(8) < 4
    event = np.where(is_high, 0, 1)
    assert subdistribution_hazard(years, event, is_high, {}) is None
    assert cox_hazard(years, event, is_high, {}) is None


def test_libraries_agree_where_a_young_one_could_differ() -> None:
    """What comprisk calls robust without competing events is lifelines' robust variance of Cox's model."""
    years, event, is_high = alone(300, 2.0, np.random.default_rng(11))
    fit = FineGrayRegression(robust_se=True).fit(is_high[:, None] * 1.0, time=years, event=event)
    frame = DataFrame({"x": is_high * 1.0, "years": years, "event": event})
    other = CoxPHFitter().fit(frame, "years", "event", robust=True)
    assert fit.se_[0] == pytest.approx(other.standard_errors_["x"], rel=0.01)
