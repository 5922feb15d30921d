"""Delivery as it goes on: stopped dead at every step, with slow, failing and broken channels, and shared."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from deliver_in_memory import CODEC, MINUTE, World, routes_of, running, settled, until
from notices import PATIENT, alert_of, closed_of
from prometheus_client import generate_latest

from schemas.alert import Priority, TechnicalAlarm
from schemas.audit import CareAction, CareVerb
from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError
from streams.deliver.lanes import AT_ONCE
from streams.deliver.life import LifeState
from streams.deliver.routing import Hours, Route
from streams.deliver.service import DeliverFaultError
from streams.topology import CARE_AUDIT, ECG_ALERT


async def climbed_and_answered(world: World, alert_id: str, n_processes: int = 1) -> None:
    """Deliver, escalate and answer an alert, with a new process wherever one stopped dead."""
    routes = routes_of("pager")
    step = 0
    for _ in range(n_processes + 1):
        async with running(world, routes) as process:
            while step < 4 and not process.is_dead:
                if step == 0:
                    await until(lambda: process.is_dead or len(world.acts(CareVerb.DELIVERED)) >= 1)
                elif step == 1 and not world.acts(CareVerb.ESCALATED):
                    world.pass_time(11 * MINUTE)
                elif step == 2:
                    await until(lambda: process.is_dead or len(world.acts(CareVerb.DELIVERED)) >= 2)
                elif step == 3:
                    world.act(alert_id)
                step += not process.is_dead
            if process.is_dead:
                continue
            world.pass_time(60 * MINUTE)
            await settled()
            assert process.book.book.cases[alert_id].state is LifeState.ACKNOWLEDGED
            return


async def test_stopped_dead_at_any_step_nothing_is_lost_and_repeats_have_their_key() -> None:
    for stop_at in count(1):
        world = World(stop_dead_at=stop_at)
        alert_id = world.raise_alert()
        await climbed_and_answered(world, alert_id)
        assert {act.level for act in world.acts(CareVerb.DELIVERED)} == {0, 1}
        for verb in (CareVerb.DELIVERED, CareVerb.ESCALATED):
            ids = [act.action_id for act in world.acts(verb)]
            assert len(set(ids)) == len(ids) == {"DELIVERED": 2, "ESCALATED": 1}[verb], stop_at
        told = Counter(world.taken)
        assert set(told) == {("pager", f"{alert_id}:pager:0"), ("senior", f"{alert_id}:senior:1")}
        assert sum(told.values()) <= 3, "one crash repeats one notice at most"
        if world.steps < stop_at:
            break
    assert stop_at > 10, "each effect was a place to stop dead at"


async def test_an_answer_stops_the_ladder_and_what_still_waits() -> None:
    world = World(held={"pager": asyncio.Event()})
    async with running(world, routes_of("pager")):
        alerts = [world.raise_alert(n) for n in range(AT_ONCE + 2)]
        await until(lambda: world.at_once["pager"] == AT_ONCE)
        for alert_id in alerts:
            world.act(alert_id)
        world.held["pager"].set()
        await until(lambda: len(world.taken) == AT_ONCE)
        world.pass_time(60 * MINUTE)
        await settled()
    assert len(world.taken) == AT_ONCE, "who had answered while a notice waited is not paged"
    assert not world.acts(CareVerb.ESCALATED)


async def test_a_slow_channel_holds_up_nobody_else_and_is_given_a_few_at_a_time() -> None:
    world = World(held={"slow": asyncio.Event()})
    async with running(world, routes_of("slow", "quick")):
        for n in range(3 * AT_ONCE):
            world.raise_alert(n)
        await until(lambda: len(world.keys("quick")) == 3 * AT_ONCE)
        assert world.keys("slow") == []
        world.held["slow"].set()
        await until(lambda: len(world.keys("slow")) == 3 * AT_ONCE)
    assert world.most_at_once["slow"] == AT_ONCE


async def test_the_most_severe_goes_first() -> None:
    world = World(held={"pager": asyncio.Event()})
    async with running(world, routes_of("pager")):
        for n in range(2 * AT_ONCE):
            world.raise_alert(n)
        await until(lambda: world.at_once["pager"] == AT_ONCE)
        severe = world.raise_alert(99, probability=0.95, probability_low=None, probability_high=None)
        await settled()
        world.held["pager"].set()
        await until(lambda: len(world.taken) == 2 * AT_ONCE + 1)
    assert f"{severe}:pager:0" in world.keys("pager")[AT_ONCE : AT_ONCE + 1]


async def test_a_failing_channel_is_tried_again_then_the_second_and_reaching_nobody_is_an_alarm() -> None:
    world = World(
        answers={
            "pager": lambda notice: ChannelRetryError("down"),
            "mail": lambda notice: ChannelRefusedError("no"),
        }
    )
    async with running(world, routes_of("pager", second=("mail",))) as process:
        alert_id = world.raise_alert()
        for n_failed in (1, 2):
            await until(lambda n=n_failed: len(failures(world, "pager")) == n)
            world.pass_time(timedelta(seconds=20))
        await until(lambda: bool(failures(world, "mail")))
        world.pass_time(MINUTE)
        await until(lambda: len(process.book.alarms) == 1)
        (alarm,) = process.book.alarms
        assert "P1" not in f"{alarm.source}{alarm.message}{alarm.action_text}"
        world.answers.clear()
        world.pass_time(2 * MINUTE)
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        await settled()
        world.pass_time(MINUTE)
        await until(lambda: not process.book.alarms)
    assert failures(world, "mail")[0].reason.startswith("refused")
    alarms = [each for each in alarms_of(world) if each.alarm_id == alarm.alarm_id]
    assert [each.ended_at is None for each in alarms] == [True, False], "raised once, ended once"
    assert alert_id in alarm.source


async def test_the_alarm_stays_when_the_alert_expires_and_ends_when_somebody_answers() -> None:
    world = World(answers=dict.fromkeys(("pager", "senior"), lambda notice: ChannelRetryError("down")))
    async with running(world, routes_of("pager")) as process:
        alert_id = world.raise_alert()
        await until(lambda: bool(failures(world, "pager")))
        world.pass_time(MINUTE)
        await until(lambda: len(process.book.alarms) == 1)
        world.pass_time(10 * MINUTE)
        await until(lambda: bool(failures(world, "senior")))
        world.pass_time(timedelta(hours=25))
        await until(lambda: bool(world.acts(CareVerb.EXPIRED)))
        world.pass_time(MINUTE)
        await settled()
        assert process.book.alarms, "nobody was reached, and nobody answered"
        world.act(alert_id)
        world.pass_time(MINUTE)
        await until(lambda: not process.book.alarms)


async def test_undelivered_again_after_a_mute_is_an_alarm_again_and_of_two_that_say_so_one() -> None:
    world = World(answers={"pager": lambda notice: ChannelRetryError("down")})
    routes = routes_of("pager", ladder=dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0),)))
    async with running(world, routes) as one, running(world, routes) as two:
        alert_id = world.raise_alert()
        await until(lambda: bool(failures(world, "pager")))
        world.pass_time(MINUTE)
        await until(lambda: len(one.book.alarms) == len(two.book.alarms) == 1)
        world.act(alert_id, CareVerb.MUTED, expires_at=world.clock.at + 30 * MINUTE)
        world.pass_time(MINUTE)
        await until(lambda: not one.book.alarms and not two.book.alarms)
        world.pass_time(30 * MINUTE)
        await until(lambda: bool(world.acts(CareVerb.UNMUTED)))
        await settled()
        assert not one.book.alarms, "there is time to deliver it first"
        world.pass_time(MINUTE)
        await until(lambda: len(one.book.alarms) == len(two.book.alarms) == 1)
        await settled()
    told = Counter((alarm.alarm_id, alarm.ended_at is None) for alarm in alarms_of(world))
    assert len({alarm_id for alarm_id, _ in told}) == 2
    async with running(world, routes) as again:
        world.pass_time(MINUTE)
        await settled()
        assert len(again.book.alarms) == 1
    assert len({alarm.alarm_id for alarm in alarms_of(world)}) == 2, "read again it is the same alarm"


async def test_an_alarm_that_stayed_through_a_quiet_is_not_joined_by_another_of_the_same() -> None:
    world = World(answers={"pager": lambda notice: ChannelRetryError("down")})
    routes = routes_of("pager", ladder=dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0),)))
    async with running(world, routes) as process:
        alert_id = world.raise_alert()
        await until(lambda: bool(failures(world, "pager")))
        world.pass_time(MINUTE)
        await until(lambda: len(process.book.alarms) == 1)
        (ward,) = {process.book.book.cases[alert_id].alert.ward_id}
        world.mute_ward(ward, world.clock.at + 30 * MINUTE)
        for _ in range(3):
            world.pass_time(20 * MINUTE)
            await settled()
        assert len(process.book.alarms) == 1
        world.answers.clear()
        world.pass_time(10 * MINUTE)
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.pass_time(MINUTE)
        await until(lambda: not process.book.alarms)


async def test_the_shift_that_comes_after_a_quiet_is_alarmed_about_like_the_one_before() -> None:
    world = World(answers=dict.fromkeys(("day", "night"), lambda notice: ChannelRetryError("down")))
    noon = world.clock.at.time()
    change = noon.replace(hour=noon.hour + 1)
    shifts = (
        Route(
            name="day", levels=(0,), recipient="d", channels=("day",), hours=Hours(since=noon, until=change)
        ),
        Route(
            name="night",
            levels=(0,),
            recipient="n",
            channels=("night",),
            hours=Hours(since=change, until=noon),
        ),
    )
    ladder = dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0),))
    async with running(world, routes_of("day", "night", routes=shifts, ladder=ladder)) as process:
        alert_id = world.raise_alert()
        await until(lambda: bool(failures(world, "day")))
        world.pass_time(MINUTE)
        await until(lambda: len(process.book.alarms) == 1)
        del world.answers["day"]
        world.pass_time(MINUTE)
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.pass_time(MINUTE)
        await until(lambda: not process.book.alarms)
        world.mute_ward(process.book.book.cases[alert_id].alert.ward_id, world.clock.at + 90 * MINUTE)
        world.pass_time(90 * MINUTE)
        await until(lambda: bool(failures(world, "night")))
        assert not process.book.alarms
        world.pass_time(MINUTE)
        await until(lambda: len(process.book.alarms) == 1)


def failures(world: World, channel: str) -> list[CareAction]:
    return [act for act in world.acts(CareVerb.DELIVERY_FAILED) if act.channel == channel]


def alarms_of(world: World) -> list[TechnicalAlarm]:
    records = [CODEC.decode(message.value) for topic, message in world.log if topic == ECG_ALERT]
    return [record for record in records if isinstance(record, TechnicalAlarm)]


async def test_a_channel_that_breaks_costs_its_attempt_and_says_nothing_of_the_patient() -> None:
    world = World(answers={"pager": lambda notice: ZeroDivisionError(f"of {PATIENT}")})
    async with running(world, routes_of("pager")):
        world.raise_alert(patient_id=PATIENT)
        await until(lambda: bool(failures(world, "pager")))
        world.answers.clear()
        world.pass_time(MINUTE)
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
    (failed,) = failures(world, "pager")
    assert "ZeroDivisionError" in failed.reason
    assert PATIENT not in failed.reason


async def test_while_kafka_is_away_what_was_sent_is_not_sent_again_and_is_noted_once() -> None:
    world = World(held={"pager": asyncio.Event()})
    async with running(world, routes_of("pager")) as process:
        world.raise_alert()
        await until(lambda: world.at_once["pager"] == 1)
        world.is_away = True
        world.held["pager"].set()
        await until(lambda: len(world.taken) == 1)
        await settled()
        world.clock.at += MINUTE
        await settled()
        assert process.deliverer.health().in_flight == 1
        world.is_away = False
        await asyncio.wait_for(first_act(world), 10)
    assert len(world.taken) == 1
    assert len(world.acts(CareVerb.DELIVERED)) == 1


async def first_act(world: World) -> None:
    changes = world.processes[0].book.changes()
    while not world.acts(CareVerb.DELIVERED):
        await changes.all()


async def test_what_lets_go_ends_what_is_under_way_and_the_next_owner_does_not_repeat_it() -> None:
    world = World(held={"pager": asyncio.Event()})
    async with running(world, routes_of("pager")) as one:
        world.raise_alert()
        await until(lambda: world.at_once["pager"] == 1)
        going = asyncio.create_task(one.deliverer.own(frozenset()))
        await settled()
        assert not going.done()
        world.held["pager"].set()
        await going
        async with running(world, routes_of("pager")):
            world.raise_alert(2)
            await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
            await settled()
    assert sorted(Counter(world.taken).values()) == [1, 1]


async def test_nothing_is_done_before_it_is_known_what_the_owner_before_did() -> None:
    world = World()
    world.raise_alert()
    async with running(world, routes_of("pager")):
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
    async with running(world, routes_of("pager")) as process:
        await process.deliverer.own(frozenset())
        world.is_away = True
        world.raise_alert(2)
        owning = asyncio.create_task(process.deliverer.own(frozenset({0})))
        await settled()
        assert not owning.done()
        world.is_away = False
        await owning
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
    assert sorted(Counter(world.taken).values()) == [1, 1]


async def test_partitions_of_others_are_left_alone() -> None:
    world = World()
    async with running(world, routes_of("pager")) as process:
        await process.deliverer.own(frozenset({1, 2}))
        world.raise_alert()
        world.pass_time(60 * MINUTE)
        await settled()
    assert world.taken == []
    assert not world.acts(CareVerb.ESCALATED)


async def test_the_end_of_an_alert_is_told_once_to_whom_it_was_told() -> None:
    world = World()
    async with running(world, routes_of("pager")) as process:
        alert_id = world.raise_alert()
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.write(ECG_ALERT, closed_of(process.book.book.cases[alert_id].alert))
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
    async with running(world, routes_of("pager")):
        world.pass_time(60 * MINUTE)
        await settled()
    assert world.ends == [("pager", f"{alert_id}:pager:0")]
    assert len(world.taken) == 1


@pytest.mark.parametrize("verb", [CareVerb.ACCEPTED, CareVerb.REJECTED])
async def test_the_end_is_told_once_when_it_is_judged_not_when_somebody_looks_after_it(
    verb: CareVerb,
) -> None:
    world = World()
    async with running(world, routes_of("pager")) as process:
        alert_id = world.raise_alert()
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.act(alert_id)
        world.pass_time(MINUTE)
        await settled()
        assert world.ends == []
        world.act(alert_id, verb)
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
        world.write(ECG_ALERT, closed_of(process.book.book.cases[alert_id].alert))
        world.pass_time(MINUTE)
        await settled()
    assert world.ends == [("pager", f"{alert_id}:pager:0")]


async def test_the_end_is_told_when_an_alert_expires_that_nobody_answered() -> None:
    world = World()
    async with running(world, routes_of("pager")):
        alert_id = world.raise_alert()
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.pass_time(10 * MINUTE)
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
        world.pass_time(timedelta(hours=24))
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 4)
        assert world.acts(CareVerb.EXPIRED)
        world.act(alert_id, CareVerb.ACKNOWLEDGED)
        world.act(alert_id, CareVerb.ACCEPTED)
        world.pass_time(MINUTE)
        await settled()
    assert sorted(world.ends) == [("pager", f"{alert_id}:pager:0"), ("senior", f"{alert_id}:senior:1")]


async def test_the_end_is_told_to_who_may_have_taken_the_notice_and_not_to_who_refused_it() -> None:
    failures = {"pager": ChannelRetryError("no answer in time"), "mail": ChannelRefusedError("no")}
    world = World(answers={name: lambda notice, why=why: why for name, why in failures.items()})
    async with running(world, routes_of("pager", "mail")) as process:
        alert_id = world.raise_alert()
        await until(lambda: len(world.acts(CareVerb.DELIVERY_FAILED)) == 2)
        world.write(ECG_ALERT, closed_of(process.book.book.cases[alert_id].alert))
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.pass_time(60 * MINUTE)
        await settled()
    assert world.ends == [("pager", f"{alert_id}:pager:0")]
    assert not world.taken


async def test_two_that_both_think_an_alert_is_theirs_tell_it_under_one_key_and_count_once() -> None:
    world = World(held={"pager": asyncio.Event()})
    async with running(world, routes_of("pager")) as one, running(world, routes_of("pager")) as two:
        alert_id = world.raise_alert()
        await until(lambda: world.at_once["pager"] == 2)
        world.held["pager"].set()
        await until(lambda: len(world.taken) == 2)
        world.pass_time(11 * MINUTE)
        await until(lambda: bool(world.keys("senior")))
        await settled()
        world.act(alert_id)
        cases = [process.book.book.cases[alert_id] for process in (one, two)]
    assert set(world.taken) == {("pager", f"{alert_id}:pager:0"), ("senior", f"{alert_id}:senior:1")}
    assert len({act.action_id for act in world.acts(CareVerb.ESCALATED)}) == 1
    for case in cases:
        assert Counter(act.verb for act in case.acts) == {
            CareVerb.DELIVERED: 2,
            CareVerb.ESCALATED: 1,
            CareVerb.ACKNOWLEDGED: 1,
        }
    assert cases[0].acts == cases[1].acts


async def test_a_channel_that_was_told_at_every_level_is_told_one_end() -> None:
    world = World()
    route = Route(name="ward", levels=(0, 1, 2), recipient="ward doctor", channels=("pager",))
    ladder = dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0), 10 * MINUTE, 20 * MINUTE))
    routes = routes_of("pager", routes=(route,), ladder=ladder)
    async with running(world, routes) as process:
        alert_id = world.raise_alert()
        for n_told in (1, 2, 3):
            await until(lambda n=n_told: len(world.keys("pager")) == n)
            await until(lambda n=n_told: len(world.acts(CareVerb.DELIVERED)) == n)
            if n_told < 3:
                world.pass_time(10 * MINUTE)
        world.write(ECG_ALERT, closed_of(process.book.book.cases[alert_id].alert))
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 4)
        world.pass_time(60 * MINUTE)
        await settled()
    assert world.ends == [("pager", f"{alert_id}:pager:2")]


async def test_metrics_count_and_name_no_patient() -> None:
    world = World()
    async with running(world, routes_of("pager")) as process:
        alert_id = world.raise_alert(patient_id=PATIENT)
        await until(lambda: bool(world.acts(CareVerb.DELIVERED)))
        world.pass_time(11 * MINUTE)
        await until(lambda: len(world.acts(CareVerb.DELIVERED)) == 2)
        world.act(alert_id)
        world.pass_time(MINUTE)
        await settled()
        told = generate_latest(process.metrics.registry).decode()
    assert 'diastole_deliver_attempts_total{channel="pager",outcome="sent"} 1.0' in told
    assert 'diastole_deliver_escalations_total{level="1"} 1.0' in told
    assert "diastole_deliver_answer_seconds_count 1.0" in told
    assert 'diastole_deliver_alerts{state="ACKNOWLEDGED"} 1.0' in told
    assert 'diastole_deliver_seconds_count{channel="pager"} 1.0' in told
    for secret in (PATIENT, alert_id):
        assert secret not in told


async def test_what_cannot_be_read_is_counted_and_an_alarm_of_its_own_until_it_can() -> None:
    world = World()
    for topic, timestamp in ((ECG_ALERT, 2**61), (CARE_AUDIT, world.clock.at.timestamp() * 1000)):
        spoilt = SimpleNamespace(value=PATIENT.encode(), headers=(), offset=len(world.log), partition=0)
        spoilt.timestamp = timestamp
        world.log.append((topic, spoilt))
    async with running(world, routes_of("pager")) as one, running(world, routes_of("pager")) as other:
        world.pass_time(MINUTE)
        await until(lambda: len(one.book.alarms) == len(other.book.alarms) == 2)
        await settled()
        alarms = one.book.alarms
        told = generate_latest(one.metrics.registry).decode()
    assert {alarm.source for alarm in alarms} == {"book:ecg.alert.v1:0:0", "book:care.audit.v1:0:1"}
    assert {alarm.alarm_id for alarm in alarms} == {alarm.alarm_id for alarm in other.book.alarms}
    assert not any(PATIENT in f"{alarm.message}{alarm.action_text}" for alarm in alarms)
    for topic in (ECG_ALERT, CARE_AUDIT):
        assert f'diastole_deliver_unreadable_total{{topic="{topic}"}} 1.0' in told
    world.log[0][1].value = CODEC.encode(alert_of())
    async with running(world, routes_of("pager")) as newer:
        world.pass_time(MINUTE)
        await until(lambda: [alarm.source for alarm in newer.book.alarms] == ["book:care.audit.v1:0:1"])
        world.pass_time(timedelta(days=91))
        newer.book.forget()
        world.pass_time(MINUTE)
        await until(lambda: not newer.book.alarms)


async def test_a_fault_nobody_foresaw_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    async with running(world, routes_of("pager")) as process:

        async def broken(*arguments: object) -> None:
            raise ZeroDivisionError(PATIENT)

        monkeypatch.setattr(process.book, "append", broken)
        delivering = asyncio.create_task(process.deliverer.run())
        world.raise_alert()
        with pytest.raises(DeliverFaultError, match="ZeroDivisionError") as fault:
            await asyncio.wait_for(delivering, 10)
        assert PATIENT not in str(fault.value)
