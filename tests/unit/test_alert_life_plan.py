"""What is due of an alert, with a clock moved by hand and channels, people and crashes as they come."""

from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from alert_cases import RAISED_AT, act, alert, book_of, closed, minutes, mute
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import AlertKind, AlertRaised, Priority
from schemas.audit import CareScope, CareVerb
from streams.deliver.case import CaseBook
from streams.deliver.life import OPEN, LifeState
from streams.deliver.own_acts import act_of, delivered, delivery_failed
from streams.deliver.plan import (
    CATCH_UP,
    MUTED,
    Escalate,
    Expire,
    List,
    Send,
    Unmute,
    is_overdue,
    next_due,
    next_escalation,
    plan,
)
from streams.deliver.routing import Hours, Retry, Route, Routes
from streams.deliver.undelivered import has_ended

LADDER = {
    Priority.HIGH: tuple(timedelta(minutes=n) for n in (0, 10, 20)),
    Priority.MEDIUM: tuple(timedelta(minutes=n) for n in (0, 30)),
}

NURSE = Route(name="nurse", levels=(0,), recipient="ward nurse", channels=("chat",), second=("mail",))
CHARGE = Route(name="charge", levels=(1,), recipient="charge nurse", channels=("chat", "pager"))
DOCTOR = Route(name="doctor", levels=(2,), recipient="doctor", channels=("pager",))
TEAM = Route(
    name="team",
    levels=(0,),
    recipient="rapid response",
    channels=("radio",),
    min_probability=0.95,
    quiet_h=8,
)


CHIEF = Route(name="chief", levels=(3,), recipient="chief physician", channels=("chat",), second=("pager",))


def routes(*given_routes: Route, **more) -> Routes:
    ladder = more.pop("ladder", LADDER)
    return Routes(version="test", routes=given_routes or (NURSE, CHARGE, DOCTOR), ladder=ladder, **more)


def rungs(n: int) -> dict[Priority, tuple[timedelta, ...]]:
    """Make a ladder of so many levels, ten minutes apart."""
    return dict.fromkeys(LADDER, tuple(timedelta(minutes=10 * level) for level in range(n)))


@dataclass
class World:
    """A service that carries plans out, seen from its records; ``down`` are channels that fail."""

    raised: AlertRaised
    routes: Routes
    book: CaseBook
    down: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    sent: list[tuple[str, int, datetime]] = field(default_factory=list)

    @property
    def case(self):
        return self.book.cases[self.raised.alert_id]

    def plan(self, now):
        return plan(self.case, self.book, self.routes, now)

    def act(self, verb, at, **more):
        self.book.take_act(act(self.raised, verb, at, **more))

    def carry_out(self, step, now, crash_before_act=False):
        """Do one step and note it, unless the service is killed in between."""
        if isinstance(step, Send):
            fails = step.channel in self.down or step.channel in self.refusing
            if not fails:
                self.sent.append((step.channel, step.level, now))
            refused = step.channel in self.refusing
            noted = (
                delivery_failed(self.case, step, now, "no answer", is_refused=refused)
                if fails
                else delivered(self.case, step, now)
            )
        else:
            noted = act_of(self.case, step, now)
        if not crash_before_act:
            self.book.take_act(noted)

    def settle(self, now, most=50):
        """Carry plans out until nothing is left to do now; returns the steps."""
        done = []
        while steps := self.plan(now):
            for step in steps:
                self.carry_out(step, now)
            done += steps
            assert len(done) < most, done
        return done

    def run_until(self, end, now=RAISED_AT):
        """Wake whenever something is due, and only then."""
        done = [(now, step) for step in self.settle(now)]
        while (due := next_due(self.case, self.book, self.routes, now)) is not None and due <= end:
            assert due > now
            now = due
            done += [(now, step) for step in self.settle(now)]
        return done


def world(*given_routes: Route, raised: AlertRaised | None = None, acts=(), others=(), **more) -> World:
    raised = raised or alert(probability=0.9)
    return World(raised, routes(*given_routes, **more), book_of(raised, *others, acts=acts))


def told(done):
    """Return what was sent: minute, channel, level."""
    return [
        ((at - RAISED_AT) / timedelta(minutes=1), step.channel, step.level)
        for at, step in done
        if isinstance(step, Send)
    ]


