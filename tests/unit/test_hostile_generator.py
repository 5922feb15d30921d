"""Whatever lies on a topic, reading it and working on it ends in a result or in a refusal of ours."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundle import tiny_bundle

from models.predictor import Predictor
from ops.chaos.hostile import STAGE_INPUTS, Hostile, first_messages, hostile_messages
from ops.chaos.hostile_bytes import HEAD_BYTES, with_an_absurd_field
from ops.chaos.hostile_records import MAKERS, N_PATIENTS, READ_TOPICS, state_bytes
from ops.chaos.raw_record import raw_batch
from ops.dlq.letter import letter_of
from ops.topic_reader import RECORDS_OF
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.registry import FileRegistry
from streams.adapters.header_names import FetchedRecords
from streams.alert import decide
from streams.api.feed_reports import FeedReports
from streams.dead_letters import ERROR_CODE, dead_letter
from streams.deliver.case import CaseBook
from streams.envelope import envelope
from streams.featurize import featurize
from streams.feeds.quarantine.fold import fold
from streams.history_encoding import encoded_points
from streams.infer import infer
from streams.kafka_time import instant_of
from streams.link import encoded_links
from streams.message import Message
from streams.patient_state import PatientState, StateDamagedError
from streams.policy import load_policy
from streams.stage import Received
from streams.topology import (
    ALERT_STATE,
    CARE_AUDIT,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_QUARANTINE,
    ECG_RECORDED,
    ECG_RISK,
    FEED_HEALTH,
    PATIENT_LINK,
)
from streams.watch.ledger import AlarmLedger
from streams.waveform import encoded_strips

CODEC = Codec(FileRegistry())
PREDICTOR = Predictor(tiny_bundle(), device="cpu")
POLICY = load_policy(None)
NOW = datetime(2026, 3, 1, tzinfo=UTC)

#: 2 000 in all.
EXAMPLES = 2000 // len(MAKERS)

Batch = Sequence[Received[Any]]


def alerted(batch: Batch) -> list[object]:
    """Decide twice, as after a crash: the second time from the bytes of the first."""
    (received,) = batch
    first = decide(None, received.record, POLICY)
    again = decide(PatientState.from_bytes(first.state.to_bytes()), received.record, POLICY)
    assert again.alerts == ()
    return list(first.alerts)


def booked(batch: Batch) -> list[object]:
    book, (received,) = CaseBook(), batch
    record = received.record
    take = book.take_act if hasattr(record, "verb") else lambda r: book.take_alert(r, received.published_at)
    if hasattr(record, "alert_id"):
        take(record)
        take(record)
        assert all(case.state for case in book.cases.values())
    book.forget(NOW, 10)
    return []


#: What is done with the record of a topic by everybody who reads it, one record at a time.
WORK: Mapping[str, Sequence[Callable[[Batch], Sequence[object]]]] = {
    ECG_RECORDED: (featurize,),
    ECG_FEATURIZED: (lambda batch: infer(batch, PREDICTOR, lambda: NOW), encoded_strips),
    ECG_RISK: (encoded_points, alerted),
    PATIENT_LINK: (encoded_links,),
    ECG_ALERT: (booked,),
    CARE_AUDIT: (booked,),
    ECG_QUARANTINE: (lambda batch: [fold(None, batch[0].record)],),
    FEED_HEALTH: (),
}


def read_and_work(topic: str, value: bytes, headers: tuple[tuple[str, bytes | None], ...] = ()) -> str:
    """Do what those do who read a topic; gives the code of the refusal, empty when there is none."""
    try:
        record: Any = CODEC.decode(value, *RECORDS_OF[topic], headers=headers)
        envelope(record, stage="s", topic=topic, incoming=headers, now=NOW)
        batch = [Received(record=record, published_at=NOW)]
        for work in WORK[topic]:
            for result in work(batch):
                if isinstance(result, Exception):
                    raise result
                if type(result).__module__.startswith("schemas."):
                    CODEC.encode(result)
    except PoisonError as refusal:
        return refusal.code
    return ""


#: Positions and what comes there: edits that shrink to the one byte that matters.
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 8), st.binary(max_size=12)), min_size=0, max_size=4
)


@pytest.mark.parametrize("topic", MAKERS)
def test_harmed_bytes_and_fields_end_in_a_result_or_a_refusal(topic: str) -> None:
    ends: set[str] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=st.integers(0, 10**6), edits=EDITS, is_field=st.booleans())
    def holds(drawn: int, edits: list[tuple[int, int, bytes]], is_field: bool) -> None:
        chance = random.Random(drawn)
        record: Any = MAKERS[topic](chance)
        value = CODEC.encode(record)
        if is_field:
            value = with_an_absurd_field(record, value[:HEAD_BYTES], chance) or value
        for at, gone, there in edits:
            value = value[:at] + there + value[at + gone :]
        ends.add(read_and_work(topic, value))

    holds()
    assert {"", "DECODE"} <= ends, "the examples meet neither what is sound nor what is harmed"


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(drawn=st.integers(0, 10**6), edits=EDITS)
def test_a_harmed_state_is_refused_or_decided_on(drawn: int, edits: list[tuple[int, int, bytes]]) -> None:
    chance = random.Random(drawn)
    state = state_bytes(chance)
    for at, gone, there in edits:
        state = state[: at % len(state)] + there + state[at % len(state) + gone :]
    risk: Any = MAKERS[ECG_RISK](chance)
    try:
        before = PatientState.from_bytes(state)
    except StateDamagedError:
        return
    after = decide(before, risk, POLICY).state
    assert PatientState.from_bytes(after.to_bytes()) == after


def test_the_generators_messages_end_as_their_kind_says() -> None:
    n_known = 0
    for message in first_messages(2000, 1, CODEC):
        if message.topic == ALERT_STATE or message.value is None or message.code == "PAYLOAD_TOO_LARGE":
            continue
        code = read_and_work(message.topic, message.value, as_read(message).headers)
        if message.code is not None:
            assert code == message.code, message.how
            n_known += 1
    assert n_known > 300


def test_every_dead_letter_of_them_can_be_written_and_shown() -> None:
    for message in first_messages(500, 2, CODEC):
        read = as_read(message)
        letter = dead_letter(read, PoisonError("it was hostile"), "featurize", f"{message.topic}.dlq")
        for name, _ in letter.headers:
            name.encode()
        assert dict(letter.headers)[ERROR_CODE] == b"POISON"
        shown = letter_of(
            replace(read, topic=letter.topic, key=letter.key, value=letter.value, headers=letter.headers)
        )
        assert shown.origin is not None
        assert shown.origin.topic == message.topic


def test_what_follows_a_whole_topic_takes_every_message() -> None:
    reports, ledger = FeedReports(CODEC), AlarmLedger(CODEC)
    for message in first_messages(1500, 3, CODEC):
        read = as_read(message)
        raw = ConsumerRecord(
            topic=read.topic,
            partition=0,
            offset=0,
            timestamp=message.timestamp_ms or 0,
            timestamp_type=0,
            key=read.key,
            value=read.value,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            headers=read.headers,
        )
        reports.take(raw)
        ledger.on_record(raw)
    assert ledger.is_whole
    # Keys are patients, few, or drawn among odd ones: what is kept is bounded by what the topic keeps.
    assert len(reports.sources()) < 1500 // N_PATIENTS


def test_the_same_seed_gives_the_same_messages_and_another_gives_others() -> None:
    assert list(first_messages(30, 7, CODEC)) == list(first_messages(30, 7, CODEC))
    assert list(first_messages(30, 7, CODEC)) != list(first_messages(30, 8, CODEC))


def test_every_topic_and_every_kind_of_harm_comes() -> None:
    messages = list(islice(hostile_messages(1, CODEC), 3000))
    assert {message.topic for message in messages} == set(READ_TOPICS)
    assert sum(message.topic in STAGE_INPUTS for message in messages) > 2000
    hows = {part for message in messages for part in message.how.split(" + ")}
    assert {"flipped", "absurd field", "oversized", "null", "no key", "many headers", "odd time"} <= hows
    assert {"odd header names", "schema id in a header", "forged dead letter", "foreign", "deep"} <= hows


def as_read(message: Hostile) -> Message:
    """Let a message pass through the bytes of Kafka's own format."""
    batch = FetchedRecords(raw_batch(message, message.timestamp_ms or 0)).next_batch()
    assert batch is not None
    (record,) = batch
    return Message(
        topic=message.topic,
        partition=0,
        offset=0,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        timestamp=instant_of(record.timestamp),
    )
