"""Where an alert stands in the inbox, and what stands behind its state: who was told, or that nobody was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alert_cases import RAISED_AT, act, alert, book_of, closed, minutes, mute

from schemas.alert import Priority
from schemas.audit import CareAction, CareScope, CareVerb
from streams.api.pages.inbox import ENDED_FOR, Look, groups, row
from streams.deliver.case import CaseBook
from streams.deliver.routing import Route, Routes

V = CareVerb
INBOX = Route(name="all", levels=(0, 1), recipient="care team")
NURSE = replace(INBOX, name="nurse", channels=("chat",))
RADIO = replace(NURSE, name="radio", channels=("radio",))
ALERT = alert()
CLOSED_AT = minutes(60)


def routes(*given: Route) -> Routes:
    ladder = dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0), timedelta(minutes=30)))
    return Routes(version="test", routes=given, ladder=ladder)


def look(book: CaseBook, now: datetime, *given: Route) -> Look:
    return Look(
        now=now, zone=UTC, routes=routes(*given), book=book, enter_threshold=0.6, lying={}, may_act=True
    )


def told(
    now: datetime, *given: Route, acts: tuple[CareAction, ...] = (), age_h: float = 0.1
) -> tuple[str, bool]:
    raised = replace(ALERT, acquired_at=RAISED_AT - timedelta(hours=age_h))
    book = book_of(raised, acts=acts)
    shown = row(book.cases[raised.alert_id], look(book, now, *given))
    return shown.state_detail, shown.is_trouble


def sent(n: float, verb: CareVerb = V.DELIVERED, level: int = 0, channel: str = "chat") -> CareAction:
    return act(ALERT, verb, minutes(n), channel=channel, level=level)


ESCALATED = act(ALERT, V.ESCALATED, minutes(30), level=1)
LISTED = act(ALERT, V.LISTED, minutes(0), reason="muted")
QUIET = mute(CareScope.WARD, "W1", minutes(0), minutes(5))


@pytest.mark.parametrize(
    ("after_min", "given", "acts", "says", "is_trouble"),
    [
        (0.5, (NURSE,), (), "not delivered yet", False),
        (1, (NURSE,), (), "not delivered: is “diastole deliver” running?", True),
        (0.5, (INBOX,), (), "in the inbox only, nobody is paged", False),
        (29, (INBOX,), (), "in the inbox only, nobody is paged", False),
        (29, (INBOX, NURSE), (), "not delivered: is “diastole deliver” running?", True),
        (50, (INBOX,), (), "not escalated, due 20 min ago: is “diastole deliver” running?", True),
        (5, (NURSE,), (sent(1),), "chat, 4 min ago", False),
        (
            5,
            (NURSE, RADIO),
            (sent(1),),
            "chat, 4 min ago; not delivered to all it is for: is “diastole deliver” running?",
            True,
        ),
        (5, (NURSE,), (sent(1, V.DELIVERY_FAILED),), "delivery failed: chat", True),
        # It runs, or it would not have failed just now: the channel is the trouble.
        (
            5,
            (NURSE, RADIO),
            (sent(0.9, V.DELIVERY_FAILED, channel="radio"), sent(1)),
            "chat, 4 min ago; not delivered to all it is for: radio fails",
            True,
        ),
        (
            20,
            (NURSE, RADIO),
            (sent(0.9, V.DELIVERY_FAILED, channel="radio"), sent(1)),
            "chat, 19 min ago; not delivered to all it is for: is “diastole deliver” running?",
            True,
        ),
        (
            33,
            (NURSE, RADIO),
            (ESCALATED, sent(31, V.DELIVERY_FAILED, 1, "radio"), sent(32, V.DELIVERY_FAILED, 1)),
            "to level 1, 3 min ago; not delivered: chat, radio fail",
            True,
        ),
        (30.5, (NURSE,), (sent(0), ESCALATED), "to level 1, 30 s ago", True),
        (
            32,
            (NURSE,),
            (sent(0), ESCALATED),
            "to level 1, 2 min ago; not delivered: is “diastole deliver” running?",
            True,
        ),
        (4, (NURSE,), (QUIET,), "ward muted until 1 Mar 2026 12:05", False),
        # When the quiet ends, time begins anew.
        (5.5, (NURSE,), (QUIET, LISTED), "not delivered yet", False),
    ],
)  # fmt: skip
def test_what_became_of_it_is_said_in_words(
    after_min: float, given: tuple[Route, ...], acts: tuple[CareAction, ...], says: str, is_trouble: bool
) -> None:
    assert told(minutes(after_min), *given, acts=acts) == (says, is_trouble)


LONG = mute(CareScope.WARD, "W1", minutes(0), minutes(60))


@pytest.mark.parametrize(
    ("ward_now", "acts", "says", "is_trouble"),
    [
        ("W1", (LONG,), "ward muted until 1 Mar 2026 13:00", False),
        ("CCU", (LONG,), "muted in W1 until 1 Mar 2026 13:00, patient now in CCU", True),
        ("", (LONG,), "muted in W1 until 1 Mar 2026 13:00, patient now in no named ward", True),
        # Somebody meant this patient, wherever they lie; or the ward they lie in is quiet, too.
        (
            "CCU",
            (LONG, mute(CareScope.PATIENT, "P-1", minutes(0), minutes(30))),
            "patient muted until 1 Mar 2026 12:30",
            False,
        ),
        (
            "CCU",
            (LONG, mute(CareScope.WARD, "CCU", minutes(0), minutes(30), site_id="north")),
            "ward muted until 1 Mar 2026 13:00",
            False,
        ),
        (
            "CCU",
            (LONG, mute(CareScope.WARD, "CCU", minutes(0), minutes(4), site_id="north")),
            "muted in W1 until 1 Mar 2026 13:00, patient now in CCU",
            True,
        ),
        (
            "CCU",
            (LONG, mute(CareScope.WARD, "CCU", minutes(0), minutes(30), site_id="south")),
            "muted in W1 until 1 Mar 2026 13:00, patient now in CCU",
            True,
        ),
    ],
)
def test_the_quiet_of_a_ward_the_patient_left_is_trouble(
    ward_now: str, acts: tuple[CareAction, ...], says: str, is_trouble: bool
) -> None:
    book = book_of(ALERT, acts=acts)
    seen = replace(look(book, minutes(5), NURSE), lying={ALERT.patient_id: ward_now})
    shown = row(book.cases[ALERT.alert_id], seen)
    assert (shown.state_detail, shown.is_trouble) == (says, is_trouble)


def test_an_old_ecg_pages_nobody_and_is_said_to() -> None:
    assert told(minutes(5), NURSE, age_h=13) == ("listed, nobody is paged: its ECG was old already", False)


def shown(now: datetime, *verbs: CareVerb, is_closed: bool = True, ended: bool = False) -> dict[str, int]:
    acts = [act(ALERT, verb, minutes(n + 1)) for n, verb in enumerate(verbs)]
    book = book_of(ALERT, acts=acts)
    if is_closed:
        book.take_alert(closed(ALERT), CLOSED_AT)
    found = groups(book.cases.values(), look(book, now, NURSE), ended=ended)
    return {group.key: len(group.rows) for group in found if group.rows}


def test_what_ended_before_anybody_answered_stays_in_the_inbox() -> None:
    assert shown(minutes(90), V.DELIVERED) == {"fell": 1}
    assert shown(minutes(90), V.EXPIRED) == {"fell": 1}
    assert shown(minutes(90), V.MUTED) == {"fell": 1}
    assert shown(minutes(90), V.EXPIRED, is_closed=False) == {"expired": 1}


@pytest.mark.parametrize("verb", [V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED])
def test_what_was_answered_before_or_after_its_end_has_ended(verb: CareVerb) -> None:
    assert shown(minutes(90), verb) == {}
    late = book_of(ALERT, acts=[act(ALERT, verb, minutes(80))])
    late.take_alert(closed(ALERT), CLOSED_AT)
    (group,) = groups(late.cases.values(), look(late, minutes(90), NURSE), ended=True)
    assert len(group.rows) == 1
    assert not any(each.rows for each in groups(late.cases.values(), look(late, minutes(90), NURSE)))


def test_it_is_listed_for_a_week_after_its_end() -> None:
    last = CLOSED_AT + ENDED_FOR
    assert shown(last - timedelta(seconds=1)) == {"fell": 1}
    assert shown(last) == {}
    assert shown(last - timedelta(seconds=1), ended=True) == {"ended": 1}
    assert shown(last, ended=True) == {}


@pytest.mark.parametrize("after", [timedelta(hours=1), ENDED_FOR, 8 * ENDED_FOR])
def test_what_expired_without_an_answer_is_always_found_somewhere(after: timedelta) -> None:
    now = minutes(1) + after
    listed = shown(now, V.EXPIRED, is_closed=False)
    assert listed == ({"expired": 1} if after < ENDED_FOR else {})
    assert shown(now, V.EXPIRED, is_closed=False, ended=True) == {"ended": 1}


def test_it_can_be_acknowledged_where_it_stands() -> None:
    book = book_of(ALERT)
    book.take_alert(closed(ALERT), CLOSED_AT)
    fell = next(each for each in groups(book.cases.values(), look(book, minutes(90), NURSE)) if each.rows)
    (waiting,) = fell.rows
    assert (fell.title, waiting.may_acknowledge) == ("Risk fell again, nobody answered", True)
    assert (waiting.state_detail, waiting.is_trouble) == ("nobody answered", True)