def test_nobody_answers_the_whole_ladder_is_climbed_then_the_alert_expires():
    w = world()
    done = w.run_until(minutes(60 * 48))
    assert told(done) == [(0, "chat", 0), (10, "chat", 1), (10, "pager", 1), (20, "pager", 2)]
    assert [type(step) for _, step in done if not isinstance(step, Send)] == [Escalate, Escalate, Expire]
    assert done[-1][0] == minutes(24 * 60)
    assert w.case.state is LifeState.EXPIRED
    assert w.case.level == 2


def test_an_answer_ends_the_ladder():
    for verb in (CareVerb.ACKNOWLEDGED, CareVerb.ACCEPTED, CareVerb.REJECTED):
        w = world()
        w.settle(RAISED_AT)
        w.act(verb, minutes(5))
        assert next_due(w.case, w.book, w.routes, minutes(5)) is None
        assert w.plan(minutes(500)) == ()


def test_the_end_of_the_episode_ends_the_ladder():
    w = world()
    w.book.take_alert(closed(w.raised), minutes(5))
    assert w.plan(minutes(500)) == ()


def test_an_alert_of_medium_severity_climbs_its_own_ladder():
    w = world(raised=alert(probability=0.7))
    assert told(w.run_until(minutes(600))) == [(0, "chat", 0), (30, "chat", 1), (30, "pager", 1)]


def test_a_step_up_is_of_high_severity_whatever_its_probability():
    assert routes().severity(alert(probability=0.66, kind=AlertKind.STEPPED_UP)) is Priority.HIGH
    assert routes().severity(alert(probability=0.66)) is Priority.MEDIUM
    assert routes().severity(alert(probability=0.85)) is Priority.HIGH


def test_an_old_ecg_is_listed_pages_nobody_and_expires():
    w = world(raised=alert(age_h=13))
    done = w.run_until(minutes(60 * 48))
    assert [step for _, step in done] == [List(reason=CATCH_UP), Expire()]
    assert not is_overdue(w.case, w.book, w.routes, minutes(60))


def test_an_ecg_as_old_as_is_just_fresh_pages():
    assert world(raised=alert(age_h=12)).settle(RAISED_AT)


def test_a_channel_that_fails_is_tried_again_ever_later_then_the_second_is_used_too():
    w = world(NURSE, retry=Retry(attempts=3, first_s=10, longest_s=60))
    w.down = {"chat"}
    done = w.run_until(minutes(5))
    chat = [((at - RAISED_AT).total_seconds(), step.attempt) for at, step in done if step.channel == "chat"]
    assert chat == [(0, 1), (10, 2), (30, 3)]
    assert [(channel, at.timestamp() - RAISED_AT.timestamp()) for channel, _, at in w.sent] == [("mail", 30)]
    assert [act.reason for act in w.case.acts if act.verb is CareVerb.DELIVERY_FAILED] == ["no answer"] * 3


def test_a_refusal_asks_the_second_channel_at_once():
    w = world(NURSE)
    w.refusing = {"chat"}
    w.down = {"mail"}
    steps = w.settle(RAISED_AT)
    assert [step.channel for step in steps] == ["chat", "mail"]
    w.down = set()
    done = w.run_until(minutes(9))
    assert [(at, step.channel) for at, step in done] == [(RAISED_AT + timedelta(seconds=5), "mail")]


def test_while_every_channel_fails_all_are_tried_on_and_reached_when_one_is_back():
    w = world(NURSE)
    w.down = {"chat", "mail"}
    w.run_until(minutes(9))
    assert not w.sent
    assert is_overdue(w.case, w.book, w.routes, minutes(9))
    w.down = set()
    w.run_until(minutes(20), now=minutes(9))
    assert w.sent
    assert not is_overdue(w.case, w.book, w.routes, minutes(9.9))


def test_undelivered_becomes_an_alarm_only_after_its_time_and_wakes_the_service_then():
    w = world(NURSE, retry=Retry(attempts=9, first_s=600, longest_s=600))
    w.down = {"chat"}
    w.settle(RAISED_AT)
    assert next_due(w.case, w.book, w.routes, RAISED_AT) == minutes(1)
    assert not is_overdue(w.case, w.book, w.routes, minutes(0.99))
    assert is_overdue(w.case, w.book, w.routes, minutes(1))


