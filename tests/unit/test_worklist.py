"""A patient's latest state is a function of the points, and what is missing is last and never zero."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from assessments import START, assessed, nth_ecg_id
from hypothesis import given
from hypothesis import strategies as st

from schemas.recorded import Sex
from schemas.risk import Phenotype
from streams.history import Place, history_point
from streams.worklist import (
    PatientRow,
    Seen,
    WardLimits,
    change_across_bundles,
    patient_row,
    ranks,
)


def seen(number: int, risk: float | None, ward: str = "W1", *, hour: float | None = None) -> Seen:
    return history_point(assessed(number, risk, hour=hour)), Place(ward_id=ward)


def row_of(*points: Seen) -> PatientRow:
    row = patient_row(["P-1"], points)
    assert row is not None
    return row


def test_last_risk_the_one_before_and_the_change_between_them() -> None:
    row = row_of(seen(1, 0.1), seen(2, 0.25), seen(3, 0.6))
    assert (row.probability, row.change, row.phenotype) == (0.6, 0.35, Phenotype.HIGH)
    assert row.previous == seen(2, 0.25)[0]
    assert row.not_scored_reasons == ()


def test_an_ecg_that_was_not_scored_hides_no_risk_and_shows_its_reasons() -> None:
    row = row_of(seen(1, 0.1), seen(2, 0.6), seen(3, None))
    assert (row.probability, row.change) == (0.6, 0.5)
    assert (row.last.ecg_id, row.last.probability) == (nth_ecg_id(3), None)
    assert row.not_scored_reasons == ("LEAD_OFF:V3",)


def test_never_scored_is_none_and_not_zero() -> None:
    row = row_of(seen(1, None), seen(2, None))
    assert (row.probability, row.change, row.phenotype) == (None, None, Phenotype.NOT_SCORED)
    assert row.score_age(START) is None
    assert not row.is_stale(START + timedelta(days=99), timedelta(days=1))


def test_two_bundles_of_one_ecg_are_no_change() -> None:
    one, other = (history_point(assessed(1, p, bundle_version=b)) for p, b in ((0.1, "b1"), (0.9, "b2")))
    assert row_of((one, None), (other, None)).change is None


def test_a_change_between_two_bundles_is_told_as_such() -> None:
    before, after = (history_point(assessed(n, 0.1 * n, bundle_version=f"b{n}")) for n in (1, 2))
    assert change_across_bundles(row_of((before, None), (after, None)))
    assert not change_across_bundles(row_of(seen(1, 0.1), seen(2, 0.2)))
    assert not change_across_bundles(row_of(seen(1, None)))


def test_the_newest_ecg_that_names_a_ward_says_where_the_patient_lies() -> None:
    place = Place(ward_id="W2", site_id="S", age_years=71.0, sex=Sex.FEMALE)
    nowhere = (history_point(assessed(3, 0.3)), Place())
    row = row_of(seen(1, 0.1, "W1"), (history_point(assessed(2, 0.2)), place), nowhere)
    assert (row.ward_id, row.site_id, row.age_years, row.sex) == ("W2", "S", 71.0, Sex.FEMALE)


def test_without_points_there_is_no_row() -> None:
    assert patient_row(["P-1"], []) is None


POINTS = st.lists(
    st.tuples(
        st.integers(0, 9), st.none() | st.sampled_from([0.0, 0.2, 0.9]), st.sampled_from(["", "A", "B"])
    ),
    unique_by=lambda each: each[0],
    min_size=1,
    max_size=10,
)


@given(POINTS, st.randoms())
def test_the_order_of_the_points_does_not_matter(
    points: Sequence[tuple[int, float, str]], random: Random
) -> None:
    ordered = [seen(*each) for each in points]
    shuffled = list(ordered)
    random.shuffle(shuffled)
    assert patient_row(["P-1"], shuffled) == patient_row(["P-1"], ordered)


@given(st.lists(POINTS, min_size=2, max_size=8))
def test_ranks_put_the_highest_first_and_the_missing_last(
    patients: list[list[tuple[int, float, str]]],
) -> None:
    rows = [row_of(*(seen(*each) for each in points)) for points in patients]
    by_risk = sorted(rows, key=lambda row: ranks(row).risk, reverse=True)
    risks = [row.probability for row in by_risk]
    known = [risk for risk in risks if risk is not None]
    assert risks == sorted(known, reverse=True) + [None] * (len(risks) - len(known))
    by_change = sorted(rows, key=lambda row: ranks(row).change, reverse=True)
    changes = [row.change for row in by_change]
    told = [change for change in changes if change is not None]
    assert changes == sorted(told, reverse=True) + [None] * (len(changes) - len(told))


def test_a_risk_of_zero_and_the_greatest_fall_stand_before_what_is_missing() -> None:
    zero, unscored = row_of(seen(1, 0.0, hour=-9)), row_of(seen(1, None, hour=9))
    assert ranks(zero).risk > ranks(unscored).risk
    fallen = row_of(seen(1, 1.0, hour=-10), seen(2, 0.0, hour=-9))
    assert fallen.change == -1.0
    assert ranks(fallen).change > ranks(unscored).change


def test_of_equal_risk_the_newer_ecg_stands_first() -> None:
    assert ranks(row_of(seen(2, 0.5))).risk > ranks(row_of(seen(1, 0.5))).risk


@pytest.mark.parametrize("year", [1, 9999])
def test_ranks_are_exact_in_a_double_whatever_a_cart_dates_its_ecgs(year: int) -> None:
    last = replace(seen(1, 1.0)[0], acquired_at=datetime(year, 12, 31, tzinfo=UTC))
    first = replace(seen(2, 0.0)[0], acquired_at=datetime(1, 1, 1, tzinfo=UTC))
    told = ranks(row_of((last, None), (first, None)))
    assert all(int(float(rank)) == rank >= 0 for rank in (told.risk, told.change))


def test_a_risk_grows_stale_with_its_own_ecg_and_not_with_the_newest() -> None:
    row = row_of(seen(0, 0.5), seen(24, None))
    day = timedelta(days=1)
    assert row.age(START + day) == timedelta()
    assert row.score_age(START + day) == day
    assert not row.is_stale(START + day, day)
    assert row.is_stale(START + day + timedelta(seconds=1), day)
    assert row.age(START) == timedelta()  # a clock that runs ahead makes no negative age


def test_a_ward_that_would_list_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one second"):
        WardLimits(max_age=timedelta())
