import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from schemas.errors import PoisonError
from streams.dead_letters import dead_letter
from streams.envelope import continue_trace, envelope, identity_of
from streams.message import Message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_trace_is_carried_on_under_a_new_span() -> None:
    carried = continue_trace((("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),)).split("-")
    assert carried[:2] == ["00", TRACE]
    assert carried[2] != "00f067aa0ba902b7"
    assert carried[3] == "01"


@pytest.mark.parametrize(
    "incoming",
    [
        *(None, b"", b"garbage", b"\xff\xfe"),
        b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",
        b"00-" + b"Doe, Jane".ljust(32) + b"-" + b"1" * 16 + b"-01",
    ],
)
def test_a_trace_is_begun_where_there_is_none(incoming: bytes | None) -> None:
    begun = continue_trace((("traceparent", incoming),)).split("-")
    assert [len(part) for part in begun] == [2, 32, 16, 2]
    assert set(begun[1]) != {"0"}
    assert set("".join(begun)) <= set("0123456789abcdef")


def test_a_repeat_of_a_record_has_the_same_id_and_no_header_names_the_patient() -> None:
    risk = SimpleNamespace(ecg_id="e1", bundle_version="b1", patient_id="MRN-4711")
    first = dict(envelope(risk, stage="infer", topic="ecg.risk.v1", incoming=(), now=NOW))
    again = dict(envelope(risk, stage="infer", topic="ecg.risk.v1", incoming=(), now=NOW))
    assert first["ce_id"] == again["ce_id"] == b"SimpleNamespace:e1:b1"
    assert not any(b"MRN-4711" in text for text in first.values())


def test_an_alert_is_named_by_its_alert_id() -> None:
    assert identity_of(SimpleNamespace(alert_id="a1", ecg_id="e1")) == "SimpleNamespace:a1"


def letter(error: Exception, **overrides: object) -> tuple[Message, dict[str, bytes]]:
    given = {
        "topic": "ecg.recorded.v1",
        "partition": 3,
        "offset": 42,
        "key": b"k",
        "value": b"\x00raw",
        "headers": (("source", b"cart"),),
        "timestamp": NOW,
    }
    message = Message(**{**given, **overrides})  # type: ignore[arg-type]
    outgoing = dead_letter(message, error, "featurize", "ecg.recorded.v1.dlq")
    assert outgoing.topic == "ecg.recorded.v1.dlq"
    assert (outgoing.key, outgoing.value) == (message.key, message.value)
    return message, dict(outgoing.headers)


def test_a_dead_letter_says_why_and_from_where() -> None:
    _, headers = letter(PoisonError("lead V9 is unknown; map it"))
    assert headers.pop("dlq_app_version")
    assert headers == {
        "source": b"cart",
        "dlq_error_code": b"POISON",
        "dlq_error_message": b"lead V9 is unknown; map it",
        "dlq_stage": b"featurize",
        "dlq_topic": b"ecg.recorded.v1",
        "dlq_partition": b"3",
        "dlq_offset": b"42",
        "dlq_attempt": b"1",
        "dlq_retryable": b"false",
    }


def test_the_text_of_an_unexpected_error_stays_out_of_the_headers() -> None:
    _, headers = letter(KeyError("Jane Doe"))
    assert headers["dlq_error_code"] == b"KeyError"
    assert b"Jane" not in headers["dlq_error_message"]


def test_a_replayed_letter_that_fails_again_counts_up_and_replaces_the_old_reason() -> None:
    _, headers = letter(
        PoisonError("still"), headers=(("dlq_attempt", b"2"), ("dlq_error_code", b"OLD"), ("x", b"y"))
    )
    assert (headers["dlq_attempt"], headers["dlq_error_code"], headers["x"]) == (b"3", b"POISON", b"y")


@pytest.mark.parametrize("attempt", [None, b"", b"many", b"9" * 5000])
def test_a_count_that_is_none_begins_anew(attempt: bytes | None) -> None:
    _, headers = letter(PoisonError("no"), headers=(("dlq_attempt", attempt),))
    assert headers["dlq_attempt"] == b"1"


def test_a_cut_letter_says_how_long_the_value_was_and_holds_nothing_else_that_is_large() -> None:
    given = Message(
        topic="ecg.recorded.v1",
        partition=3,
        offset=42,
        key=b"k" * 2**20,
        value=b"A" * 2**20,
        headers=(("large", b"x" * 2**20),),
        timestamp=NOW,
    )
    whole = dead_letter(given, PoisonError("no"), "featurize", "ecg.recorded.v1.dlq")
    assert whole.value == given.value
    assert whole.if_too_large is not None
    cut = whole.if_too_large()
    headers = dict(cut.headers)
    assert (cut.topic, cut.key, cut.value) == (whole.topic, None, b"A" * 2**16)
    assert headers["dlq_value_cut_from_bytes"] == b"1048576"
    assert headers["dlq_value_sha256"] == hashlib.sha256(b"A" * 2**20).hexdigest().encode()
    assert headers["dlq_offset"] == b"42"
    assert sum(len(text or b"") for text in headers.values()) < 1000
    assert cut.if_too_large is None