def test_a_route_that_reached_nobody_is_overdue_whatever_the_others_reached():
    records = Route(name="record", levels=(0, 1), recipient="record", channels=("ehr",))
    w = world(NURSE, records, CHARGE)
    w.down = {"chat", "mail"}
    w.run_until(minutes(2))
    assert [channel for channel, _, _ in w.sent] == ["ehr"]
    assert is_overdue(w.case, w.book, w.routes, minutes(2))
    assert not has_ended(w.case, 0, w.book, w.routes, minutes(2))
    w.down = {"chat"}
    w.run_until(minutes(9), now=minutes(2))
    assert not is_overdue(w.case, w.book, w.routes, minutes(9)), "the second channel stands for the first"
    assert has_ended(w.case, 0, w.book, w.routes, minutes(9))


def test_the_alarm_of_a_level_ends_when_all_routes_of_one_above_reached_somebody():
    records = Route(name="record", levels=(0, 1), recipient="record", channels=("ehr",))
    w = world(NURSE, records, CHARGE)
    w.down = {"chat", "mail", "pager"}
    w.run_until(minutes(15))
    assert ("ehr", 1) in w.case.delivered
    assert not has_ended(w.case, 0, w.book, w.routes, minutes(15))
    assert not has_ended(w.case, 1, w.book, w.routes, minutes(15))
    w.down = {"chat", "mail"}
    w.run_until(minutes(19), now=minutes(15))
    assert has_ended(w.case, 0, w.book, w.routes, minutes(19))
    assert has_ended(w.case, 1, w.book, w.routes, minutes(19))


def test_a_level_for_the_inbox_alone_ends_no_alarm():
    inbox = Route(name="all", levels=(1, 2), recipient="care team")
    w = world(NURSE, inbox)
    w.down = {"chat", "mail"}
    w.run_until(minutes(15))
    assert w.case.level == 1
    assert not has_ended(w.case, 0, w.book, w.routes, minutes(15))


def test_what_leaves_no_house_is_never_overdue_and_escalates_in_the_inbox():
    inbox = Route(name="all", levels=(0, 1, 2), recipient="care team")
    w = world(inbox)
    assert w.routes.is_inbox_only
    done = w.run_until(minutes(30))
    assert [step for _, step in done] == [Escalate(level=1), Escalate(level=2)]
    assert not is_overdue(w.case, w.book, w.routes, minutes(30))


def test_a_lower_level_is_not_sent_any_more_once_its_recipient_is_asked_again_there():
    again = Route(name="again", levels=(1,), recipient="ward nurse", channels=("chat",))
    w = world(NURSE, again)
    w.down = {"chat", "mail"}
    w.run_until(minutes(11))
    w.down = set()
    w.run_until(minutes(19), now=minutes(11))
    assert {(channel, level) for channel, level, _ in w.sent} == {("mail", 0), ("chat", 1)}


def test_muted_alone_it_is_quiet_then_asks_again_from_where_it_was():
    w = world()
    w.settle(RAISED_AT)
    w.act(CareVerb.MUTED, minutes(5), expires_at=minutes(65))
    assert w.plan(minutes(64)) == ()
    assert next_due(w.case, w.book, w.routes, minutes(5)) == minutes(65)
    assert [type(step) for step in w.settle(minutes(65))] == [Unmute]
    assert told(w.run_until(minutes(76), now=minutes(65))) == [(75, "chat", 1), (75, "pager", 1)]


def test_muted_when_all_were_asked_it_is_brought_up_once_more():
    w = world()
    w.run_until(minutes(25))
    w.act(CareVerb.MUTED, minutes(30), expires_at=minutes(90))
    done = w.run_until(minutes(200), now=minutes(30))
    assert told(done) == [(90, "pager", 3)]


def test_a_mute_without_an_end_ends_at_once():
    w = world()
    w.act(CareVerb.MUTED, minutes(1))
    assert [type(step) for step in w.settle(minutes(1))] == [Unmute, Send]


def test_planned_downtime_lists_what_is_raised_and_sends_it_when_it_is_over():
    w = world(acts=[mute(CareScope.SITE, "north", minutes(-10), minutes(120))])
    done = w.run_until(minutes(135))
    assert done[0] == (RAISED_AT, List(reason=MUTED))
    assert told(done) == [(120, "chat", 0), (130, "chat", 1), (130, "pager", 1)]


