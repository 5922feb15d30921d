"""From a fetched message to a record that may enter the waiting room, or to the reason why it is dead."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from streams.bisection import run_bisecting
from streams.dead_letters import EmptyRecordError, RecordTooLargeError
from streams.message import Message
from streams.outcome import Pending, RecordCodec
from streams.retry import Retrying
from streams.stage import Received, Stage, is_urgent


class Intake:
    """Checks the size, then decodes; a message that fails goes on as dead, so that order is kept.

    Parameters
    ----------
    max_record_bytes : int
        A larger value is not decoded.
    retrying : Retrying
        For a schema registry that cannot be reached.
    aside : bool
        Decode in a thread of its own: the codec may have to ask a remote registry, and while that does not
        answer, health, heartbeats and commits must go on.
    """

    def __init__(
        self,
        stage: Stage[Any],
        codec: RecordCodec,
        max_record_bytes: int,
        retrying: Retrying,
        *,
        aside: bool = False,
    ) -> None:
        self._stage = stage
        self._codec = codec
        self._max_record_bytes = max_record_bytes
        self._retrying = retrying
        self._aside = aside

    @property
    def held_up_by(self) -> str | None:
        """Code of the retriable error that holds decoding up, if one does."""
        return self._retrying.held_up_by

    async def open(self, message: Message) -> Pending:
        """Decode one message.

        Raises
        ------
        GivenUpError
            When told to give up while the registry cannot be reached.
        """
        return await self._retrying.until_done("decode", partial(self._open, message))

    def is_urgent(self, pending: Pending) -> bool:
        """Whether the message must not wait for the deadline."""
        return pending.received is not None and is_urgent(pending.received.record)

    def give_up(self) -> None:
        """Stop waiting for the registry."""
        self._retrying.give_up()

    async def _open(self, message: Message) -> Pending:
        decode = partial(run_bisecting, self._stage.name, self._decode, [message])
        (record,) = await asyncio.to_thread(decode) if self._aside else decode()
        if isinstance(record, Exception):
            return Pending(message=message, error=record)
        received = Received(
            record=record,
            published_at=message.timestamp,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
        )
        return Pending(message=message, received=received)

    def _decode(self, alone: Sequence[Message]) -> list[Any]:
        (message,) = alone
        if message.value is None:
            raise EmptyRecordError("the message has no value; publish the whole record")
        if message.size_bytes > self._max_record_bytes:
            raise RecordTooLargeError(
                f"{message.size_bytes} bytes are more than the {self._max_record_bytes} allowed; "
                "cut the recording or raise DIASTOLE_MAX_RECORD_BYTES"
            )
        return [self._codec.decode(message.value, self._stage.reads, headers=message.headers)]
