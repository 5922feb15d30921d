"""The whole table of what can happen to a delivery in quarantine."""

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct, QuarantineVerb
from streams.feeds.quarantine.fold import (
    OPEN,
    TRANSITIONS,
    Entry,
    Event,
    OutOfTurnError,
    State,
    event_of,
    fold,
    require_turn,
)

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
Q = str(uuid.UUID(int=1))
ECG_ID = str(uuid.UUID(int=2))
D = EcgQuarantined(
    quarantine_id=Q,
    received_at=NOW,
    code="NO_PATIENT",
    reason="names no patient",
    feed="folder",
    source="share",
    site_id="",
    source_format="DICOM",
    n_bytes=3,
    pieces=(Piece(partition=0, offset=0),),
    is_sealed=False,
)

#: What each event does in each state; None: refused. Written out here once more, to be compared.
EXPECTED: dict[State | None, dict[Event, State | None]] = {
    None: {Event.DELIVERED: State.HELD},
    State.HELD: {
        Event.DELIVERED: State.HELD,
        Event.SHOWN: State.HELD,
        Event.CORRECTED: State.CORRECTED,
        Event.REPLAYED: State.REPLAYED,
        Event.REFUSED_AGAIN: State.HELD,
        Event.DISCARDED: State.DISCARDED,
    },
    State.CORRECTED: {
        Event.DELIVERED: State.CORRECTED,
        Event.SHOWN: State.CORRECTED,
        Event.CORRECTED: State.CORRECTED,
        Event.REPLAYED: State.REPLAYED,
        Event.REFUSED_AGAIN: State.CORRECTED,
        Event.DISCARDED: State.DISCARDED,
    },
    State.REPLAYED: {
        Event.DELIVERED: State.REPLAYED,
        Event.SHOWN: State.REPLAYED,
        Event.REPLAYED: State.REPLAYED,
    },
    State.DISCARDED: {
        Event.DELIVERED: State.HELD,
        Event.SHOWN: State.DISCARDED,
        Event.REPLAYED: State.REPLAYED,
        Event.DISCARDED: State.DISCARDED,
    },
}


def act(verb: QuarantineVerb, n: int = 0, **more: object) -> QuarantineAct:
    """One act; another ``n`` is another act."""
    given: dict[str, object] = {
        "act_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{verb}{n}")),
        "quarantine_id": Q,
        "verb": verb,
        "actor": "engineer",
        "acted_at": NOW,
        "origin": "command",
    }
    return QuarantineAct(**(given | more))  # type: ignore[arg-type]


CORRECT = act(QuarantineVerb.CORRECTED, correction=b"{}")
REPLAY = act(QuarantineVerb.REPLAYED, ecg_id=ECG_ID)
REFUSE = act(QuarantineVerb.REFUSED_AGAIN, code="NO_TIME", reason="says no time")
DISCARD = act(QuarantineVerb.DISCARDED, reason="a test")

WAY_TO: dict[State | None, tuple[EcgQuarantined | QuarantineAct, ...]] = {
    None: (),
    State.HELD: (D,),
    State.CORRECTED: (D, CORRECT),
    State.REPLAYED: (D, REPLAY),
    State.DISCARDED: (D, DISCARD),
}


def folded(*records: EcgQuarantined | QuarantineAct) -> Entry | None:
    entry: Entry | None = None
    for record in records:
        entry = fold(entry, record)
    return entry


def entry_of(*records: EcgQuarantined | QuarantineAct) -> Entry:
    entry = folded(*records)
    assert entry is not None
    return entry


@pytest.mark.parametrize(("state", "event"), [*itertools.product([None, *State], Event)])
def test_each_pair_of_state_and_event_ends_as_written_or_is_refused(
    state: State | None, event: Event
) -> None:
    before = folded(*WAY_TO[state])
    after = EXPECTED[state].get(event)
    record = D if event is Event.DELIVERED else act(QuarantineVerb(event.value), 7, ecg_id=ECG_ID)
    if after is None:
        with pytest.raises(OutOfTurnError, match=r"cannot .* this delivery: it"):
            fold(before, record)
        with pytest.raises(OutOfTurnError):
            require_turn(before, event)
    else:
        assert fold(before, record).state is after
        assert require_turn(before, event) is after


def test_the_table_lists_nothing_else() -> None:
    listed = {(state, event): after for state, row in EXPECTED.items() for event, after in row.items()}
    assert listed == TRANSITIONS


def test_only_what_is_held_or_corrected_is_open() -> None:
    assert {State.HELD, State.CORRECTED} == OPEN
    assert [entry_of(*WAY_TO[state]).is_open for state in State] == [True, True, False, False]


def test_refused_again_after_a_correction_stays_corrected_with_the_new_reason() -> None:
    entry = entry_of(D, CORRECT, REFUSE)
    assert (entry.state, entry.code, entry.reason) == (State.CORRECTED, "NO_TIME", "says no time")
    assert entry.corrections == (b"{}",)


def test_what_was_discarded_opens_anew_when_it_comes_again_without_its_old_corrections() -> None:
    again = replace(D, reason="still names no patient", pieces=(Piece(partition=0, offset=9),))
    entry = entry_of(D, CORRECT, DISCARD, again)
    assert (entry.state, entry.opening, entry.corrections) == (State.HELD, 2, ())
    assert entry.record.pieces == again.pieces
    assert entry.reason == "still names no patient"
    assert [each.verb for each in entry.acts] == [QuarantineVerb.CORRECTED, QuarantineVerb.DISCARDED]


def test_the_old_discard_read_again_does_not_discard_the_new_opening() -> None:
    entry = entry_of(D, DISCARD, D)
    assert fold(entry, DISCARD) == entry


def test_a_repeated_delivery_keeps_when_it_first_came_and_where_it_now_lies() -> None:
    later = replace(D, received_at=NOW.replace(hour=9), pieces=(Piece(partition=1, offset=5),))
    entry = entry_of(D, CORRECT, later)
    assert entry.state is State.CORRECTED
    assert (entry.record.received_at, entry.record.pieces) == (NOW, later.pieces)


def test_the_same_act_read_twice_is_one() -> None:
    assert entry_of(D, CORRECT, CORRECT) == entry_of(D, CORRECT)


def test_a_replay_that_won_against_a_discard_says_what_became_of_it() -> None:
    entry = entry_of(D, DISCARD, REPLAY)
    assert (entry.state, entry.ecg_id) == (State.REPLAYED, ECG_ID)


def test_an_act_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(OutOfTurnError, match="update Diastole"):
        event_of(act(QuarantineVerb.UNKNOWN))
