"""The runner's transport over a Faust app: sends through its producer, acknowledges through its consumer."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from faust.exceptions import NotReady, ProducerSendError

from schemas.errors import ConfigurationError, RetriableError
from streams.kafka_time import instant_of
from streams.message import Message, Outgoing

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)

#: What no waiting mends. Whatever else Kafka says is waited for: aiokafka's own ``retriable`` is False for
#: many an error that an outage or a failover brings about.
_REFUSALS: Final = (
    *_TOO_LARGE,
    InvalidTimestampError,
    InvalidTopicError,
    PolicyViolationError,
)

#: A right that was there at the start; whoever took it may give it back.
_NOT_ALLOWED: Final = (
    ClusterAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class RightLostError(RetriableError):
    """Kafka does not let us write any more; nothing is lost while the right is missing."""

    code = "RIGHT_LOST"


class KafkaUnavailableError(RetriableError):
    """Kafka did not take the messages in time; it may later."""

    code = "KAFKA_UNAVAILABLE"


class KafkaRefusedError(ConfigurationError):
    """Kafka will not take a message however often it is sent."""

    code = "KAFKA_REFUSED"


def message_of(event: Any) -> Message:
    """Turn a Faust event into what the runner knows; the event itself is the receipt."""
    raw = event.message
    return Message(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        key=raw.key,
        value=raw.value,
        headers=tuple(raw.headers or ()),
        timestamp=instant_of(raw.timestamp * 1000),
        receipt=event,
    )


class FaustTransport:
    """Implements :class:`streams.message.Transport`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send, and return when Kafka has acknowledged each; of one key, the next only after the one before.

        When a batch of the producer fails, later batches of its partition are sent nevertheless. A patient's
        second record handed over before the first is acknowledged could so be written first, and everybody
        downstream would see them in that order. One at a time, whatever fails or is sent again: of one key,
        no record is written before those in front of it have been.

        On replay the same records are written again; their ``ce_id`` says so.
        """
        for wave in _waves(outgoing):
            await self._send_together(wave)

    async def acknowledge(self, message: Message) -> None:
        """Let Faust commit the offset; the next commit is at most ``commit_every_s`` away.

        Faust goes on waiting for a message whose offset it has committed already, or noted as acknowledged
        before a rebalance took the partition away and back: the next rebalance would then wait for ever.
        """
        message.receipt.ack()
        self.forget(message)

    def forget(self, message: Message) -> None:
        """Make Faust stop waiting for this message; its offset stays uncommitted."""
        self._app.consumer.unacked.discard(message.receipt.message)

    async def _send_together(self, wave: Sequence[Outgoing]) -> None:
        sent = [await self._handed_over(message) for message in wave]
        smaller = []
        for message, answer in zip(wave, await asyncio.gather(*sent, return_exceptions=True), strict=True):
            if isinstance(answer, _TOO_LARGE) and message.if_too_large is not None:
                smaller.append(message.if_too_large())
            elif isinstance(answer, BaseException):
                raise _judged(answer, message.topic) from None
        if smaller:
            await self._send_together(smaller)

    async def _handed_over(self, message: Outgoing) -> asyncio.Future[Any]:
        """Hand one message over; the future holds Kafka's answer, or the producer's that it is too large."""
        try:
            answer: asyncio.Future[Any] = await self._app.producer.send(
                message.topic,
                message.key,
                message.value,
                message.partition,
                None,  # the timestamp: Kafka's own
                list(message.headers),
            )
        except NotReady:
            raise KafkaUnavailableError("the producer is not connected") from None
        except ProducerSendError as error:
            if not isinstance(error.__cause__, _TOO_LARGE):
                raise _judged(error.__cause__ or error, message.topic) from None
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(error.__cause__)
        answer.add_done_callback(_look_at)
        return answer


def _waves(outgoing: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Put the nth message of each key into the nth wave."""
    waves: list[list[Outgoing]] = []
    n_before: defaultdict[tuple[str, bytes | None], int] = defaultdict(int)
    for message in outgoing:
        wave = n_before[message.topic, message.key]
        n_before[message.topic, message.key] += 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(message)
    return waves


def _look_at(answer: asyncio.Future[Any]) -> None:
    # When one message cannot be handed over, nobody awaits those before it any more; asyncio would complain.
    if not answer.cancelled():
        answer.exception()


def _judged(error: BaseException, topic: str) -> BaseException:
    what = type(error).__name__
    if isinstance(error, _TOO_LARGE):
        return KafkaRefusedError(f"Kafka refused a message as too large ({what}); raise max.message.bytes")
    if isinstance(error, _NOT_ALLOWED):
        return RightLostError(
            f"no right to Write on topic {topic} any more; see the command that grants it with: "
            "diastole topics rights --format kafka-acls"
        )
    if isinstance(error, _REFUSALS):
        return KafkaRefusedError(f"Kafka refused a message ({what}); check the topic {topic}")
    if isinstance(error, (KafkaError, ProducerSendError)):
        return KafkaUnavailableError(f"Kafka did not acknowledge: {what}")
    return error