def test_a_mute_lifted_early_sends_at_once():
    acts = [
        mute(CareScope.WARD, "W1", minutes(-10), minutes(120)),
        mute(CareScope.WARD, "W1", minutes(7), None),
    ]
    w = world(acts=acts)
    assert told(w.run_until(minutes(20))) == [(7, "chat", 0), (17, "chat", 1), (17, "pager", 1)]


def test_quiet_longer_than_an_alert_lives_still_lets_it_be_sent_afterwards():
    w = world(acts=[mute(CareScope.PATIENT, "P-1", minutes(-10), minutes(60 * 24 * 3))])
    done = w.run_until(minutes(60 * 24 * 5))
    assert [level for _, _, level in told(done)] == [0, 1, 1, 2]
    assert w.case.state is LifeState.EXPIRED


def test_an_outage_longer_than_an_alert_lives_still_climbs_the_whole_ladder():
    w = world()
    late = minutes(60 * 30)
    done = [(late, step) for step in w.settle(late)] + w.run_until(minutes(60 * 40), now=late)
    assert told(done) == [(1800, "chat", 0), (1800, "chat", 1), (1800, "pager", 1), (1810, "pager", 2)]
    assert done[-1] == (minutes(60 * 30 + 70), Expire())


@pytest.mark.parametrize("n_rungs", [1, 2, 3, 4])
def test_an_outage_longer_than_an_alert_lives_asks_the_last_of_any_ladder_and_gives_time_to_answer(n_rungs):
    w = world(NURSE, CHARGE, DOCTOR, CHIEF, ladder=rungs(n_rungs))
    late = minutes(60 * 30)
    done = [(late, step) for step in w.settle(late)] + w.run_until(minutes(60 * 40), now=late)
    last_asked, _, level = told(done)[-1]
    assert level == n_rungs - 1
    assert done[-1] == (minutes(last_asked + 60), Expire())


def test_who_stopped_right_after_the_last_escalation_asks_it_before_the_alert_expires():
    w = world()
    w.run_until(minutes(19))
    w.carry_out(Escalate(level=2), minutes(20))
    late = minutes(60 * 50)
    assert [step.channel for step in w.settle(late)] == ["pager"]
    assert w.settle(late + timedelta(minutes=60)) == [Expire()]


def test_an_alert_expires_when_the_last_were_asked_though_none_was_reached():
    w = world(NURSE, ladder=rungs(1))
    w.down = {"chat", "mail"}
    late = minutes(60 * 30)
    done = [(late, step) for step in w.settle(late)] + w.run_until(minutes(60 * 40), now=late)
    assert done[-1] == (late + timedelta(hours=1), Expire())
    assert is_overdue(w.case, w.book, w.routes, late) is False
    assert not has_ended(w.case, 0, w.book, w.routes, minutes(60 * 40)), "its alarm stays"


def test_of_two_audiences_none_is_passed_over_by_the_end_of_the_alert():
    radio = Route(name="radio", levels=(0,), recipient="rapid response", channels=("radio",))
    w = world(NURSE, radio, ladder=rungs(1))
    late = minutes(60 * 30)
    w.carry_out(next(step for step in w.plan(late) if step.channel == "chat"), late)
    much_later = late + timedelta(hours=30)
    assert [step.channel for step in w.settle(much_later)] == ["radio"]
    assert w.settle(much_later + timedelta(hours=1)) == [Expire()]


def test_after_quiet_an_outage_longer_than_an_alert_lives_still_brings_it_up_once_more():
    w = world(NURSE, ladder=rungs(1))
    w.settle(RAISED_AT)
    w.book.take_act(mute(CareScope.WARD, "W1", minutes(5), minutes(65)))
    late = minutes(60 * 48)
    assert w.settle(late) == [
        Escalate(level=1),
        Send(channel="chat", recipient="ward nurse", level=1, not_before=late),
    ]
    assert w.settle(late + timedelta(hours=1)) == [Expire()]


def test_what_failed_before_the_quiet_is_asked_again_before_the_alert_expires():
    w = world(NURSE, ladder=rungs(1))
    w.down = {"chat"}
    w.settle(RAISED_AT)
    w.book.take_act(mute(CareScope.WARD, "W1", minutes(5), minutes(65)))
    w.down = set()
    assert [step.channel for step in w.settle(minutes(60 * 48))] == ["chat"]


