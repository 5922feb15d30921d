"""When a stage is said to stand still, by what was seen of it: the clock and every look are given by hand."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.codec import Codec
from schemas.errors import ConfigurationError
from schemas.registry import FileRegistry
from streams.watch.asking import Address, Answer, parsed_addresses
from streams.watch.condition import NEXT, Condition, Finding, Sight, State, after
from streams.watch.judging import ASK_EVERY_S, LOOK_EVERY_S, Bounds
from streams.watch.ledger import AlarmLedger
from streams.watch.offsets import GroupLook, Offsets, moved
from streams.watch.watch_metrics import WatchMetrics
from streams.watch.watcher import Watcher

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WELL, SILENT, ABSENT = Answer(is_ready=True), Answer(is_silent=True), Answer(is_absent=True)
ADDRESS = Address(name="infer-1", host="127.0.0.1", port=9464)
STALLED, BEHIND = AlarmKind.STAGE_STALLED, AlarmKind.STAGE_BEHIND

#: What the operator is promised from SIGSTOP to the alarm, s.
PROMISED_S = 15.0


class Topic:
    """``ecg.alert.v1``, read by every watch that writes to it."""

    def __init__(self) -> None:
        self.records: list[TechnicalAlarm] = []
        self.ledgers: list[AlarmLedger] = []

    def write(self, alarm: TechnicalAlarm) -> None:
        self.records.append(alarm)
        for ledger in self.ledgers:
            ledger.take(alarm)

    @property
    def told(self) -> list[tuple[str, str, bool]]:
        return [(alarm.kind.value, alarm.source, alarm.ended_at is not None) for alarm in self.records]


class Scene:
    """One watch of one stage, whose time passes as it looks."""

    def __init__(self, topic: Topic | None = None) -> None:
        self.topic = topic or Topic()
        self.now = NOON
        self.watcher = Watcher(["infer"], Bounds(), AlarmLedger(Codec(FileRegistry())), WatchMetrics())
        self.watcher.held_up_by = None
        for alarm in self.topic.records:
            self.watcher.ledger.take(alarm)
        self.topic.ledgers.append(self.watcher.ledger)

    def look(self, committed: int, end: int, **seen: object) -> None:
        offsets = {0: Offsets(committed=committed, end=end)}
        given = GroupLook(offsets=offsets, n_members=1)
        self.look_at(replace(given, **seen))  # type: ignore[arg-type]

    def look_at(self, look: GroupLook) -> None:
        self.watcher.looked({"infer": look}, self.now)
        self._tell(LOOK_EVERY_S)

    def blind(self) -> None:
        self.watcher.blind("BROKER_UNREACHABLE", self.now)
        self._tell(LOOK_EVERY_S)

    def ask(self, *answers: Answer) -> None:
        self.watcher.asked(ADDRESS, answers, self.now)
        self._tell(ASK_EVERY_S)

    def is_told(self) -> bool:
        """Whether there is an alarm; after five minutes there has to be one."""
        assert self.now - NOON < timedelta(minutes=5), "no alarm"
        return bool(self.topic.records)

    def _tell(self, pause_s: float) -> None:
        for alarm in self.watcher.due(self.now):
            self.topic.write(alarm)
        self.now += timedelta(seconds=pause_s)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_pair_of_state_and_sight_has_its_row() -> None:
    assert set(NEXT) == set(product(State, Sight))


def test_nothing_seen_neither_raises_nor_takes_back() -> None:
    assert {NEXT[state, Sight.UNKNOWN] for state in (State.WELL, State.SUSPECT)} == {State.WELL}
    assert NEXT[State.ALARMED, Sight.UNKNOWN] is State.ALARMED


@given(
    sights=st.lists(st.sampled_from([True, False, None]), max_size=30),
    bound_s=st.floats(min_value=0.1, max_value=60),
)
def test_an_alarm_always_follows_an_illness_of_its_bound(sights: list[bool | None], bound_s: float) -> None:
    condition, ill_for_s = Condition(), 0.0
    for place, is_ill in enumerate(sights):
        ill_for_s = (ill_for_s + LOOK_EVERY_S) if is_ill else 0.0
        before = condition
        finding = Finding(kind=STALLED, source="infer", is_ill=is_ill, cause="still", bound_s=bound_s)
        condition = after(condition, finding, NOON + timedelta(seconds=place * LOOK_EVERY_S))
        if condition.state is State.ALARMED and before.state is not State.ALARMED:
            assert is_ill
            assert ill_for_s - LOOK_EVERY_S >= bound_s
        if is_ill is False:
            assert condition.state is State.WELL


def test_a_stage_that_works_off_what_comes_is_well_however_long(scene: Scene) -> None:
    for number in range(500):
        scene.look(committed=number, end=number + 40)
    assert not scene.topic.records
    assert scene.watcher.health().ready


def test_a_stage_without_anything_to_do_is_well_however_long(scene: Scene) -> None:
    for _ in range(500):
        scene.look(committed=7, end=7)
    assert not scene.topic.records


def test_a_stage_that_stands_still_is_told_of_within_what_is_promised_and_so_is_its_end(scene: Scene) -> None:
    scene.look(committed=7, end=7)
    came_at = scene.now - timedelta(seconds=LOOK_EVERY_S - 0.1)
    while not scene.is_told():
        scene.look(committed=7, end=9)
    told_at = scene.now - timedelta(seconds=LOOK_EVERY_S)
    assert told_at - came_at <= timedelta(seconds=PROMISED_S - LOOK_EVERY_S)
    (alarm,) = scene.topic.records
    assert alarm.message == "The stage infer finishes nothing: 2 records wait."
    assert "/readyz" in alarm.action_text
    assert alarm.priority is Priority.HIGH
    health = scene.watcher.health()
    assert not health.ready
    assert health.ill == (alarm.message,)
    for _ in range(50):
        scene.look(committed=7, end=30)
    assert len(scene.topic.records) == 1
    scene.look(committed=8, end=30)
    raised, ended = scene.topic.records
    assert (ended.alarm_id, ended.ended_at is not None) == (raised.alarm_id, True)
    assert scene.watcher.health().ready


def test_a_second_standstill_is_another_alarm(scene: Scene) -> None:
    for committed in (7, 8):
        for _ in range(9):
            scene.look(committed=committed, end=30)
    scene.look(committed=9, end=30)
    assert [ended for *_, ended in scene.topic.told] == [False, True, False, True]
    assert len({alarm.alarm_id for alarm in scene.topic.records}) == 2


def test_one_partition_that_stands_still_is_told_of_later_than_all(scene: Scene) -> None:
    looks = 0
    while not scene.is_told():
        offsets = {0: Offsets(committed=looks, end=900), 1: Offsets(committed=3, end=4)}
        scene.look_at(GroupLook(offsets=offsets, n_members=2))
        looks += 1
    (alarm,) = scene.topic.records
    assert alarm.message == "The stage infer finishes nothing of 1 of its 2 partitions."
    assert 30 <= (looks - 1) * LOOK_EVERY_S <= 34


@pytest.mark.parametrize(("n_members", "is_settled"), [(0, False), (1, False)])
def test_a_stage_that_is_being_started_has_a_minute(n_members: int, is_settled: bool) -> None:
    scene, looks = Scene(), 0
    while not scene.is_told():
        scene.look(committed=7, end=9, n_members=n_members, is_settled=is_settled)
        looks += 1
    assert 60 <= (looks - 1) * LOOK_EVERY_S <= 64


def test_a_stage_without_a_worker_is_told_of_even_if_nothing_waits(scene: Scene) -> None:
    for _ in range(40):
        scene.look(committed=7, end=7, n_members=0, is_settled=False)
    (alarm,) = scene.topic.records
    assert alarm.message == "The stage infer has no worker: what comes will wait."
    assert alarm.action_text == "Start one: diastole worker infer."


def test_an_outage_of_kafka_raises_nothing_of_stages_and_says_that_it_sees_nothing(scene: Scene) -> None:
    for _ in range(4):
        scene.look(committed=7, end=9)
    for _ in range(60):
        scene.blind()
    assert not scene.topic.records
    assert scene.watcher.health().held_up_by == "BROKER_UNREACHABLE"
    for _ in range(4):
        scene.look(committed=7, end=9)
    assert not scene.topic.records


def test_a_watch_that_stood_still_itself_accuses_nobody(scene: Scene) -> None:
    scene.look(committed=7, end=9)
    scene.now += timedelta(seconds=300)
    scene.look(committed=7, end=9)
    assert not scene.topic.records


def test_a_stage_is_behind_until_the_wait_is_half_of_the_bound(scene: Scene) -> None:
    for number, wait_s in enumerate((50, 61, 62, 63, 40, 31, 29, 0)):
        scene.look(committed=number, end=900, wait_s=float(wait_s))
    raised, ended = scene.topic.records
    assert raised.kind is BEHIND
    assert raised.message == "The stage infer is behind: its oldest unread record has waited 62 s."
    assert ended.ended_at == NOON + timedelta(seconds=6 * LOOK_EVERY_S)


def test_one_late_record_is_not_behind(scene: Scene) -> None:
    for number, wait_s in enumerate((0, 900, 0, 0)):
        scene.look(committed=number, end=900, wait_s=float(wait_s))
    assert not scene.topic.records


def test_what_stands_still_is_told_of_once_not_as_behind_too(scene: Scene) -> None:
    for n_looks in range(60):
        scene.look(committed=7, end=9, wait_s=n_looks * LOOK_EVERY_S)
    assert scene.topic.told == [("STAGE_STALLED", "infer", False)]


def test_an_address_that_twice_does_not_answer_is_told_of_within_what_is_promised(scene: Scene) -> None:
    scene.ask(WELL)
    stopped_at = scene.now - timedelta(seconds=ASK_EVERY_S)
    scene.ask(SILENT)
    assert not scene.topic.records
    scene.ask(SILENT)
    (alarm,) = scene.topic.records
    # An answer that does not come is waited for, for as long as there is between two questions.
    assert scene.now - stopped_at <= timedelta(seconds=PROMISED_S - ASK_EVERY_S)
    assert alarm.source == "worker:infer-1"
    assert alarm.message == "The process infer-1 does not answer: it is stopped or hangs."
    scene.ask(WELL)
    assert [ended for *_, ended in scene.topic.told] == [False, True]


def test_a_single_late_answer_is_none(scene: Scene) -> None:
    for _ in range(20):
        scene.ask(SILENT)
        scene.ask(WELL)
    assert not scene.topic.records


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([], "is not there"),
        ([ABSENT], "is not there"),
        ([WELL, ABSENT], r"is not there \(2 processes answer to that name\)"),
        ([Answer(why="waits for Redis")], "is not ready: waits for Redis"),
    ],
)
def test_a_process_that_starts_has_a_minute(answers: list[Answer], said: str) -> None:
    scene, n_asked = Scene(), 0
    while not scene.is_told():
        scene.ask(*answers)
        n_asked += 1
    assert 60 <= (n_asked - 1) * ASK_EVERY_S <= 66
    assert not scene.watcher.health().ready
    assert re.search(said, scene.topic.records[0].message)


def test_a_process_that_starts_and_then_hangs_is_given_its_own_time_for_each(scene: Scene) -> None:
    for _ in range(15):
        scene.ask(ABSENT)
    scene.ask(SILENT)
    assert not scene.topic.records


def test_a_process_that_is_only_behind_is_the_stages_matter(scene: Scene) -> None:
    for _ in range(40):
        scene.ask(Answer(is_behind=True, why="records wait"))
    assert not scene.topic.records


def test_a_process_that_says_it_is_stalled_is_believed(scene: Scene) -> None:
    scene.ask(Answer(is_stalled=True))
    scene.ask(Answer(is_stalled=True))
    assert scene.topic.records[0].message == "The process infer-1 has work and finishes none."


def test_two_watches_raise_one_alarm_whatever_they_know_of_each_other() -> None:
    topic = Topic()
    one, other = Scene(topic), Scene(topic)
    other.now += timedelta(seconds=1.3)
    deaf = Scene()
    for _ in range(4):
        for watch in (one, other, deaf):
            watch.ask(SILENT)
    assert topic.told == [("STAGE_STALLED", "worker:infer-1", False)]
    assert deaf.topic.records[0].alarm_id == topic.records[0].alarm_id
    for watch in (one, other, one, other, one, other):
        watch.ask(WELL)
    assert [ended for *_, ended in topic.told] == [False, True]


def test_a_watch_that_saw_it_well_before_another_raised_the_alarm_does_not_end_it() -> None:
    topic = Topic()
    one, other = Scene(topic), Scene(topic)
    other.ask(WELL)
    one.ask(SILENT)
    one.ask(SILENT)
    assert not other.watcher.due(other.now)
    other.ask(SILENT)
    assert [ended for *_, ended in topic.told] == [False]


def test_an_end_by_another_watch_is_not_answered_by_a_new_alarm() -> None:
    topic = Topic()
    one, other = Scene(topic), Scene(topic)
    for _ in range(3):
        one.ask(SILENT)
        other.ask(SILENT)
    other.ask(WELL)
    assert not one.watcher.due(one.now)
    one.ask(WELL)
    assert [ended for *_, ended in topic.told] == [False, True]


def test_a_watch_started_anew_ends_what_the_one_before_raised_and_raises_nothing_twice() -> None:
    topic = Topic()
    before = Scene(topic)
    for _ in range(3):
        before.ask(SILENT)
    still_ill = Scene(topic)
    for _ in range(5):
        still_ill.ask(SILENT)
    assert [ended for *_, ended in topic.told] == [False]
    Scene(topic).ask(WELL)
    assert [ended for *_, ended in topic.told] == [False, True]


def test_the_ledger_comes_to_the_same_in_any_order_and_however_often() -> None:
    scene = Scene()
    for _ in range(2):
        for answer in (SILENT, SILENT, SILENT, WELL):
            scene.ask(answer)
    first_raised, first_ended, raised, ended = scene.topic.records

    def outcome(records: Iterator[TechnicalAlarm]) -> tuple[object, ...]:
        ledger = AlarmLedger(Codec(FileRegistry()))
        for record in records:
            ledger.take(record)
        return ledger.open

    assert outcome(iter(scene.topic.records)) == ()
    assert outcome(iter([ended, first_ended, raised, first_raised])) == ()
    assert outcome(iter([raised, raised, first_raised, first_ended])) == (raised,)


def test_alarms_of_other_kinds_are_none_of_its_business(scene: Scene) -> None:
    alarm = replace(_some_alarm(), kind=AlarmKind.FEED_SILENT, source="worker:infer-1")
    scene.watcher.ledger.take(alarm)
    scene.ask(WELL)
    assert not scene.topic.records


def _some_alarm() -> TechnicalAlarm:
    scene = Scene()
    for _ in range(2):
        scene.ask(SILENT)
    return scene.topic.records[0]


@pytest.mark.parametrize(
    "text", ["infer", "infer:", "infer:0", "infer:65536", "a=b=c:1", "http://a:1", "a:1 b:2"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DIASTOLE_WATCH_WORKERS: must be"):
        parsed_addresses(text)


def test_two_addresses_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="a name of its own"):
        parsed_addresses("a=b:1,a=c:1")


def test_no_address_is_none() -> None:
    assert parsed_addresses(" , ") == ()


def test_the_first_look_says_nothing_of_movement() -> None:
    movement = moved(None, {0: Offsets(committed=0, end=10)}, NOON)
    assert (movement.moved_at, movement.still) == (NOON, {0: NOON})
