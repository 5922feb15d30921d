"""What the records of ``ecg.quarantine.v1`` add up to: each delivery's state, by a table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from schemas.errors import PoisonError
from schemas.quarantine import EcgQuarantined, QuarantineAct, QuarantineVerb


class State(StrEnum):
    """Where a delivery in quarantine stands."""

    HELD = "HELD"
    CORRECTED = "CORRECTED"  # a person said what was missing; to be replayed
    REPLAYED = "REPLAYED"  # on ``ecg.recorded.v1``; the content is no longer kept
    DISCARDED = "DISCARDED"  # by a person, with a reason; the content is no longer kept


#: States in which the content is kept and something can be done.
OPEN: Final = frozenset({State.HELD, State.CORRECTED})


class Event(StrEnum):
    """What can happen to a delivery: it comes in, or somebody acts on it."""

    DELIVERED = "DELIVERED"
    SHOWN = "SHOWN"
    CORRECTED = "CORRECTED"
    REPLAYED = "REPLAYED"
    REFUSED_AGAIN = "REFUSED_AGAIN"
    DISCARDED = "DISCARDED"


#: (state before, event) → state after; None before the first delivery. What is not listed cannot happen.
#: A delivery that was replayed is in: sent once more it opens nothing. One that was discarded is opened anew.
#: A replay that was under way when somebody discarded the delivery has put it on ``ecg.recorded.v1``: that
#: counts.
TRANSITIONS: Final[Mapping[tuple[State | None, Event], State]] = {
    (None, Event.DELIVERED): State.HELD,
    (State.HELD, Event.DELIVERED): State.HELD,
    (State.HELD, Event.SHOWN): State.HELD,
    (State.HELD, Event.CORRECTED): State.CORRECTED,
    (State.HELD, Event.REPLAYED): State.REPLAYED,
    (State.HELD, Event.REFUSED_AGAIN): State.HELD,
    (State.HELD, Event.DISCARDED): State.DISCARDED,
    (State.CORRECTED, Event.DELIVERED): State.CORRECTED,
    (State.CORRECTED, Event.SHOWN): State.CORRECTED,
    (State.CORRECTED, Event.CORRECTED): State.CORRECTED,
    (State.CORRECTED, Event.REPLAYED): State.REPLAYED,
    (State.CORRECTED, Event.REFUSED_AGAIN): State.CORRECTED,
    (State.CORRECTED, Event.DISCARDED): State.DISCARDED,
    (State.REPLAYED, Event.DELIVERED): State.REPLAYED,
    (State.REPLAYED, Event.SHOWN): State.REPLAYED,
    (State.REPLAYED, Event.REPLAYED): State.REPLAYED,
    (State.DISCARDED, Event.DELIVERED): State.HELD,
    (State.DISCARDED, Event.SHOWN): State.DISCARDED,
    (State.DISCARDED, Event.REPLAYED): State.REPLAYED,
    (State.DISCARDED, Event.DISCARDED): State.DISCARDED,
}

#: How each state is said to whoever asks for what it does not allow.
_SAID: Final[Mapping[State | None, str]] = {
    None: "it is not in quarantine",
    State.HELD: "it is held",
    State.CORRECTED: "it is corrected and waits to be replayed",
    State.REPLAYED: "it was replayed and is on ecg.recorded.v1",
    State.DISCARDED: "it was discarded; it opens again when its source sends it again",
}

_ASKED: Final[Mapping[Event, str]] = {
    Event.DELIVERED: "deliver",
    Event.SHOWN: "show",
    Event.CORRECTED: "correct",
    Event.REPLAYED: "replay",
    Event.REFUSED_AGAIN: "refuse again",
    Event.DISCARDED: "discard",
}


class OutOfTurnError(PoisonError):
    """The delivery's state does not allow this; the message says what its state is."""

    code = "OUT_OF_TURN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One delivery in quarantine, as all its records have it.

    Attributes
    ----------
    record : EcgQuarantined
        Its newest record; of a delivery that came several times, where its content lies now.
    code, reason : str
        Why it is not accepted, as last found out.
    opening : int
        How often it was opened: once, and once more each time it came again after it was discarded.
    corrections : tuple of bytes
        Of this opening, oldest first, as they were written.
    acts : tuple of QuarantineAct
        Everything that was done about it, oldest first.
    """

    record: EcgQuarantined
    state: State
    code: str
    reason: str
    opening: int = 1
    corrections: tuple[bytes, ...] = ()
    acts: tuple[QuarantineAct, ...] = ()

    @property
    def quarantine_id(self) -> str:
        """Its id."""
        return self.record.quarantine_id

    @property
    def is_open(self) -> bool:
        """Whether its content is kept and something can be done."""
        return self.state in OPEN

    @property
    def ecg_id(self) -> str | None:
        """What it became, once it was replayed."""
        return next((act.ecg_id for act in reversed(self.acts) if act.ecg_id), None)


def require_turn(entry: Entry | None, event: Event) -> State:
    """Return the state after an event.

    Raises
    ------
    OutOfTurnError
        When the table does not list it.
    """
    state = entry.state if entry else None
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OutOfTurnError(f"cannot {_ASKED[event]} this delivery: {_SAID[state]}")
    return after


def fold(entry: Entry | None, record: EcgQuarantined | QuarantineAct) -> Entry:
    """Add one record to what is known of a delivery. An act that is already there changes nothing.

    Raises
    ------
    OutOfTurnError
        When the table does not list it. Whoever reads the log leaves such a record out: it was written in a
        race with another one that came first.
    """
    if isinstance(record, EcgQuarantined):
        return _delivered(entry, record)
    after = require_turn(entry, event_of(record))
    if entry is None:  # no act is listed before the first delivery
        raise OutOfTurnError(_SAID[None])
    if any(act.act_id == record.act_id for act in entry.acts):
        return entry
    folded = replace(entry, state=after, acts=(*entry.acts, record))
    if record.verb is QuarantineVerb.CORRECTED:
        return replace(folded, corrections=(*entry.corrections, record.correction))
    if record.verb is QuarantineVerb.REFUSED_AGAIN:
        return replace(folded, code=record.code or entry.code, reason=record.reason or entry.reason)
    return folded


def event_of(act: QuarantineAct) -> Event:
    """Name the event of an act.

    Raises
    ------
    OutOfTurnError
        When a newer Diastole wrote a verb that this one does not know.
    """
    if act.verb is QuarantineVerb.UNKNOWN:
        raise OutOfTurnError("an act that this version does not know; update Diastole to see it")
    return Event(act.verb.value)


def _delivered(entry: Entry | None, record: EcgQuarantined) -> Entry:
    after = require_turn(entry, Event.DELIVERED)
    if entry is None:
        return Entry(record=record, state=after, code=record.code, reason=record.reason)
    if entry.state is State.DISCARDED:
        return replace(
            entry,
            record=record,
            state=after,
            code=record.code,
            reason=record.reason,
            opening=entry.opening + 1,
            corrections=(),
        )
    # Its refusal knows nothing of what was corrected meanwhile; only where the content lies is news.
    return replace(entry, record=replace(record, received_at=entry.record.received_at))
