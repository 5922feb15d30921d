"""The life of an alert: every pair of state and event, by a table written a second time."""

import pytest
from alert_cases import RAISED_AT, act, alert, case_of, closed, minutes

from schemas.audit import CareVerb
from streams.deliver.life import (
    LIFE,
    OPEN,
    UNANSWERED,
    LifeEvent,
    LifeState,
    UnlistedLifeEventError,
    is_allowed,
    next_state,
)

#: One row a state, one column an event; "." stays as it is, "-" makes no sense.
TABLE = """
state        DELIVER   FAIL LIST ACKNOWLEDGE  ACCEPT   REJECT   ESCALATE  MUTE  UNMUTE EXPIRE  VIEW OUTCOME CLOSE
RAISED       DELIVERED .    .    ACKNOWLEDGED ACCEPTED REJECTED ESCALATED MUTED .      EXPIRED .    -       CLOSED
DELIVERED    .         .    .    ACKNOWLEDGED ACCEPTED REJECTED ESCALATED MUTED .      EXPIRED .    -       CLOSED
ESCALATED    .         .    .    ACKNOWLEDGED ACCEPTED REJECTED .         MUTED .      EXPIRED .    -       CLOSED
MUTED        .         .    .    ACKNOWLEDGED ACCEPTED REJECTED .         .     RAISED EXPIRED .    -       CLOSED
ACKNOWLEDGED .         .    .    .            ACCEPTED REJECTED .         -     .      .       .    .       CLOSED
ACCEPTED     .         .    .    .            .        REJECTED .         -     .      .       .    .       CLOSED
REJECTED     .         .    .    .            ACCEPTED .        .         -     .      .       .    .       CLOSED
EXPIRED      .         .    .    ACKNOWLEDGED ACCEPTED REJECTED .         -     .      .       .    .       CLOSED
CLOSED       .         .    .    .            .        .        .         -     .      .       .    .       .
"""  # noqa: E501 - a table is read whole

(_, *EVENTS), *ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = [
    (LifeState[state], LifeEvent[event], entry)
    for state, *entries in ROWS
    for event, entry in zip(EVENTS, entries, strict=True)
]


def test_the_second_table_names_every_state_and_event():
    assert {row[0] for row in ROWS} == {state.value for state in LifeState}
    assert set(EVENTS) == {event.name for event in LifeEvent}
    assert len(PAIRS) == len(LifeState) * len(LifeEvent) == 117


@pytest.mark.parametrize(("state", "event", "entry"), PAIRS)
def test_every_pair_goes_where_the_table_says_and_what_is_not_listed_raises(state, event, entry):
    if entry == "-":
        assert not is_allowed(state, event)
        with pytest.raises(UnlistedLifeEventError, match=f"{state} cannot be {event}"):
            next_state(state, event)
    else:
        assert is_allowed(state, event)
        assert next_state(state, event) is (state if entry == "." else LifeState[entry])


def test_events_are_the_verbs_of_the_audit_and_the_end_of_the_episode():
    verbs = {verb.value for verb in CareVerb} - {"UNKNOWN"}
    assert {event.value for event in LifeEvent} == verbs | {"CLOSED"}
    assert set(LIFE) == set(LifeState)


def test_an_answer_and_an_end_lead_out_of_what_is_unanswered_and_nothing_leads_back():
    assert OPEN | {LifeState.MUTED} == UNANSWERED
    for state in set(LifeState) - UNANSWERED:
        assert not set(LIFE[state].values()) & UNANSWERED


@pytest.mark.parametrize("first", [CareVerb.MUTED, CareVerb.ACKNOWLEDGED])
def test_of_two_acts_at_once_the_later_that_makes_no_sense_is_passed_over(first):
    raised = alert()
    case = case_of(raised, [act(raised, first, minutes(1)), act(raised, CareVerb.OUTCOME, minutes(2))])
    assert case.state is LifeState(first.value)


def test_acts_count_in_the_order_they_were_done_in():
    raised = alert()
    acts = [act(raised, CareVerb.REJECTED, minutes(1)), act(raised, CareVerb.ACCEPTED, minutes(2))]
    assert case_of(raised, acts).state is case_of(raised, reversed(acts)).state is LifeState.ACCEPTED


def test_an_end_counts_at_its_own_time():
    raised = alert()
    case = case_of(raised, [act(raised, CareVerb.ACCEPTED, minutes(3))]).with_end(closed(raised), minutes(2))
    assert case.state is LifeState.CLOSED
    assert case.with_end(closed(raised), minutes(1)).closed_at == minutes(1)
    assert case.with_end(closed(raised), minutes(4)).closed_at == minutes(2)
    assert case.raised_at == RAISED_AT