@pytest.mark.parametrize("n_rungs", [1, 3])
def test_what_is_for_the_inbox_alone_expires_at_its_time_whoever_was_away(n_rungs):
    w = world(Route(name="all", levels=(0, 1, 2), recipient="care team"), ladder=rungs(n_rungs))
    late = minutes(60 * 30)
    w.settle(late)
    w.run_until(late + timedelta(hours=1, minutes=10 * n_rungs), now=late)
    assert w.case.state is LifeState.EXPIRED


def test_two_audiences_the_rapid_response_team_only_above_its_threshold():
    assert "radio" not in {step.channel for step in world(NURSE, TEAM).settle(RAISED_AT)}
    above = world(NURSE, TEAM, raised=alert(probability=0.96))
    assert {step.channel for step in above.settle(RAISED_AT)} == {"chat", "radio"}


def test_the_rapid_response_team_is_left_in_peace_about_a_patient_for_its_hours():
    first, second = alert(1, probability=0.96), alert(2, probability=0.97)
    stranger = alert(3, probability=0.97, patient_id="P-2")
    for hours_ago, radio in ((7.9, False), (8.1, True)):
        told_at = RAISED_AT - timedelta(hours=hours_ago)
        earlier = act(
            first, CareVerb.DELIVERED, told_at, channel="radio", recipient="rapid response", level=0
        )
        w = world(NURSE, TEAM, raised=second, others=(first,), acts=[earlier])
        assert ("radio" in {step.channel for step in w.settle(RAISED_AT)}) is radio
        other = world(NURSE, TEAM, raised=stranger, others=(first,), acts=[earlier])
        assert "radio" in {step.channel for step in other.settle(RAISED_AT)}


def route(name: str, channel: str, **more) -> Route:
    return Route(name=name, **{"levels": (0,), "recipient": name, "channels": (channel,), **more})


def by_day_and_night(change: time, **more) -> tuple[Route, Route]:
    day = route("day", "chat", hours=Hours(since=time(7), until=change), **more)
    return day, route("night", "pager", hours=Hours(since=change, until=time(7)), **more)


def test_wards_sites_severities_and_hours_choose_the_route():
    cardio = route("cardio", "mail", wards=("cardio*",), sites=("north",))
    high = route("high", "radio", severities=(Priority.HIGH,))
    asked = (*by_day_and_night(time(19)), cardio, high)
    w = world(*asked, raised=alert(probability=0.7, ward_id="cardio-2"))
    assert {step.channel for step in w.settle(RAISED_AT)} == {"chat", "mail"}
    tokyo = {"north": ZoneInfo("Asia/Tokyo")}  # there it is 21:00
    w = world(*asked, raised=alert(probability=0.9, ward_id=""), zones=tokyo)
    assert {step.channel for step in w.settle(RAISED_AT)} == {"pager", "radio"}


def test_an_alert_stays_with_those_who_were_on_duty_when_its_level_was_asked():
    w = world(*by_day_and_night(time(12, 5), levels=(0, 1)))
    w.settle(RAISED_AT)
    assert w.plan(minutes(9)) == ()  # the hours changed, and nobody is told twice
    assert told(w.run_until(minutes(15))) == [(10, "pager", 1)]


MIDNIGHT = minutes(12 * 60)


def test_after_an_outage_whoever_is_on_duty_now_is_asked_too_and_nobody_twice():
    w = world(*by_day_and_night(time(19), recipient="ward"), ladder=rungs(1))
    chat, pager = w.plan(MIDNIGHT)
    assert [(send.channel, send.level) for send in (chat, pager)] == [("chat", 0), ("pager", 0)]
    w.carry_out(chat, MIDNIGHT)
    assert w.plan(MIDNIGHT + timedelta(seconds=5)) == (pager,), "also once the others were"
    w.settle(MIDNIGHT + timedelta(seconds=5))
    morning = MIDNIGHT + timedelta(hours=8)
    assert not w.settle(morning), "who was on duty when they were asked keeps it"
    assert has_ended(w.case, 0, w.book, w.routes, morning)


def test_after_an_outage_it_is_overdue_until_both_shifts_are_reached():
    w = world(*by_day_and_night(time(19)), ladder=rungs(1))
    w.down = {"pager"}
    w.run_until(MIDNIGHT + timedelta(hours=9), now=MIDNIGHT)
    assert [(channel, level) for channel, level, _ in w.sent] == [("chat", 0)]
    assert is_overdue(w.case, w.book, w.routes, MIDNIGHT + timedelta(hours=9))
    assert not has_ended(w.case, 0, w.book, w.routes, MIDNIGHT + timedelta(hours=9))
    w.down = set()
    w.run_until(MIDNIGHT + timedelta(hours=10), now=MIDNIGHT + timedelta(hours=9))
    assert ("pager", 0) in w.case.delivered
    assert has_ended(w.case, 0, w.book, w.routes, MIDNIGHT + timedelta(hours=10))


