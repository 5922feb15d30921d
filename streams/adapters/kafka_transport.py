"""The runner's transport over a Faust app: sends through its producer, acknowledges through its consumer."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from schemas.errors import ConfigurationError, RetriableError
from streams.message import Message, Outgoing


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
        timestamp=datetime.fromtimestamp(raw.timestamp, UTC),
        receipt=event,
    )


class FaustTransport:
    """Implements :class:`streams.message.Transport`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Hand all to the producer in order, then wait for Kafka's acknowledgement of each.

        On replay the same records are written again; their ``ce_id`` says so.
        """
        try:
            sent = [await self._send(message) for message in outgoing]
        except ProducerSendError as error:
            raise _judged(error.__cause__ or error) from None
        for answer in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise _judged(answer) from None

    async def acknowledge(self, message: Message) -> None:
        """Let Faust commit the offset; the next commit is at most ``commit_every_s`` away."""
        message.receipt.ack()

    def forget(self, message: Message) -> None:
        """Make Faust stop waiting for this message; its offset stays uncommitted."""
        self._app.consumer.unacked.discard(message.receipt.message)

    async def _send(self, message: Outgoing) -> Any:
        return await self._app.producer.send(
            message.topic,
            message.key,
            message.value,
            message.partition,
            None,  # the timestamp: Kafka's own
            list(message.headers),
        )


def _judged(error: BaseException) -> BaseException:
    if isinstance(error, MessageSizeTooLargeError):
        return KafkaRefusedError(f"Kafka refused a message as too large ({error}); raise max.message.bytes")
    if isinstance(error, KafkaError) and error.retriable:
        return KafkaUnavailableError(f"Kafka did not acknowledge: {type(error).__name__}")
    if isinstance(error, KafkaError):
        return KafkaRefusedError(f"Kafka refused a message: {type(error).__name__}")
    return error
