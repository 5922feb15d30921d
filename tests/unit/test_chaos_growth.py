"""What grows is seen to grow, and neither restarts nor noise nor a warm-up are taken for growth."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.chaos.faults import FAULTS
from ops.chaos.growth import Reading, growth
from ops.chaos.sampling import look_at
from ops.chaos.soak import ENDING_KINDS


def readings(amount: Callable[[float], float], *, lives: int = 1, lasts_s: float = 1800.0) -> list[Reading]:
    """One process after another, each looked at every 5 s; ``amount`` by its age in seconds."""
    return [
        Reading(life=f"w/{life}", at_s=life * lasts_s + age, age_s=float(age), amount=amount(float(age)))
        for life in range(lives)
        for age in range(0, int(lasts_s), 5)
    ]


def noisy(level: float, sd: float) -> Callable[[float], float]:
    chance = random.Random(4)
    return lambda age: level + chance.gauss(0.0, sd)


@pytest.mark.parametrize(
    ("amount", "lives", "grows"),
    [
        pytest.param(lambda age: 300.0, 1, False, id="level"),
        pytest.param(noisy(300.0, 8.0), 1, False, id="noise"),
        pytest.param(lambda age: min(300.0, 100.0 + 10.0 * age), 1, False, id="warm-up only"),
        pytest.param(lambda age: 300.0 + 60.0 * age / 3600.0, 1, True, id="a leak of a MB a minute"),
        pytest.param(lambda age: 300.0 + 60.0 * age / 3600.0, 6, True, id="a leak over restarts"),
        pytest.param(lambda age: 300.0 + 10.0 * age / 3600.0, 1, False, id="below what is called growth"),
        pytest.param(lambda age: 300.0 - 60.0 * age / 3600.0, 1, False, id="shrinks"),
    ],
)
def test_memory(amount: Callable[[float], float], lives: int, grows: bool) -> None:
    lasts_s = 1800.0 if lives == 1 else 900.0
    assert growth("rss_mb", readings(amount, lives=lives, lasts_s=lasts_s)).grows is grows


def test_a_handle_leaked_every_minute_is_seen() -> None:
    assert growth("handles", readings(lambda age: 40.0 + age // 60)).grows


def test_lives_too_short_to_say_are_not_judged() -> None:
    found = growth("rss_mb", readings(lambda age: age, lives=20, lasts_s=300.0))
    assert found.per_hour is None
    assert not found.grows


def test_a_process_is_looked_at() -> None:
    seen = look_at("me", os.getpid())
    assert seen is not None
    assert seen.rss_mb > 10.0
    assert seen.threads >= 1
    assert seen.handles >= 3
    assert seen.age_s >= 0.0
    assert seen.life == f"me/{os.getpid()}"


def test_a_process_that_is_gone_is_left_out(tmp_path: Path) -> None:
    assert look_at("me", 1, tmp_path) is None
    assert look_at("me", None) is None


def test_kinds_that_end_workers_are_kinds_there_are() -> None:
    assert FAULTS.keys() > ENDING_KINDS