def test_an_outage_that_begins_after_a_quiet_asks_who_is_on_duty_when_it_ends():
    w = world(*by_day_and_night(time(19), levels=(0, 1)), ladder=rungs(2))
    w.down = {"chat"}
    w.settle(RAISED_AT)
    w.book.take_act(mute(CareScope.WARD, "W1", minutes(5), minutes(65)))
    w.down = set()
    steps = w.settle(MIDNIGHT)
    assert {(step.channel, step.level) for step in steps if isinstance(step, Send)} >= {
        ("chat", 0),
        ("pager", 0),
    }


def test_no_outage_no_other_shift_also_when_the_first_is_for_the_inbox_or_was_asked_before_a_quiet():
    day, night = by_day_and_night(time(19))
    w = world(replace(day, channels=()), night, ladder=rungs(1))
    assert not w.settle(RAISED_AT)
    assert not w.settle(MIDNIGHT)
    w = world(day, night, ladder={each: (timedelta(0), timedelta(hours=20)) for each in LADDER})
    w.settle(RAISED_AT)
    w.book.take_act(mute(CareScope.WARD, "W1", minutes(5), minutes(65)))
    assert not w.settle(MIDNIGHT)


def test_a_route_that_is_left_in_peace_is_no_outage():
    first = alert(1, probability=0.97)
    day, night = by_day_and_night(time(19))
    team = replace(TEAM, hours=day.hours)
    told_at = RAISED_AT - timedelta(hours=1)
    earlier = act(first, CareVerb.DELIVERED, told_at, channel="radio", recipient=TEAM.recipient, level=0)
    raised = alert(2, probability=0.97)
    w = world(team, night, raised=raised, others=(first,), acts=[earlier], ladder=rungs(1))
    assert not w.settle(RAISED_AT)
    assert not w.settle(MIDNIGHT)


def test_just_before_a_change_of_shift_the_next_is_not_asked_as_well():
    w = world(*by_day_and_night(time(12, 1)), ladder=rungs(1))
    w.down = {"chat"}
    w.settle(minutes(0.95))
    assert {step.channel for _, step in w.run_until(minutes(5), now=minutes(0.95))} == {"chat"}


def test_two_routes_that_want_one_channel_send_once():
    other = Route(name="other", levels=(0,), recipient="other", channels=("chat",))
    sends = world(NURSE, other).settle(RAISED_AT)
    assert [(send.channel, send.recipient) for send in sends] == [("chat", "ward nurse")]


def test_pages_can_say_when_the_next_are_asked():
    w = world()
    w.settle(RAISED_AT)
    assert next_escalation(w.case, w.book, w.routes, minutes(3)) == minutes(10)
    w.run_until(minutes(20))
    assert next_escalation(w.case, w.book, w.routes, minutes(21)) is None


#: What may happen that answers nothing.
TROUBLES = [
    "wait",
    "fail chat",
    "fail all",
    "refuse chat",
    "mend",
    "crash",
    "outage",
    "long outage",
    "mute",
    "mute ward",
    "lift",
]
WAITS = st.integers(0, 45)

#: Longer than an alert lives.
LONG = timedelta(hours=30)

LADDERS = st.integers(1, 4).map(rungs)

#: Everybody at every level, by the hour: shifts change while stories last.
SHIFTS = by_day_and_night(time(13), levels=(0, 1, 2, 3))
AUDIENCES = st.sampled_from([(NURSE, CHARGE, DOCTOR, CHIEF), SHIFTS])
stories = st.lists(
    st.tuples(st.sampled_from([*TROUBLES, "acknowledge", "reject", "close"]), WAITS), max_size=12
)
stories_without_answer = st.lists(st.tuples(st.sampled_from(TROUBLES), WAITS), max_size=10)


