"""What is handed to the producer, in which order, and how its failures are judged."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors
from faust.exceptions import NotReady, ProducerSendError

from schemas.errors import PoisonError
from streams.adapters.kafka_transport import (
    FaustTransport,
    KafkaRefusedError,
    KafkaUnavailableError,
    RightLostError,
    message_of,
)
from streams.dead_letters import KEPT_VALUE_BYTES, RecordTooLargeError, dead_letter
from streams.kafka_time import EARLIEST, LATEST
from streams.message import Message, Outgoing

REFUSALS = [
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
    errors.InvalidTimestampError,
]
OUTAGES = [
    errors.KafkaTimeoutError,
    errors.UnknownError,
    errors.CorruptRecordException,
    errors.ProducerClosed,
    errors.RequestTimedOutError,
    errors.KafkaConnectionError,
    errors.NotEnoughReplicasError,
    errors.UnknownTopicOrPartitionError,
]


class ProducerInMemory:
    """Answers at once, as told by value: raised when handed over, or when acknowledged."""

    def __init__(
        self, limit_bytes: int = 2**30, broker_limit_bytes: int = 2**30, **failing: type[Exception]
    ) -> None:
        self.limit_bytes = limit_bytes
        self.broker_limit_bytes = broker_limit_bytes
        self.failing = failing
        self.written: list[bytes] = []
        self.unacknowledged = 0
        self.most_unacknowledged: dict[bytes, int] = {}
        self._open: dict[bytes, int] = {}

    async def send(self, topic: str, key: bytes, value: bytes, *rest: Any) -> "asyncio.Future[None]":
        error = self.failing.get(value.decode("latin1"))
        if len(value) > self.broker_limit_bytes:
            error = errors.MessageSizeTooLargeError
        if isinstance(error, type) and issubclass(error, ProducerSendError):
            raise ProducerSendError("Error while sending") from errors.KafkaTimeoutError()
        if len(value) > self.limit_bytes:
            raise ProducerSendError("Error while sending") from errors.MessageSizeTooLargeError()
        self._open[key] = self._open.get(key, 0) + 1
        self.most_unacknowledged[key] = max(self.most_unacknowledged.get(key, 0), self._open[key])
        answer = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(self._answer, answer, key, value, error)
        return answer

    def _answer(
        self, answer: "asyncio.Future[None]", key: bytes, value: bytes, error: type[Exception] | None
    ) -> None:
        self._open[key] -= 1
        if error is not None:
            answer.set_exception(error())
            return
        self.written.append(value)
        answer.set_result(None)


def transport(producer: Any) -> FaustTransport:
    return FaustTransport(SimpleNamespace(producer=producer))


def out(key: str, value: str) -> Outgoing:
    return Outgoing(topic="t", key=key.encode(), value=value.encode())


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.__name__)
async def test_a_refusal_asks_the_operator(error: type[Exception]) -> None:
    with pytest.raises(KafkaRefusedError, match=error.__name__):
        await transport(ProducerInMemory(a1=error)).send([out("a", "a1")])


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: error.__name__)
async def test_an_outage_is_waited_for(error: type[Exception]) -> None:
    with pytest.raises(KafkaUnavailableError, match=error.__name__):
        await transport(ProducerInMemory(a1=error)).send([out("a", "a1")])


async def test_a_right_that_was_taken_is_waited_for_and_named() -> None:
    producer = ProducerInMemory(a1=errors.TopicAuthorizationFailedError)
    with pytest.raises(RightLostError, match="Write on topic t ") as caught:
        await transport(producer).send([out("a", "a1")])
    assert caught.value.retriable


async def test_a_full_producer_whose_broker_is_away_is_waited_for() -> None:
    producer = ProducerInMemory(b1=ProducerSendError)
    with pytest.raises(KafkaUnavailableError, match="KafkaTimeoutError"):
        await transport(producer).send([out("a", "a1"), out("b", "b1")])


async def test_a_producer_that_is_not_connected_is_waited_for() -> None:
    class Disconnected:
        async def send(self, *message: Any) -> Any:
            raise NotReady("not yet")

    with pytest.raises(KafkaUnavailableError):
        await transport(Disconnected()).send([out("a", "a1")])


async def test_of_one_key_nothing_overtakes_what_failed() -> None:
    producer = ProducerInMemory(a1=errors.RequestTimedOutError)
    sent = [out("a", "a1"), out("b", "b1"), out("a", "a2"), out("b", "b2")]
    with pytest.raises(KafkaUnavailableError):
        await transport(producer).send(sent)
    assert b"a2" not in producer.written
    producer.failing.clear()
    await transport(producer).send(sent)
    first_of_each = list(dict.fromkeys(value for value in producer.written if value.startswith(b"a")))
    assert first_of_each == [b"a1", b"a2"]


async def test_of_one_key_one_message_is_under_way_and_of_many_keys_all() -> None:
    producer = ProducerInMemory()
    await transport(producer).send([out(key, f"{key}{n}") for n in range(3) for key in "abc"])
    assert producer.most_unacknowledged == {b"a": 1, b"b": 1, b"c": 1}
    assert len(producer.written) == 9


def message(**given: Any) -> Message:
    return message_of(SimpleNamespace(message=raw(**given)))


def raw(**given: Any) -> SimpleNamespace:
    sent = {"topic": "t", "partition": 0, "offset": 7, "key": b"k", "value": b"v", "headers": ()}
    return SimpleNamespace(**{**sent, "timestamp": 0.0, **given})


@pytest.mark.parametrize(
    "producer", [ProducerInMemory(limit_bytes=2**20), ProducerInMemory(broker_limit_bytes=2**20)]
)
async def test_a_dead_letter_too_large_for_kafka_is_cut(producer: ProducerInMemory) -> None:
    value = b"A" * (3 * 2**20)
    await transport(producer).send(
        [dead_letter(message(value=value), RecordTooLargeError("no"), "infer", "t.dlq")]
    )
    assert producer.written == [value[:KEPT_VALUE_BYTES]]


async def test_a_result_too_large_for_kafka_asks_the_operator() -> None:
    with pytest.raises(KafkaRefusedError, match=r"max\.message\.bytes"):
        await transport(ProducerInMemory(limit_bytes=1)).send([out("a", "a1")])


async def test_a_letter_of_a_message_without_key_and_value_can_be_sent() -> None:
    producer = ProducerInMemory()
    await transport(producer).send(
        [dead_letter(message(key=None, value=None), PoisonError("no"), "infer", "t.dlq")]
    )
    assert producer.written == [b""]


@pytest.mark.parametrize("timestamp_ms", [2**61, 2**63 - 1])
def test_a_time_after_the_last_date_is_the_last(timestamp_ms: int) -> None:
    assert message(timestamp=timestamp_ms / 1000).timestamp == LATEST


@pytest.mark.parametrize("timestamp_ms", [-(2**61), -(2**63)])
def test_a_time_before_the_first_date_is_the_first(timestamp_ms: int) -> None:
    assert message(timestamp=timestamp_ms / 1000).timestamp == EARLIEST


def test_a_time_is_that_of_the_record() -> None:
    assert message(timestamp=1_767_225_600.25).timestamp.isoformat() == "2026-01-01T00:00:00.250000+00:00"
    assert LATEST + timedelta(hours=14)


async def test_an_acknowledged_message_is_not_waited_for_though_faust_knew_its_offset() -> None:
    """As after a rebalance that gave the partition back: Faust then ignores the acknowledgement."""
    known = object()
    unacked = {known}
    event = SimpleNamespace(ack=lambda: None, message=known)
    message = Message(
        topic="t",
        partition=0,
        offset=0,
        key=b"k",
        value=b"v",
        headers=(),
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        receipt=event,
    )
    app = SimpleNamespace(producer=None, consumer=SimpleNamespace(unacked=unacked))
    await FaustTransport(app).acknowledge(message)
    assert not unacked
