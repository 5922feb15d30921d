"""The life of an alert as a table: (state, event) → state.

::

    RAISED ─▶ DELIVERED ─▶ ESCALATED ─▶ …        nobody answered yet: these three are *open*
       │           │            │
       └───────────┴────────────┴──▶ ACKNOWLEDGED ─▶ ACCEPTED │ REJECTED      somebody answered
       └───────────┴────────────┴──▶ MUTED ─▶ RAISED                          kept quiet, until it expires
       └───────────┴────────────┴──▶ EXPIRED                                  too old to be acted on
    any ─▶ CLOSED                                                             the patient moved out of HIGH

Records of the two topics that tell an alert's life may meet in any order (somebody acknowledges while the
ladder escalates): such pairs are listed and change nothing. A pair that is not listed is a defect, or an act
that makes no sense, and raises.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class LifeState(StrEnum):
    """Where an alert stands."""

    RAISED = "RAISED"
    DELIVERED = "DELIVERED"
    ESCALATED = "ESCALATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    MUTED = "MUTED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"


class LifeEvent(StrEnum):
    """What happens to it. All but CLOSE are a :class:`schemas.audit.CareVerb` of nearly the same name."""

    DELIVER = "DELIVERED"
    FAIL = "DELIVERY_FAILED"
    LIST = "LISTED"
    ACKNOWLEDGE = "ACKNOWLEDGED"
    ACCEPT = "ACCEPTED"
    REJECT = "REJECTED"
    ESCALATE = "ESCALATED"
    MUTE = "MUTED"
    UNMUTE = "UNMUTED"
    EXPIRE = "EXPIRED"
    VIEW = "VIEWED"
    OUTCOME = "OUTCOME"
    CLOSE = "CLOSED"


class UnlistedLifeEventError(AssertionError):
    """A pair that the table does not list."""


#: States in which nobody has answered yet.
OPEN: Final = frozenset({LifeState.RAISED, LifeState.DELIVERED, LifeState.ESCALATED})

#: States in which an alert still asks for something: open, or kept quiet for a while.
UNANSWERED: Final = OPEN | {LifeState.MUTED}

#: States in which nobody is asked to look any more; who only acknowledged still looks after it.
OVER: Final = frozenset({LifeState.ACCEPTED, LifeState.REJECTED, LifeState.EXPIRED, LifeState.CLOSED})

_S, _E = LifeState, LifeEvent

#: Answers and ends, the same from every open state.
_FROM_OPEN: Final = {
    _E.ACKNOWLEDGE: _S.ACKNOWLEDGED,
    _E.ACCEPT: _S.ACCEPTED,
    _E.REJECT: _S.REJECTED,
    _E.ESCALATE: _S.ESCALATED,
    _E.MUTE: _S.MUTED,
    _E.EXPIRE: _S.EXPIRED,
    _E.CLOSE: _S.CLOSED,
}


#: What may come too late, or tells nothing about an answer.
_NOTED: Final = (_E.DELIVER, _E.FAIL, _E.LIST, _E.VIEW, _E.UNMUTE)

#: The same, once somebody answered or nobody can any more.
_TOO_LATE: Final = (*_NOTED, _E.ESCALATE, _E.EXPIRE, _E.OUTCOME)


def _stays(state: LifeState, *events: LifeEvent) -> dict[LifeEvent, LifeState]:
    return dict.fromkeys(events, state)


#: The whole table; of a pair listed twice the later holds.
LIFE: Final[Mapping[LifeState, Mapping[LifeEvent, LifeState]]] = {
    _S.RAISED: {**_FROM_OPEN, **_stays(_S.RAISED, *_NOTED), _E.DELIVER: _S.DELIVERED},
    _S.DELIVERED: {**_FROM_OPEN, **_stays(_S.DELIVERED, *_NOTED)},
    _S.ESCALATED: {**_FROM_OPEN, **_stays(_S.ESCALATED, *_NOTED)},
    _S.MUTED: {**_FROM_OPEN, **_stays(_S.MUTED, *_NOTED, _E.ESCALATE), _E.UNMUTE: _S.RAISED},
    _S.ACKNOWLEDGED: {
        **_stays(_S.ACKNOWLEDGED, *_TOO_LATE, _E.ACKNOWLEDGE),
        _E.ACCEPT: _S.ACCEPTED,
        _E.REJECT: _S.REJECTED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.ACCEPTED: {
        **_stays(_S.ACCEPTED, *_TOO_LATE, _E.ACKNOWLEDGE, _E.ACCEPT),
        _E.REJECT: _S.REJECTED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.REJECTED: {
        **_stays(_S.REJECTED, *_TOO_LATE, _E.ACKNOWLEDGE, _E.REJECT),
        _E.ACCEPT: _S.ACCEPTED,
        _E.CLOSE: _S.CLOSED,
    },
    _S.EXPIRED: {
        **_stays(_S.EXPIRED, *_TOO_LATE),
        _E.ACKNOWLEDGE: _S.ACKNOWLEDGED,
        _E.ACCEPT: _S.ACCEPTED,
        _E.REJECT: _S.REJECTED,
        _E.CLOSE: _S.CLOSED,
    },
    # Whoever answers after the patient moved out of HIGH still tells whether the alert was right.
    _S.CLOSED: _stays(_S.CLOSED, *_TOO_LATE, _E.ACKNOWLEDGE, _E.ACCEPT, _E.REJECT, _E.CLOSE),
}


def next_state(state: LifeState, event: LifeEvent) -> LifeState:
    """Look a step up.

    Raises
    ------
    UnlistedLifeEventError
        When the table does not list the pair.

    >>> next_state(LifeState.DELIVERED, LifeEvent.ACKNOWLEDGE)
    <LifeState.ACKNOWLEDGED: 'ACKNOWLEDGED'>
    """
    try:
        return LIFE[state][event]
    except KeyError:
        raise UnlistedLifeEventError(f"an alert that is {state} cannot be {event}") from None


def is_allowed(state: LifeState, event: LifeEvent) -> bool:
    """Whether the act makes sense for an alert in this state; for buttons and refusals."""
    return event in LIFE[state]
