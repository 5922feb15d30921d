"""Every cell of the life cycle, written out a second time."""

from itertools import product

import pytest

from streams.transition import (
    TRANSITIONS,
    Action,
    Observation,
    RiskState,
    UnlistedTransitionError,
    step,
)

EXPECTED = """
    UNKNOWN ABOVE   -> HIGH OPEN
    UNKNOWN BETWEEN -> LOW  NOTHING
    UNKNOWN BELOW   -> LOW  NOTHING
    LOW     ABOVE   -> HIGH OPEN
    LOW     BETWEEN -> LOW  NOTHING
    LOW     BELOW   -> LOW  NOTHING
    HIGH    ABOVE   -> HIGH SUSTAIN
    HIGH    BETWEEN -> HIGH SUSTAIN
    HIGH    BELOW   -> LOW  CLOSE
"""
CELLS = [line.replace("->", "").split() for line in EXPECTED.split("\n") if line.strip()]


@pytest.mark.parametrize(("state", "observation", "after", "action"), CELLS)
def test_each_pair_leads_where_the_life_cycle_says(
    state: str, observation: str, after: str, action: str
) -> None:
    assert step(RiskState(state), Observation(observation)) == (RiskState(after), Action(action))


def test_every_pair_of_state_and_observation_is_listed_and_expected_above() -> None:
    pairs = set(product(RiskState, Observation))
    assert set(TRANSITIONS) == pairs
    assert {(RiskState(cell[0]), Observation(cell[1])) for cell in CELLS} == pairs


def test_an_episode_opens_exactly_when_high_is_entered_and_closes_exactly_when_it_is_left() -> None:
    for (state, _), (after, action) in TRANSITIONS.items():
        entered = state is not RiskState.HIGH and after is RiskState.HIGH
        left = state is RiskState.HIGH and after is not RiskState.HIGH
        assert (action is Action.OPEN, action is Action.CLOSE) == (entered, left)


def test_an_unlisted_pair_raises() -> None:
    with pytest.raises(UnlistedTransitionError, match="list it"):
        step("ASLEEP", Observation.ABOVE)  # type: ignore[arg-type]
