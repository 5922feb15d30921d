"""What delivery notes of itself: ids that follow from what was done, and no mute without an end."""

from datetime import timedelta

from alert_cases import RAISED_AT, act, alert, book_of, case_of, minutes

from schemas.audit import CareVerb
from schemas.invariants import MAX_TEXT_CHARS
from streams.deliver.life import LifeState
from streams.deliver.own_acts import act_of, delivered, delivery_failed, is_refusal
from streams.deliver.steps import Escalate, Expire, List, Send, Unmute

SEND = Send(channel="chat", recipient="ward nurse", level=1, not_before=RAISED_AT, attempt=2)


def test_a_step_done_again_is_the_same_act():
    case = case_of(alert())
    for note in (
        lambda at: delivered(case, SEND, at),
        lambda at: delivery_failed(case, SEND, at, "no answer"),
        *(
            lambda at, step=step: act_of(case, step, at)
            for step in (List(reason="muted"), Escalate(level=1), Unmute(mute_id="m"), Expire())
        ),
    ):
        assert note(minutes(1)).action_id == note(minutes(2)).action_id


def test_attempts_channels_levels_and_mutes_are_told_apart():
    case = case_of(alert())
    others = [
        Send(channel=channel, recipient="r", level=level, not_before=RAISED_AT, attempt=attempt)
        for channel in ("chat", "mail")
        for level in (0, 1)
        for attempt in (1, 2)
    ]
    assert len({delivery_failed(case, send, RAISED_AT, "why").action_id for send in others}) == 8
    assert len({delivered(case, send, RAISED_AT).action_id for send in others}) == 4
    assert len({act_of(case, Unmute(mute_id=each), RAISED_AT).action_id for each in "ab"}) == 2


def test_a_delivery_names_channel_recipient_and_level():
    made = delivered(case_of(alert()), SEND, minutes(1))
    assert (made.channel, made.recipient, made.level, made.actor) == ("chat", "ward nurse", 1, "deliver")


def test_a_refusal_is_told_from_a_failure_and_a_long_reason_is_cut():
    case = case_of(alert())
    assert is_refusal(delivery_failed(case, SEND, RAISED_AT, "401", is_refused=True))
    assert not is_refusal(delivery_failed(case, SEND, RAISED_AT, "no answer"))
    assert not is_refusal(act(alert(), CareVerb.REJECTED, RAISED_AT, reason="refused: no"))
    long = delivery_failed(case, SEND, RAISED_AT, "x" * 20_000, is_refused=True)
    assert len(long.reason) == MAX_TEXT_CHARS


def test_a_mute_noted_by_a_clock_that_is_ahead_still_ends():
    raised = alert()
    muted = act(raised, CareVerb.MUTED, minutes(9), expires_at=minutes(9))
    book = book_of(raised, acts=[muted])
    unmuted = act_of(book.cases[raised.alert_id], Unmute(mute_id=muted.action_id), minutes(8))
    assert unmuted.acted_at == minutes(9) + timedelta(microseconds=1)
    book.take_act(unmuted)
    assert book.cases[raised.alert_id].state is LifeState.RAISED
