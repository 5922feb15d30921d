"""A whole topic read to its end and then followed, without a group: for what must be known in full."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import ConfigurationError, RetriableError
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told
from streams.adapters.topic_partitions import partitions_of

log = structlog.get_logger()

_POLL_MS: Final = 500
_PAUSE_S: Final = 0.5

#: Takes one Kafka record in; must not raise.
OnRecord = Callable[[Any], None]


class TopicBehindError(RetriableError):
    """A topic could not be read to its end in time; nothing was decided on half of it."""

    code = "TOPIC_BEHIND"


class TopicFollower:
    """Hands every record of a topic to ``on_record``, in order per partition, and goes on for ever."""

    def __init__(
        self, consumer: Any, topic: str, partitions: list[TopicPartition], on_record: OnRecord
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._partitions = partitions
        self._on_record = on_record
        self._moved = asyncio.Condition()

    async def catch_up(self, budget_s: float) -> None:
        """Return when everything that the topic holds now has been handed over.

        Raises
        ------
        TopicBehindError
            When that takes longer than the budget.
        """
        try:
            async with asyncio.timeout(budget_s):
                ends = await self._consumer.end_offsets(self._partitions)
                async with self._moved:
                    while not await self._is_at(ends):
                        await self._moved.wait()
        except (KafkaError, TimeoutError) as error:
            raise TopicBehindError(
                f"{self._topic} was not read to its end in {budget_s:g} s ({type(error).__name__}); "
                "check the broker and try again"
            ) from None

    async def run(self) -> None:
        """Follow the topic until cancelled; while Kafka is away, wait for it."""
        while True:
            try:
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError as error:
                log.warning("following_waits", topic=self._topic, code=type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            for records in fetched.values():
                for record in records:
                    self._on_record(record)
            async with self._moved:
                self._moved.notify_all()

    async def _is_at(self, ends: dict[TopicPartition, int]) -> bool:
        # The embedded broker counts its last batch as one record in its list of ends; what comes with a fetch
        # is right on every broker.
        for at, end in ends.items():
            if await self._consumer.position(at) < max(end, self._consumer.highwater(at) or 0):
                return False
        return True


@asynccontextmanager
async def open_follower(
    broker: Broker, topic: str, on_record: OnRecord, budget_s: float = 60.0, since: datetime | None = None
) -> AsyncIterator[TopicFollower]:
    """Read a topic from its beginning to its end, then follow it while the context lasts.

    It joins no consumer group and changes nothing.

    Parameters
    ----------
    budget_s : float
        Longest time until the end is reached.
    since : datetime or None
        Begin with the first record Kafka took at this time or later (aware); None begins with the first kept.

    Raises
    ------
    TopicBehindError
        When no broker answers, or the end is not reached in time.
    ConfigurationError
        When there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        **client_options(broker), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        partitions = await partitions_of(broker, topic)
        await consumer.start()
        consumer.assign(partitions)
        await _seek(consumer, partitions, since)
    except KafkaError as error:
        await consumer.stop()
        unread = f"{topic} cannot be read from {broker} ({type(error).__name__}); check the broker"
        raise await told(broker, TopicBehindError(unread)) from None
    except ConfigurationError:
        await consumer.stop()
        raise
    follower = TopicFollower(consumer, topic, partitions, on_record)
    following = asyncio.create_task(follower.run())
    try:
        await follower.catch_up(budget_s)
        yield follower
    finally:
        following.cancel()
        await asyncio.wait({following})
        await consumer.stop()


async def _seek(consumer: Any, partitions: list[TopicPartition], since: datetime | None) -> None:
    if since is None:
        await consumer.seek_to_beginning(*partitions)
        return
    # The ends are asked before the times: a record that comes between the two answers is not passed over.
    ends = await consumer.end_offsets(partitions)
    begin_ms = max(0, int(since.timestamp() * 1000))
    for at, found in (await consumer.offsets_for_times(dict.fromkeys(partitions, begin_ms))).items():
        consumer.seek(at, ends[at] if found is None else found.offset)
