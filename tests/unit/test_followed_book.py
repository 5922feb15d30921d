"""The book as Kafka tells it: any order gives the same, readers do not wait for each other, old leaves."""

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import KafkaConnectionError
from deliver_in_memory import CODEC, Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from notices import RAISED_AT, alert_of, closed_of

from schemas.alert import AlarmKind, AlertRaised, Priority, TechnicalAlarm
from schemas.audit import CareAction, CareScope, CareVerb
from schemas.codec import Codec
from schemas.errors import RetriableError
from schemas.featurized import Quality
from schemas.identity import action_id, alarm_id, subject_id
from streams.adapters.kafka_follower import TopicBehindError
from streams.deliver import book as book_module
from streams.deliver.book import FollowedBook
from streams.deliver.life import LifeState
from streams.deliver.unreadable import MAX_KEPT, unreadable_alarm
from streams.envelope import identity_of
from streams.feeds.producer import BrokerUnavailableError
from streams.topology import CARE_AUDIT, ECG_ALERT

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class ListedProducer:
    """Keeps what is written; may be away, or never answer."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes, bytes, dict[str, bytes | None]]] = []
        self.is_away = False
        self.is_silent = False
        self.speaks = asyncio.Event()

    async def send_and_wait(self, topic: str, *, value: bytes, key: bytes, headers: Any) -> None:
        if self.is_away:
            raise KafkaConnectionError
        if self.is_silent:
            await self.speaks.wait()
        self.written.append((topic, key, value, dict(headers)))


class Follower:
    """A follower that is at the end, unless it is away."""

    is_away = False

    async def catch_up(self, budget_s: float) -> None:
        if self.is_away:
            raise TopicBehindError("away")


def open_book(
    clock: Clock | None = None, max_cases: int = 100, codec: Codec = CODEC
) -> tuple[FollowedBook, ListedProducer]:
    producer = ListedProducer()
    book = FollowedBook(
        codec,
        producer,  # type: ignore[arg-type]
        now=clock or Clock(),
        window=90 * DAY,
        writer="api",
        max_cases=max_cases,
    )
    return book, producer


def message(record: object, at: Any = RAISED_AT, partition: int = 0) -> Any:
    return SimpleNamespace(
        value=CODEC.encode(record),
        headers=(),
        offset=0,
        partition=partition,
        timestamp=at.timestamp() * 1000,
    )


def act_on(
    alert_id: str, verb: CareVerb = CareVerb.ACKNOWLEDGED, hours: float = 1, actor: str = "n"
) -> CareAction:
    return CareAction(
        action_id=action_id(verb=verb, alert_id=alert_id, actor=actor, at=str(hours)),
        alert_id=alert_id,
        verb=verb,
        actor=actor,
        acted_at=RAISED_AT + hours * HOUR,
        origin="inbox",
    )


def alarm_of(source: str = "webhook", ended: bool = False) -> TechnicalAlarm:
    kind = AlarmKind.FEED_SILENT
    return TechnicalAlarm(
        alarm_id=alarm_id(kind=kind, source=source, started_at=RAISED_AT),
        kind=kind,
        priority=Priority.LOW,
        source=source,
        started_at=RAISED_AT,
        message="quiet",
        action_text="look",
        ended_at=RAISED_AT + HOUR if ended else None,
    )


def fold(book: FollowedBook, topic: str, record: object) -> None:
    (book.on_act if topic == CARE_AUDIT else book.on_alert)(message(record))


def summary(book: FollowedBook) -> dict[str, tuple[LifeState, tuple[CareAction, ...]]]:
    return {each: (case.state, case.acts) for each, case in book.book.cases.items()}


def test_the_two_topics_in_any_interleaving_and_again_from_the_start_give_the_same_cases() -> None:
    records: list[tuple[str, object]] = []
    for n in range(6):
        alert = alert_of(n)
        records += [(ECG_ALERT, alert), (ECG_ALERT, closed_of(alert))][: 1 + n % 2]
        records += [
            (CARE_AUDIT, act_on(alert.alert_id, verb, hours))
            for hours, verb in enumerate((CareVerb.DELIVERED, CareVerb.ESCALATED, CareVerb.ACCEPTED)[: n % 4])
        ]
    known = []
    for seed in range(20):
        book, _ = open_book()
        shuffled = records * (1 + seed % 2)
        random.Random(seed).shuffle(shuffled)
        for topic, record in shuffled:
            fold(book, topic, record)
        known.append(summary(book))
    assert all(each == known[0] for each in known)
    assert len(known[0]) == 6


def interleaved(alerts: Sequence[object], acts: Sequence[CareAction]) -> Iterator[list[tuple[str, object]]]:
    """Read the two topics in every way there is; each keeps its order."""
    n = len(alerts) + len(acts)
    for places in combinations(range(n), len(alerts)):
        told, done = iter(alerts), iter(acts)
        yield [(ECG_ALERT, next(told)) if place in places else (CARE_AUDIT, next(done)) for place in range(n)]


def account(raised: AlertRaised, verb: CareVerb, actor: str, name: str, minute: int) -> CareAction:
    """One account of an act; with the same verb, actor and name it is of the same act."""
    at = RAISED_AT + timedelta(minutes=minute)
    return CareAction(
        action_id=action_id(verb=verb, alert_id=raised.alert_id, actor=actor, at=name),
        alert_id=raised.alert_id,
        verb=verb,
        actor=actor,
        acted_at=at,
        origin="inbox",
        expires_at=at + HOUR if verb is CareVerb.MUTED else None,
    )


VERBS = (CareVerb.MUTED, CareVerb.UNMUTED, CareVerb.VIEWED, CareVerb.DELIVERED, CareVerb.ESCALATED)
accounts = st.builds(
    account,
    st.sampled_from([alert_of(1), alert_of(2)]),
    st.sampled_from(VERBS),
    st.sampled_from("nm"),
    st.sampled_from("ab"),
    st.integers(0, 9),
)


@given(st.lists(accounts, max_size=5))
@settings(max_examples=60, deadline=None)
def test_acts_told_twice_in_other_words_give_the_same_cases_in_every_interleaving(
    acts: list[CareAction],
) -> None:
    alerts = [alert_of(1), closed_of(alert_of(1)), alert_of(2)]
    known = []
    for records in interleaved(alerts, acts):
        for told in (records, records[::-1]):
            book, _ = open_book()
            for topic, record in told:
                fold(book, topic, record)
            known.append(summary(book))
    assert all(each == known[0] for each in known)


def test_of_an_act_told_twice_the_earlier_holds_also_when_it_is_read_last() -> None:
    book, _ = open_book()
    alert = alert_of()
    fold(book, ECG_ALERT, alert)
    changes = book.changes()
    late, ended, early = (
        account(alert, verb, "n", "a", minute)
        for verb, minute in ((CareVerb.MUTED, 9), (CareVerb.UNMUTED, 5), (CareVerb.MUTED, 1))
    )
    for act in (late, ended):
        fold(book, CARE_AUDIT, act)
    assert book.book.cases[alert.alert_id].state is LifeState.MUTED
    changes._pending.clear()
    fold(book, CARE_AUDIT, early)
    assert book.book.cases[alert.alert_id].state is LifeState.RAISED
    assert changes._pending, "whoever plans is told"
    changes._pending.clear()
    fold(book, CARE_AUDIT, late)
    assert not changes._pending, "and of what adds nothing is not"


async def test_an_act_is_folded_once_written_and_written_once() -> None:
    book, producer = open_book()
    alert = alert_of()
    fold(book, ECG_ALERT, alert)
    act = act_on(alert.alert_id)
    await book.append(act)
    assert book.book.cases[alert.alert_id].state is LifeState.ACKNOWLEDGED
    await book.append(act)
    fold(book, CARE_AUDIT, act)
    assert book.book.cases[alert.alert_id].acts == (act,)
    ((topic, key, value, headers),) = producer.written
    assert (topic, key) == (CARE_AUDIT, alert.alert_id.encode())
    assert CODEC.decode(value, CareAction) == act
    assert headers["ce_id"] == f"CareAction:{act.action_id}".encode() == identity_of(act).encode()
    assert headers["ce_source"] == b"/diastole/api"
    assert not any(alert.patient_id.encode() in (text or b"") for text in headers.values())


async def test_what_a_silent_broker_took_is_not_sent_again_however_often_it_is_asked() -> None:
    book, producer = open_book()
    producer.is_silent = True
    alert = alert_of()
    fold(book, ECG_ALERT, alert)
    first = act_on(alert.alert_id)
    again = replace(first, acted_at=first.acted_at + HOUR)
    for act in (first, again):
        with pytest.raises(BrokerUnavailableError):
            await book.append(act, budget_s=0.01)
    asking = asyncio.create_task(book.append(again))
    await asyncio.sleep(0)
    producer.speaks.set()
    await asking
    assert len(producer.written) == 1
    assert book.book.cases[alert.alert_id].acts == (first,), "as Kafka has it"


@pytest.mark.parametrize("trouble", ["is_away", "is_silent"])
async def test_what_kafka_does_not_take_is_not_folded_and_may_be_done_again(trouble: str) -> None:
    book, producer = open_book()
    alert = alert_of()
    fold(book, ECG_ALERT, alert)
    setattr(producer, trouble, True)
    with pytest.raises(BrokerUnavailableError, match="do it again"):
        await book.append(act_on(alert.alert_id), budget_s=0.05)
    assert book.book.cases[alert.alert_id].state is LifeState.RAISED
    setattr(producer, trouble, False)
    producer.speaks.set()
    await book.append(act_on(alert.alert_id))
    assert book.book.cases[alert.alert_id].state is LifeState.ACKNOWLEDGED


async def test_alarms_are_open_until_they_end_and_do_not_come_back() -> None:
    book, producer = open_book()
    changes = book.changes()
    await book.append_alarm(alarm_of())
    await book.append_alarm(alarm_of())
    assert book.alarms == (alarm_of(),)
    assert await anext(changes) == alarm_of().alarm_id
    await book.append_alarm(alarm_of(ended=True))
    await book.append_alarm(alarm_of(ended=True))
    fold(book, ECG_ALERT, alarm_of())
    assert book.alarms == ()
    assert len(producer.written) == 2
    assert book.knows_alarm(alarm_of().alarm_id)


async def test_readers_are_told_each_for_itself_and_a_slow_one_costs_an_entry_a_case() -> None:
    book, _ = open_book()
    quick, slow, cancelled = book.changes(), book.changes(), book.changes()
    waiting = asyncio.create_task(cancelled.all())
    await asyncio.sleep(0)
    waiting.cancel()
    alerts = [alert_of(n) for n in range(3)]
    for alert in alerts:
        fold(book, ECG_ALERT, alert)
        assert alert.alert_id in await quick.all()
        for hours in range(5):
            fold(book, CARE_AUDIT, act_on(alert.alert_id, CareVerb.DELIVERED, hours))
    ids = [alert.alert_id for alert in alerts]
    assert len(slow._pending) == 3
    assert await slow.all() == frozenset(ids) == await cancelled.all()
    late = book.changes()
    book.close()
    assert [each async for each in quick] == ids[-1:], "what is there is still told"
    assert [each async for each in late] == []


def test_a_reader_nobody_holds_is_forgotten() -> None:
    book, _ = open_book()
    reader = book.changes()
    assert len(book._readers._readers) == 1
    del reader
    gc.collect()
    assert len(book._readers._readers) == 0


def test_subjects_that_are_muted_are_told_too() -> None:
    book, _ = open_book()
    changes = book.changes()
    name = subject_id(scope="WARD", subject="W1")
    mute = CareAction(
        action_id=action_id(verb="MUTED", alert_id=name, actor="n"),
        alert_id=name,
        verb=CareVerb.MUTED,
        actor="n",
        acted_at=RAISED_AT,
        origin="inbox",
        scope=CareScope.WARD,
        subject="W1",
        expires_at=RAISED_AT + HOUR,
    )
    fold(book, CARE_AUDIT, mute)
    assert name in changes._pending


def test_what_is_older_than_the_window_leaves_and_room_is_made_of_what_is_answered() -> None:
    clock = Clock()
    book, _ = open_book(clock, max_cases=3)
    for n in range(6):
        book.on_alert(message(alert_of(n), RAISED_AT + n * HOUR, partition=n))
    for n in (1, 2):
        fold(book, CARE_AUDIT, act_on(alert_of(n).alert_id))
    fold(book, CARE_AUDIT, act_on(alert_of(77).alert_id))
    book.forget()
    kept = {alert_of(n).alert_id for n in (0, 3, 4, 5)}
    assert set(book.book.cases) == kept, "an open case is never dropped for room"
    assert book.partition_of(alert_of(3).alert_id) == 3
    assert book.partition_of(alert_of(1).alert_id) is None
    clock.at += 90 * DAY + 4 * HOUR
    book.forget()
    assert set(book.book.cases) == {alert_of(n).alert_id for n in (4, 5)}
    assert not book.book._early, "acts on alerts that are not known leave too"


def test_whoever_looks_often_is_kept_once() -> None:
    book, _ = open_book()
    alert = alert_of()
    fold(book, ECG_ALERT, alert)
    for hours in range(50):
        for actor in ("n", "m"):
            fold(book, CARE_AUDIT, act_on(alert.alert_id, CareVerb.VIEWED, hours, actor))
    assert len(book.book.cases[alert.alert_id].acts) == 2


def test_what_cannot_be_read_costs_itself() -> None:
    book, _ = open_book()
    for value in (None, b"", b"\0\0\0\0\1garbage", CODEC.encode(act_on(alert_of().alert_id))):
        spoilt = message(alert_of())
        spoilt.value = value
        book.on_alert(spoilt)
    fold(book, ECG_ALERT, alert_of())
    assert len(book.book.cases) == 1
    assert book.unreadable.n == {ECG_ALERT: 4, CARE_AUDIT: 0}


def test_of_a_flood_that_cannot_be_read_the_first_are_kept_and_no_alarm_ends() -> None:
    book, _ = open_book()
    for offset in range(MAX_KEPT + 5):
        spoilt = message(alert_of())
        spoilt.value, spoilt.offset = b"garbage", offset
        book.on_act(spoilt)
    kept = book.unreadable.kept
    assert [record.offset for record in kept] == list(range(MAX_KEPT))
    assert book.unreadable.n[CARE_AUDIT] == MAX_KEPT + 5
    beyond = unreadable_alarm(replace(kept[0], offset=MAX_KEPT + 1))
    assert not book.unreadable.has_ended(beyond), "it may still lie there"
    assert not book.unreadable.has_ended(alarm_of("webhook")), "of others' alarms it says nothing"


class Registry:
    """Decodes unless the registry is away."""

    is_away = False

    def encode(self, record: object) -> bytes:
        return CODEC.encode(record)

    def decode(self, *arguments: Any, **named: Any) -> Any:
        if self.is_away:
            raise RetriableError("registry")
        return CODEC.decode(*arguments, **named)


async def test_records_wait_for_the_registry_and_the_book_says_so() -> None:
    registry = Registry()
    book, _ = open_book(codec=registry)  # type: ignore[arg-type]
    registry.is_away = True
    fold(book, CARE_AUDIT, act_on(alert_of().alert_id))
    fold(book, ECG_ALERT, alert_of())
    with pytest.raises(TopicBehindError, match="registry"):
        await book.catch_up()
    registry.is_away = False
    await book.catch_up()
    assert book.book.cases[alert_of().alert_id].state is LifeState.ACKNOWLEDGED


async def test_a_book_that_is_behind_says_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic_s = 100.0
    monkeypatch.setattr(book_module, "monotonic", lambda: monotonic_s)
    book, _ = open_book()
    follower = Follower()
    following = asyncio.create_task(book.follow(follower))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert book.is_current
    follower.is_away = True
    monotonic_s += 30
    assert book.behind_s == pytest.approx(30)
    assert not book.is_current
    with pytest.raises(TopicBehindError):
        await book.catch_up()
    follower.is_away = False
    await book.catch_up()
    assert book.behind_s == 0
    following.cancel()
    await asyncio.wait({following})


def test_an_alert_costs_about_as_much_as_the_book_says() -> None:
    book, _ = open_book(max_cases=1000)
    messages = [
        message(
            alert_of(
                n,
                quality=Quality(acceptable=True, score=0.9, reasons=("LEAD_OFF:V3",) * 3),
                rhythm_strip_uv=np.arange(1250, dtype=np.int16),
            )
        )
        for n in range(200)
    ]
    acts = [
        message(act_on(alert_of(n).alert_id, CareVerb.DELIVERED, h)) for n in range(200) for h in range(4)
    ]
    gc.collect()
    tracemalloc.start()
    for each in messages:
        book.on_alert(each)
    for each in acts:
        book.on_act(each)
    gc.collect()
    bytes_each = tracemalloc.get_traced_memory()[0] / len(messages)
    tracemalloc.stop()
    assert 5_000 < bytes_each < 16_000, bytes_each
