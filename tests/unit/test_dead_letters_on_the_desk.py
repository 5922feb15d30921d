"""What an operator is told of dead letters, and what a replay would put back."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from assessments import assessed

from ops.dlq.advice import what_to_do
from ops.dlq.letter import DeadLetter, Place, letter_of, parse_place
from ops.dlq.notes import newest, note_of, replay_of
from ops.dlq.replaying import REPLAYED_FROM, Limits, Replay, not_yet, one_of_each, refusal, replayed_message
from ops.dlq.shown import content_plain, count_lines, letter_plain, shown_lines
from ops.topic_reader import decoded
from schemas.codec import Codec
from schemas.errors import ConfigurationError, DecodeError, PoisonError, RetriableError
from schemas.registry import FileRegistry
from streams.dead_letters import ATTEMPT, dead_letter
from streams.featurize import UnreadableSamplesError
from streams.message import Headers, Message
from streams.topology import ALL_ROUTES, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, WAVEFORM_ROUTE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARK = "MRN77-4711"
CODEC = Codec(FileRegistry())
LIMITS = Limits(max_record_bytes=1000)
ORIGIN = Place(topic=ECG_RECORDED, partition=3, offset=41)
RECEIVED: Headers = (("source", b"cart 7"), ("traceparent", None), ("source", b"again"))


def lying_at(topic: str, value: bytes | None = b"bytes", headers: Headers = RECEIVED) -> Message:
    return Message(
        topic=topic, partition=3, offset=41, key=MARK.encode(), value=value, headers=headers, timestamp=NOW
    )


def dead(
    message: Message, error: Exception | None = None, *, stage: str = "featurize", cut: bool = False
) -> Message:
    """The dead letter as it lies on Kafka once a stage has written it."""
    sent = dead_letter(message, error or DecodeError("no Avro"), stage, ALL_ROUTES[stage].dead_letters)
    if cut and sent.if_too_large is not None:
        sent = sent.if_too_large()
    return Message(
        topic=sent.topic,
        partition=1,
        offset=7,
        key=sent.key,
        value=sent.value,
        headers=sent.headers,
        timestamp=NOW,
    )


def letter(code: str = "DECODE", offset: int = 7, **other: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "place": Place(topic=f"{ECG_RECORDED}.dlq", partition=1, offset=offset),
        "at": NOW,
        "stage": "featurize",
        "code": code,
        "reason": "why",
        "origin": ORIGIN,
        "attempt": 1,
        "is_retryable": False,
        "app_version": "1",
        "size_bytes": 5,
    }
    return DeadLetter(**{**given, **other})


def replay(origin: Place = ORIGIN, hour: int = 1) -> Replay:
    became = Place(topic=origin.topic, partition=origin.partition, offset=origin.offset + 100)
    return Replay(origin=origin, at=NOW.replace(hour=hour), by="somebody", became=became)


def test_a_letter_says_what_its_stage_wrote() -> None:
    read = letter_of(dead(lying_at(ECG_RECORDED), RetriableError("was away")))
    assert (read.stage, read.code, read.reason) == ("featurize", "RETRIABLE", "was away")
    assert read.origin == ORIGIN
    assert (read.attempt, read.is_retryable, read.size_bytes, read.is_cut) == (1, True, 5, False)
    assert str(read.place) == "ecg.recorded.v1.dlq:1:7"
    assert parse_place(str(read.place)) == read.place


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("dlq_topic", None), ("dlq_attempt", b"x" * 10), ("dlq_offset", b"-1")),
        (("dlq_topic", b"\xff\x00"), ("dlq_partition", b"9" * 5000), ("dlq_attempt", b"9" * 5000)),
        (("dlq_topic", b"a:b"), ("dlq_partition", b"1"), ("dlq_offset", b"1")),
        (("dlq_attempt", "²".encode()), ("dlq_value_cut_from_bytes", "³".encode())),
    ],
)
def test_headers_that_no_stage_wrote_can_be_listed_and_are_not_replayed(headers: Headers) -> None:
    read = letter_of(lying_at("ecg.recorded.v1.dlq", headers=headers))
    assert read.origin is None
    assert "does not say where it came from" in (refusal(read, LIMITS) or "")


def test_no_header_commands_the_terminal() -> None:
    read = letter_of(lying_at("ecg.recorded.v1.dlq", headers=(("dlq_error_message", b"\x1b[2Jgone"),)))
    assert read.reason == "\\x1b[2Jgone"


@pytest.mark.parametrize("text", ["", "ecg.recorded.v1", "a:b:c", "a:1:-1", "a b:1:2", "a:1:2:3"])
def test_what_names_no_letter_is_told_how_one_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="topic:partition:offset"):
        parse_place(text)


@pytest.mark.parametrize(
    "error", [DecodeError("d"), UnreadableSamplesError("s"), RetriableError("r"), ZeroDivisionError()]
)
def test_each_letter_is_followed_by_what_to_do(error: Exception) -> None:
    read = letter_of(dead(lying_at(ECG_RECORDED), error))
    assert len(what_to_do(read.code, is_retryable=read.is_retryable)) > 40


def every_poison(of: type[PoisonError]) -> set[str]:
    return {of.code}.union(*(every_poison(each) for each in of.__subclasses__()))


def test_every_error_of_a_record_that_stages_know_has_advice_of_its_own() -> None:
    unexpected = what_to_do("ZeroDivisionError", is_retryable=False)
    stages = {"DECODE", "UNKNOWN_SCHEMA", "INVALID_RECORD", "PAYLOAD_TOO_LARGE", "EMPTY_RECORD"}
    assert stages <= every_poison(PoisonError)
    assert all(what_to_do(code, is_retryable=False) != unexpected for code in stages)


def test_a_message_is_put_back_byte_for_byte_where_it_came_from() -> None:
    lies = dead(lying_at(ECG_RECORDED))
    sent = replayed_message(letter_of(lies), ORIGIN, lies, n_partitions=4)
    assert (sent.topic, sent.partition, sent.key, sent.value) == (ECG_RECORDED, 3, MARK.encode(), b"bytes")
    assert sent.headers[: len(RECEIVED)] == RECEIVED
    assert dict(sent.headers[len(RECEIVED) :]) == {
        ATTEMPT: b"1",
        REPLAYED_FROM: b"ecg.recorded.v1.dlq:1:7",
    }


def test_a_replay_that_fails_again_is_the_next_attempt_with_the_same_headers_of_its_own() -> None:
    lies = dead(lying_at(ECG_RECORDED))
    sent = replayed_message(letter_of(lies), ORIGIN, lies, n_partitions=4)
    again = dead(lying_at(ECG_RECORDED, headers=sent.headers))
    assert letter_of(again).attempt == 2
    assert again.headers[: len(RECEIVED)] == RECEIVED
    assert REPLAYED_FROM not in dict(again.headers)


def test_where_the_partition_is_gone_the_key_decides() -> None:
    lies = dead(lying_at(ECG_RECORDED))
    assert replayed_message(letter_of(lies), ORIGIN, lies, n_partitions=3).partition is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size_bytes": 1001}, "DIASTOLE_MAX_RECORD_BYTES is 1000"),
        ({"cut_from_bytes": 70}, "only the first 5 of 70 bytes"),
        ({"code": "EMPTY_RECORD"}, "no value"),
        ({"size_bytes": 0}, "no value"),
        ({"origin": None}, "does not say where it came from"),
        ({"origin": Place(topic="somewhere.else", partition=0, offset=0)}, "no stage reads somewhere.else"),
        ({"origin": Place(topic=ECG_RISK, partition=0, offset=0)}, "writes its dead letters to"),
    ],
)
def test_what_cannot_be_put_back_is_refused_with_the_reason(given: dict[str, Any], says: str) -> None:
    assert refusal(letter(), LIMITS) is None
    assert says in (refusal(letter(**given), LIMITS) or "")


@pytest.mark.parametrize("route", ALL_ROUTES.values(), ids=lambda route: route.stage)
def test_letters_of_every_stage_can_be_put_back(route: Any) -> None:
    read = letter_of(dead(lying_at(route.consumes), stage=route.stage))
    assert refusal(read, LIMITS) is None


def test_a_cut_letter_is_refused() -> None:
    read = letter_of(dead(lying_at(ECG_RECORDED, value=bytes(100_000)), cut=True))
    assert "only the first 65536 of 100000" in (refusal(read, Limits(max_record_bytes=2**30)) or "")


def test_a_message_that_several_letters_are_about_is_put_back_once() -> None:
    one, other = letter(offset=1), letter(offset=2)
    third = letter(offset=3, origin=Place(topic=ECG_RECORDED, partition=3, offset=42))
    assert one_of_each([one, other, third]) == [other, third]
    assert not_yet([one, other, third], {ORIGIN: replay()}) == [third]


def test_a_note_says_what_was_put_back_and_the_newest_counts() -> None:
    def lies(each: Replay) -> SimpleNamespace:
        note = note_of(each)
        return SimpleNamespace(key=note.key, value=note.value)

    read = [replay_of(lies(replay(hour=hour))) for hour in (5, 3)]
    assert read == [replay(hour=5), replay(hour=3)]
    assert newest([each for each in read if each]) == {ORIGIN: replay(hour=5)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"a:1:2", None),
        (b"a:1:2", b"{}"),
        (b"a:1:2", b"[]"),
        (b"\xff", b'{"at": "2026-01-01T00:00:00+00:00", "by": "x", "became": "a:1:2"}'),
        (b"a:1:2", b'{"at": "2026-01-01T00:00:00", "by": "x", "became": "a:1:2"}'),
        (b"a:1:2", b'{"at": 7, "by": "x", "became": "a:1:2"}'),
        (b"a:1:2", b"[" * 100_000),
    ],
)
def test_what_is_no_note_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    assert replay_of(SimpleNamespace(key=key, value=value)) is None


def shown(message: Message, *, reveal: bool) -> str:
    read, record = letter_of(message), decoded(message, CODEC)
    lines = shown_lines(read, message, record, replay(), reveal=reveal)
    return "\n".join([*lines, json.dumps(content_plain(message, record, reveal=reveal))])


@pytest.mark.parametrize("value", [CODEC.encode(assessed(1, 0.5, patient_id=MARK)), MARK.encode() * 9, b""])
def test_the_patient_is_shown_only_where_that_is_asked_for(value: bytes) -> None:
    lies = dead(
        lying_at(ECG_RISK, value=value, headers=(("subject", MARK.encode()),)), ValueError(), stage="history"
    )
    hidden = shown(lies, reveal=False)
    assert MARK not in hidden
    assert MARK.encode().hex() not in hidden.replace(" ", "")
    assert MARK in shown(lies, reveal=True)


def test_a_list_counts_by_code_what_waits() -> None:
    letters = [letter(), letter(offset=8, origin=None), letter("EMPTY_RECORD", offset=9, origin=None)]
    assert list(count_lines(letters, {ORIGIN: replay()})) == [
        "DECODE: 2 dead letters, 1 not replayed",
        "EMPTY_RECORD: 1 dead letter, 1 not replayed",
    ]
    assert letter_plain(letters[0], replay())["replayed_as"] == "ecg.recorded.v1:3:141"


def test_a_letter_of_a_silent_stage_names_its_own_topic() -> None:
    lies = dead(lying_at(ECG_FEATURIZED), stage=WAVEFORM_ROUTE.stage)
    assert letter_of(lies).place.topic == "ecg.featurized.v1.waveform.dlq"
