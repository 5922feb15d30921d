"""Silence against a source's own rhythm, on simulated weeks: nights and weekends are none, noon is."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.feed import MAX_GAPS
from streams.feeds.health.rhythm import (
    LEAST_SILENCE_S,
    RESOLUTION_S,
    Rhythm,
    begin,
    restored,
    silent_after_s,
)

#: A Monday.
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

#: ECGs an hour at (weekday, hour).
Rate = Callable[[int, int], float]


def clinic(day: int, hour: int) -> float:
    return 2.0 if day < 5 and 8 <= hour < 18 else 0.0


def emergency(_: int, hour: int) -> float:
    return 5.0 if 8 <= hour < 22 else 1.5


def ward(_: int, hour: int) -> float:
    return 0.4 if 7 <= hour < 20 else 0.05


def engine(day: int, hour: int) -> float:
    return (30.0 if 7 <= hour < 18 else 6.0) * (1.0 if day < 5 else 0.5)


def weeks_of(rate: Rate, n_weeks: int, seed: int, zone: ZoneInfo | None = None) -> list[datetime]:
    """Arrivals by chance at these rates, ascending."""
    chance, arrivals = np.random.default_rng(seed), []
    for n in range(n_weeks * 168):
        hour = START + n * HOUR
        here = hour.astimezone(zone or UTC)
        n_ecgs = chance.poisson(rate(here.weekday(), here.hour))
        arrivals += [hour + float(part) * HOUR for part in np.sort(chance.random(n_ecgs))]
    return arrivals


def rhythm_of(arrivals: Sequence[datetime]) -> Rhythm:
    rhythm = begin(arrivals[0])
    for arrival in arrivals:
        rhythm = rhythm.after(arrival)
    return rhythm


def silent_at(arrivals: Sequence[datetime], zone: ZoneInfo | None = None) -> datetime | None:
    rhythm = rhythm_of(arrivals)
    after_s = silent_after_s(rhythm, zone or UTC)
    return None if after_s is None else arrivals[-1] + timedelta(seconds=after_s)


def stopping(rate: Rate, stop: datetime, seed: int) -> list[datetime]:
    return [arrival for arrival in weeks_of(rate, 4, seed) if arrival < stop]


def false_alarms(rate: Rate, n_weeks: int, seed: int) -> int:
    """Count the silences that chance alone makes, as a gateway would have seen them."""
    arrivals = weeks_of(rate, n_weeks, seed)
    rhythm, n_false = begin(arrivals[0]), 0
    for arrival in arrivals[1:]:
        gap_s = arrival.timestamp() - rhythm.last_s
        # What is shorter than any silence need not be asked about.
        after_s = silent_after_s(rhythm) if gap_s > LEAST_SILENCE_S else None
        n_false += after_s is not None and gap_s > after_s
        rhythm = rhythm.after(arrival)
    return n_false


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("day", [0, 1, 3, 4], ids=["Monday", "Tuesday", "Thursday", "Friday"])
def test_a_clinics_cart_is_not_silent_at_night_or_on_a_weekend(seed: int, day: int) -> None:
    evening = START + timedelta(weeks=3, days=day, hours=18)
    silent = silent_at(stopping(clinic, evening, seed))
    assert silent is not None
    opens_again = evening + timedelta(days=3 if day == 4 else 1) - 10 * HOUR
    assert opens_again < silent < opens_again + 9 * HOUR


@pytest.mark.parametrize("seed", range(8))
def test_an_emergency_cart_that_falls_silent_at_nine_is_missed_by_noon(seed: int) -> None:
    stopped = START + timedelta(weeks=3, days=2, hours=9)
    silent = silent_at(stopping(emergency, stopped, seed))
    assert silent is not None
    assert silent < stopped + 3 * HOUR + timedelta(minutes=30)


def test_an_emergency_cart_silent_for_three_hours_at_noon_is_missed_in_most_weeks() -> None:
    noon = START + timedelta(weeks=3, days=2, hours=12)
    missed = [silent_at(stopping(emergency, noon, seed)) for seed in range(16)]
    assert sum(at is not None and at <= noon + 3 * HOUR for at in missed) >= 14


@pytest.mark.parametrize("seed", range(3))
def test_an_engine_for_a_whole_hospital_is_missed_within_an_hour_and_a_half(seed: int) -> None:
    noon = START + timedelta(weeks=2, days=2, hours=12)
    silent = silent_at(stopping(engine, noon, seed))
    assert silent is not None
    assert silent < noon + 1.5 * HOUR


@pytest.mark.parametrize(
    ("rate", "most"),
    [(clinic, 2), (emergency, 4), (ward, 3), (engine, 6)],
    ids=["clinic", "emergency", "ward", "engine"],
)
def test_chance_alone_raises_few_alarms(rate: Rate, most: int) -> None:
    # Three sources, 9 weeks each, less the first of each: half a year of one source.
    assert sum(false_alarms(rate, 9, seed) for seed in range(3)) <= most


def test_nothing_is_said_before_a_whole_week_is_known() -> None:
    arrivals = weeks_of(emergency, 2, 1)
    assert silent_at([each for each in arrivals if each < START + timedelta(days=7)]) is None
    assert silent_at([each for each in arrivals if each < START + timedelta(days=8)]) is not None


def test_nothing_is_said_of_a_source_with_few_ecgs() -> None:
    assert silent_at([START + 3 * n * timedelta(days=1) for n in range(9)]) is None


def test_one_outage_in_its_memory_does_not_make_a_source_hard_to_miss() -> None:
    arrivals = stopping(clinic, START + timedelta(weeks=3, days=1, hours=12), 5)
    down = START + timedelta(weeks=2, days=1), START + timedelta(weeks=2, days=3)
    with_outage = [each for each in arrivals if not down[0] < each < down[1]]
    one, other = silent_at(arrivals), silent_at(with_outage)
    assert one is not None
    assert other is not None
    assert abs(other - one) < 3 * HOUR


def test_a_folder_of_a_thousand_files_does_not_push_the_rhythm_out() -> None:
    rhythm = rhythm_of(weeks_of(clinic, 3, 2))
    n_before = len(rhythm.remembered_s)
    at = datetime.fromtimestamp(rhythm.last_s, UTC) + HOUR
    for n in range(1000):
        rhythm = rhythm.after(at + n * timedelta(seconds=0.5))
    assert len(rhythm.remembered_s) == n_before + 1


def test_days_and_weekends_are_counted_by_the_clock_of_the_site() -> None:
    zone = ZoneInfo("Australia/Sydney")  # an evening there is a morning in UTC
    friday = datetime(2026, 3, 27, 18, tzinfo=zone)
    arrivals = [each for each in weeks_of(clinic, 4, 3, zone) if each < friday]
    silent = silent_at(arrivals, zone)
    assert silent is not None
    assert silent.astimezone(zone).weekday() == 0
    assert 8 < silent.astimezone(zone).hour < 18


def test_a_source_that_never_rests_keeps_a_week_and_more() -> None:
    rhythm = rhythm_of([START + n * timedelta(minutes=1) for n in range(12 * 24 * 60)])
    assert len(rhythm.gaps_s()) == MAX_GAPS
    assert rhythm.last_s - rhythm.remembered_s[0] > 7.5 * 86_400
    after_s = silent_after_s(rhythm)
    assert after_s is not None
    assert LEAST_SILENCE_S <= after_s < 2 * LEAST_SILENCE_S


@given(st.lists(st.floats(0, 100_000), min_size=1, max_size=200))
def test_gaps_bring_the_same_rhythm_back(gaps_s: list[float]) -> None:
    arrivals = [START + timedelta(seconds=at_s) for at_s in np.cumsum(gaps_s)]
    rhythm = rhythm_of(arrivals)
    last = datetime.fromtimestamp(rhythm.last_s, UTC)
    again = restored(last, rhythm.gaps_s())
    assert again.last_s == pytest.approx(rhythm.last_s, abs=1e-3)
    assert again.remembered_s == pytest.approx(rhythm.remembered_s, abs=1e-3)
    assert all(gap_s >= RESOLUTION_S - 1e-3 for gap_s in rhythm.gaps_s()[:-1])


def test_an_arrival_older_than_the_last_changes_nothing() -> None:
    rhythm = rhythm_of(weeks_of(ward, 1, 4))
    assert rhythm.after(START) is rhythm
