"""The quarantine's records, followed from the topic's beginning and added to at its end."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import Codec
from schemas.errors import PoisonError, RetriableError
from schemas.quarantine import EcgQuarantined, QuarantineAct
from streams.envelope import envelope
from streams.feeds.producer import BrokerUnavailableError
from streams.feeds.quarantine.fold import Entry, fold
from streams.feeds.quarantine.sending import Sender
from streams.stage import UtcClock
from streams.topology import ECG_QUARANTINE

_log: Final = structlog.get_logger(__name__)

_POLL_MS: Final = 500

#: Records taken at once; each has some hundred bytes, a delivery of 64 MiB some 2 kB.
_BATCH_ITEMS: Final = 1000


class QuarantineLog:
    """All entries, as up to date as the last :meth:`catch_up`; some 2 kB of memory each.

    Parameters
    ----------
    consumer : AIOKafkaConsumer
        Started, without a group, and assigned to all partitions of ``ecg.quarantine.v1`` at their beginning.
    within_s : float
        Longest time Kafka may take for the next records, s.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, sender: Sender, codec: Codec, now: UtcClock, within_s: float
    ) -> None:
        self._consumer = consumer
        self._sender = sender
        self._codec = codec
        self._now = now
        self._within_s = within_s
        self._entries: dict[str, Entry] = {}
        self._reading = asyncio.Lock()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Entries by id, in no particular order."""
        return MappingProxyType(self._entries)

    async def catch_up(self) -> None:
        """Read what was written by anybody before this call.

        Raises
        ------
        BrokerUnavailableError
            When Kafka does not hand it out.
        RetriableError
            When the registry does not tell a schema; nothing is passed over.
        """
        async with self._reading:
            try:
                await self._read_to_end()
            except (KafkaError, TimeoutError) as error:
                raise BrokerUnavailableError(
                    f"{ECG_QUARANTINE} cannot be read ({type(error).__name__}); check the broker, try again"
                ) from error

    async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
        """Write one record, and await every in-sync replica. Written again it changes nothing.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge; the record may or may not have been written.
        """
        headers = envelope(record, stage="quarantine", topic=ECG_QUARANTINE, incoming=(), now=self._now())
        payload = self._codec.encode(record)
        await self._sender.send(ECG_QUARANTINE, record.quarantine_id.encode(), payload, headers)

    async def _read_to_end(self) -> None:
        async with asyncio.timeout(self._within_s):
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets(
                list(self._consumer.assignment())
            )
        while True:
            async with asyncio.timeout(self._within_s):
                due = [at for at, end in ends.items() if await self._consumer.position(at) < end]
                if not due:
                    return
                fetched = await self._fetched(due)
            for at in fetched:
                # The embedded broker counts its last batch as one record; what comes with a fetch is right.
                ends[at] = max(ends[at], self._consumer.highwater(at) or 0)
            self._take_all(fetched)

    async def _fetched(self, due: list[TopicPartition]) -> dict[TopicPartition, list[Any]]:
        while True:
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                *due, timeout_ms=_POLL_MS, max_records=_BATCH_ITEMS
            )
            if fetched:
                return fetched

    def _take_all(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Take what was fetched; what could not be read yet, and what follows it, is fetched again."""
        left = {at: messages[0].offset for at, messages in fetched.items()}
        try:
            for at, messages in fetched.items():
                for message in messages:
                    self._take(message)
                    left[at] = message.offset + 1
        except RetriableError:
            for at, offset in left.items():
                self._consumer.seek(at, offset)
            raise

    def _take(self, message: Any) -> None:
        try:
            record: Any = self._codec.decode(
                message.value or b"", EcgQuarantined, QuarantineAct, headers=tuple(message.headers)
            )
            self._entries[record.quarantine_id] = fold(self._entries.get(record.quarantine_id), record)
        except PoisonError as error:
            _log.warning(
                "quarantine_record_left_out",
                partition=message.partition,
                offset=message.offset,
                code=error.code,
                reason=str(error),
            )