def tell(w: World, story) -> datetime:
    """Live through a story; a service that is killed between a send and its act starts again.

    What begins with an outage begins before anybody was told.
    """
    now, is_up = RAISED_AT, not (story and "outage" in story[0][0])
    for event, wait in story:
        later = now + timedelta(minutes=wait)
        if is_up:
            w.run_until(later, now=now)
        now = later
        is_up = "outage" not in event and (is_up or event in ("crash", "mend"))
        if event == "long outage":
            now += LONG
        happen(w, event, now)
        check(w, now)
    w.down, w.refusing = set(), set()
    return now


def happen(w: World, event: str, now: datetime) -> None:
    ward = (CareScope.WARD, w.raised.ward_id)
    match event:
        case "acknowledge":
            w.act(CareVerb.ACKNOWLEDGED, now)
        case "reject":
            w.act(CareVerb.REJECTED, now)
        case "mute" if w.case.state in OPEN:
            w.act(CareVerb.MUTED, now, expires_at=now + timedelta(minutes=30))
        case "mute ward":
            w.book.take_act(mute(*ward, now, now + timedelta(hours=2)))
        case "lift":
            w.book.take_act(mute(*ward, now, None))
        case "crash":
            for step in w.plan(now)[:2]:
                w.carry_out(step, now, crash_before_act=True)
        case "close":
            w.book.take_alert(closed(w.raised), now)
    w.down = {"fail chat": {"chat"}, "fail all": {"chat", "mail", "pager"}, "mend": set()}.get(event, w.down)
    w.refusing = {"refuse chat": {"chat"}, "mend": set()}.get(event, w.refusing)


def check(w: World, now: datetime) -> None:
    """What holds at any time."""
    deliveries = [(each.channel, each.level) for each in w.case.acts if each.verb is CareVerb.DELIVERED]
    assert len(deliveries) == len(set(deliveries)), "one channel and level, one delivery"
    escalations = [each.level for each in w.case.acts if each.verb is CareVerb.ESCALATED]
    assert escalations == sorted(set(escalations)), "each level once, in order"
    steps = w.plan(now)
    sends = [(step.channel, step.level) for step in steps if isinstance(step, Send)]
    assert len(sends) == len(set(sends))
    assert not set(sends) & set(deliveries), "what was noted is not planned again"
    is_quiet = w.book.mute_of(w.raised, now) is not None or w.case.state is LifeState.MUTED
    assert not (is_quiet and sends), "nothing is sent while it is quiet"
    assert w.case.state in OPEN or not sends, "nothing is sent once somebody answered"
    assert w.plan(now) == steps


@given(stories, LADDERS, AUDIENCES)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_nothing_is_told_twice_nor_against_the_table(story, ladder, asked):
    w = world(*asked, ladder=ladder)
    now = tell(w, story)
    w.run_until(now + timedelta(days=5), now=now)
    check(w, now + timedelta(days=5))
    assert w.case.state not in OPEN | {LifeState.MUTED}


@given(stories_without_answer, LADDERS, AUDIENCES)
@settings(max_examples=300, deadline=None)
def test_an_alert_that_nobody_answers_reaches_the_last_of_the_ladder_whatever_failed_on_the_way(
    story, ladder, asked
):
    w = world(*asked, ladder=ladder)
    now = tell(w, story)
    w.run_until(now + timedelta(days=5), now=now)
    check(w, now + timedelta(days=5))
    last = len(w.routes.ladder_of(w.raised)) - 1
    assert w.case.level >= last
    assert any(level >= last for _, level in {**w.case.delivered, **w.case.failures}), "somebody was asked"
    if not {"fail all", "long outage"} <= {event for event, _ in story}:
        assert any(level >= last for _, level in w.case.delivered)
    assert w.case.state is LifeState.EXPIRED


@given(stories, LADDERS, AUDIENCES)
@settings(max_examples=100, deadline=None)
def test_a_service_started_anew_plans_the_same_from_the_records_alone(story, ladder, asked):
    w = world(*asked, ladder=ladder)
    now = tell(w, story)
    again = CaseBook()
    for records in w.book._mutes._acts.values():
        for one in records.values():
            again.take_act(one)
    for one in reversed(w.case.acts):
        again.take_act(one)
    again.take_alert(w.raised, RAISED_AT)
    if w.case.closed is not None:
        again.take_alert(w.case.closed, w.case.closed_at)
    case = again.cases[w.raised.alert_id]
    assert plan(case, again, w.routes, now) == w.plan(now)
    assert next_due(case, again, w.routes, now) == next_due(w.case, w.book, w.routes, now)
