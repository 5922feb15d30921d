"""The life cycle of a patient's risk as a table: (state, observation) → (next state, action).

::

              ABOVE: open                 ABOVE, BETWEEN: sustain
    UNKNOWN ───────────────▶ HIGH ◀──────┐
       │                     │  ▲ └──────┘
       │ BETWEEN, BELOW      │  │ ABOVE: open
       │                     │  │
       └──────────▶ LOW ◀────┘  │
                     └──────────┘
                       BELOW: close (HIGH ▶ LOW)
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class RiskState(StrEnum):
    """What is known of a patient's risk."""

    UNKNOWN = "UNKNOWN"
    LOW = "LOW"
    HIGH = "HIGH"


class Observation(StrEnum):
    """What the newest scored ECG says, after confirmation.

    From LOW, ABOVE is observed only once n of the last m ECGs are; from HIGH the same holds for BELOW.
    What is not confirmed yet is BETWEEN: it changes nothing.
    """

    ABOVE = "ABOVE"
    BETWEEN = "BETWEEN"
    BELOW = "BELOW"


class Action(StrEnum):
    """What follows from a step."""

    NOTHING = "NOTHING"
    OPEN = "OPEN"
    """An episode begins; alert unless locked out."""
    SUSTAIN = "SUSTAIN"
    """The episode goes on; alert if one is still owed or the risk stepped up."""
    CLOSE = "CLOSE"
    """The episode ends; close its alerts."""


class Step(NamedTuple):
    """One cell of the table."""

    state: RiskState
    action: Action


class UnlistedTransitionError(AssertionError):
    """A pair that the table does not list: a defect, never an input's fault."""


TRANSITIONS: Final[Mapping[tuple[RiskState, Observation], Step]] = {
    # With no history there is nothing to confirm against; waiting would withhold the alert.
    (RiskState.UNKNOWN, Observation.ABOVE): Step(RiskState.HIGH, Action.OPEN),
    (RiskState.UNKNOWN, Observation.BETWEEN): Step(RiskState.LOW, Action.NOTHING),
    (RiskState.UNKNOWN, Observation.BELOW): Step(RiskState.LOW, Action.NOTHING),
    (RiskState.LOW, Observation.ABOVE): Step(RiskState.HIGH, Action.OPEN),
    (RiskState.LOW, Observation.BETWEEN): Step(RiskState.LOW, Action.NOTHING),
    (RiskState.LOW, Observation.BELOW): Step(RiskState.LOW, Action.NOTHING),
    (RiskState.HIGH, Observation.ABOVE): Step(RiskState.HIGH, Action.SUSTAIN),
    (RiskState.HIGH, Observation.BETWEEN): Step(RiskState.HIGH, Action.SUSTAIN),
    (RiskState.HIGH, Observation.BELOW): Step(RiskState.LOW, Action.CLOSE),
}


def step(state: RiskState, observation: Observation) -> Step:
    """Look the pair up.

    Raises
    ------
    UnlistedTransitionError
        When the table does not list the pair.
    """
    try:
        return TRANSITIONS[state, observation]
    except KeyError:
        raise UnlistedTransitionError(f"no transition for {state} on {observation}; list it") from None
