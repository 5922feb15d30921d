"""A cart's clock, told from acquired and received: ahead for certain, behind at most, an hour by name."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.health.skew import N_LOOKED_AT, Delays, jump_s, skew_of, skew_words

START = datetime(2026, 3, 29, tzinfo=UTC)


def test_nothing_is_said_of_a_clock_before_something_came() -> None:
    assert skew_of([]) is None


def test_an_ecg_received_before_it_was_acquired_tells_a_clock_ahead_at_once() -> None:
    assert skew_of([-90.0]) == 90.0


def test_a_clock_behind_needs_several_ecgs_since_one_may_have_come_late() -> None:
    assert skew_of([600.0] * 4) is None
    assert skew_of([600.0] * 5) == -600.0


def test_the_promptest_ecg_bounds_how_far_a_clock_is_behind() -> None:
    assert skew_of([4000.0, 15.0, 300.0, 90.0, 7200.0]) == -15.0


def test_an_archive_says_nothing_of_the_clock() -> None:
    assert skew_of([13 * 3600.0] * 10) is None


def test_a_clock_set_right_is_seen_as_right_after_ten_ecgs() -> None:
    delays = Delays()
    for n in range(5):
        delays = delays.after(START + timedelta(seconds=n + 1800), START + timedelta(seconds=n))
    assert delays.skew_s() == 1800.0
    for n in range(N_LOOKED_AT):
        delays = delays.after(START + timedelta(hours=n), START + timedelta(hours=n, seconds=12))
    assert delays.skew_s() == -12.0


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [
        (None, "—"),
        (0.0, "right"),
        (-119.0, "right"),
        (3600.0 - 14, "1 h ahead: daylight saving time or zone?"),
        (-3600.0 - 14, "1 h behind: daylight saving time or zone?"),
        (7185.0, "2 h ahead: zone?"),
        (600.0, "10 min ahead"),
        (-600.0, "up to 10 min behind, or sent late"),
        (40 * 86_400.0 + 1800, "960 h ahead"),
    ],
)
def test_a_skew_is_said_in_words(skew_s: float | None, words: str) -> None:
    assert skew_words(skew_s) == words


@pytest.mark.parametrize(
    ("before_s", "after_s", "jump"),
    [
        (-14.0, 3586.0, 3600.0),
        (3586.0, -20.0, -3600.0),
        (-14.0, 600.0, None),
        (None, 3600.0, None),
        (3600.0, None, None),
        (-14.0, -14.0, None),
    ],
)
def test_a_clock_put_forward_or_back_by_an_hour_is_named(
    before_s: float | None, after_s: float | None, jump: float | None
) -> None:
    assert jump_s(before_s, after_s) == jump


@given(st.lists(st.floats(0, 3600), min_size=5, max_size=N_LOOKED_AT), st.floats(-7200, 7200))
def test_a_clock_is_never_further_behind_nor_less_ahead_than_it_is_said(
    travel_s: list[float], ahead_s: float
) -> None:
    told_s = skew_of([travelled - ahead_s for travelled in travel_s])
    assert told_s is not None
    # What is told is the true skew less the quickest travel: a lower bound of how far it runs ahead.
    assert told_s == pytest.approx(ahead_s - min(travel_s))
