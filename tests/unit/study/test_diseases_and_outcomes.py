from dataclasses import replace

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from scored_cohorts import disease_cohort, outcome_cohort

from models.study.delong import auc_interval
from models.study.diseases import TITLES, judge_diseases
from models.study.outcomes import judge_outcomes

DISEASES = disease_cohort(1500)
FLAG = "lvef_lte_45_flag"


def test_diseases_are_judged_on_all_and_on_measured_rows() -> None:
    found = judge_diseases(DISEASES)
    assert [each.flag for each in found.diseases] == list(TITLES)
    ejection = next(each for each in found.diseases if each.flag == FLAG)
    probability, measured = DISEASES.probability["ensemble"], DISEASES.is_measured[FLAG]
    label, patients = DISEASES.flags[FLAG], DISEASES.patient_keys
    assert ejection.all_rows["ensemble"] == auc_interval(label, probability, patients=patients)
    assert ejection.measured_rows["ensemble"] == auc_interval(
        label[measured], probability[measured], patients=patients[measured]
    )
    assert ejection.n_measured == measured.sum()
    # What was not measured is stored as "not there", though many of those have it: the area is too small.
    assert ejection.all_rows["ensemble"].auc.value < ejection.measured_rows["ensemble"].auc.value


def test_two_ecgs_of_a_patient_are_not_two_patients() -> None:
    found = judge_diseases(DISEASES).diseases[0].all_rows["ensemble"]
    alone = auc_interval(DISEASES.flags["shd_moderate_or_greater_flag"], DISEASES.probability["ensemble"])
    assert found.auc.value == alone.auc.value
    assert found.se != alone.se


def test_rare_and_unknown_have_no_area() -> None:
    rare = np.zeros(3000)
    rare[:19] = 1
    found = judge_diseases(replace(DISEASES, flags={"own_flag": rare}, is_measured={})).diseases
    assert [(each.title, each.n_with, each.n_measured) for each in found] == [("own_flag", 19, None)]
    assert found[0].all_rows == found[0].measured_rows == {}


def test_outcomes_with_causes_compete_and_all_cause_stands_beside() -> None:
    cohort = outcome_cohort(8000)
    found = judge_outcomes(cohort)
    judged, other, any_death = found.comparisons
    assert [each.event for each in found.comparisons] == [*cohort.event_names, "death of any cause"]
    assert (judged.competes_with, other.competes_with, any_death.competes_with) == (
        other.event,
        judged.event,
        None,
    )
    assert (judged.test.name, any_death.test.name) == ("Gray's test", "log-rank test")
    assert judged.hazard is not None
    assert any_death.hazard is not None
    assert "Fine–Gray" in judged.hazard.name
    assert "Cox" in any_death.hazard.name
    assert judged.events_high + other.events_high == any_death.events_high
    rates = [each.rate_high.value for each in found.comparisons]
    assert rates[0] + rates[1] == pytest.approx(rates[2])  # one person dies once
    assert judged.rate_ratio.value == pytest.approx(judged.rate_high.value / judged.rate_low.value)
    assert judged.rate_ratio.low < 3.6 < judged.rate_ratio.high


def test_adjusted_hazard_is_that_of_the_same_age() -> None:
    # Drawn with a ratio of 3 at every age; those at high risk are older, and the older die more.
    judged = judge_outcomes(outcome_cohort(20_000)).comparisons[0]
    assert judged.hazard is not None
    assert judged.adjusted_hazard is not None
    assert judged.adjusted_hazard.adjusted_for == ("age_years", "is_male")
    assert judged.adjusted_hazard.ratio.low < 3.0 < judged.adjusted_hazard.ratio.high
    assert judged.hazard.ratio.value > judged.adjusted_hazard.ratio.value


def test_outcomes_without_causes_are_all_cause_and_called_so() -> None:
    cohort = outcome_cohort(5000, are_causes_known=False)
    (only,) = judge_outcomes(cohort).comparisons
    assert (only.event, only.competes_with, only.test.name) == ("death of any cause", None, "log-rank test")
    high = cohort.is_high
    other = KaplanMeierFitter().fit(cohort.years[high], cohort.event[high]).survival_function_at_times(4.0)
    assert only.rate_high.value == pytest.approx(1 - other.item())


def test_curves_end_where_few_are_left() -> None:
    found = judge_outcomes(outcome_cohort(3000)).comparisons[0]
    high = found.curve_high
    assert high.years[:3] == pytest.approx((0, 1 / 12, 2 / 12))
    assert high.at_risk[0] == found.n_high
    assert len(high.at_risk) == int(high.years[-1]) + 1
    assert high.years == found.curve_low.years
    assert high.incidence[48] == found.rate_high.value
    assert high.years[-1] < 7.5


def test_unknown_age_is_left_out_of_the_adjusted_ratio_alone() -> None:
    cohort = outcome_cohort(3000)
    age = cohort.covariates["age_years"].copy()
    age[:1500] = np.nan
    one_sex = np.ones(3000)
    found = judge_outcomes(replace(cohort, covariates={"age_years": age, "is_male": one_sex})).comparisons[0]
    whole = judge_outcomes(cohort).comparisons[0]
    assert found.hazard == whole.hazard
    assert found.adjusted_hazard is not None
    assert found.adjusted_hazard.adjusted_for == ("age_years",)


def test_too_few_events_give_rates_without_ratios() -> None:
    cohort = outcome_cohort(60)
    found = judge_outcomes(replace(cohort, event=np.zeros(60, dtype=np.int64))).comparisons[0]
    assert found.rate_high.value == found.rate_low.value == 0.0
    assert found.hazard is None
    assert (found.test.chi2, found.test.p) == (0.0, 1.0)
    assert np.isnan(found.rate_ratio.value)


def test_one_empty_group_leaves_nothing_to_compare() -> None:
    cohort = outcome_cohort(60)
    assert judge_outcomes(replace(cohort, is_high=np.zeros(60, dtype=bool))).comparisons == ()


def test_follow_up_shorter_than_the_horizon_has_no_rate() -> None:
    cohort = outcome_cohort(500)
    short = replace(
        cohort, years=np.minimum(cohort.years, 3.0), event=np.where(cohort.years > 3.0, 0, cohort.event)
    )
    found = judge_outcomes(short).comparisons[0]
    assert np.isnan(found.rate_high.value)
    assert found.curve_high.years[-1] == pytest.approx(3.0)
