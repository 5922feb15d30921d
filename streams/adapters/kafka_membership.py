"""Sharing partitions among processes of a kind: Kafka's consumer group, used for nothing but that.

Who needs a whole topic reads it without a group; who may act on which part of it is said here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from schemas.errors import RetriableError
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told

log = structlog.get_logger()

#: Told the partitions that are ours from now on, all of them; and, before they go, that none is any more.
OnChange = Callable[[frozenset[int]], Awaitable[None]]

#: A member notices that another one came or went within this time, ms.
_HEARTBEAT_MS: Final = 1000

_POLL_MS: Final = 1000
_PAUSE_S: Final = 0.5
_JOIN_S: Final = 30.0


class MembershipError(RetriableError):
    """The group could not be joined; trying again may help."""

    code = "MEMBERSHIP"


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self.consumer: AIOKafkaConsumer | None = None

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        await self._on_change(frozenset())

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        if self.consumer is not None:
            self.consumer.pause(*assigned)  # nothing is read here
        partitions = frozenset(at.partition for at in assigned)
        log.info("partitions_assigned", partitions=sorted(partitions))
        await self._on_change(partitions)


@asynccontextmanager
async def open_membership(
    broker: Broker, topic: str, group: str, on_change: OnChange, *, session_timeout_s: float
) -> AsyncIterator[None]:
    """Be a member of a group while the context lasts; leaving it hands the partitions over at once.

    Parameters
    ----------
    on_change : callable
        Awaited before the group goes on: as long as it takes to stop, the others wait (a minute at most).
    session_timeout_s : float
        The partitions of a member that was killed go to the others after this long, s.

    Raises
    ------
    MembershipError
        When no broker answers.
    """
    listener = _Listener(on_change)
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        session_timeout_ms=int(session_timeout_s * 1000),
        heartbeat_interval_ms=_HEARTBEAT_MS,
    )
    listener.consumer = consumer
    consumer.subscribe([topic], listener=listener)
    try:
        async with asyncio.timeout(_JOIN_S):
            await consumer.start()
    except (KafkaError, TimeoutError) as error:
        await consumer.stop()
        alone = f"the group {group} cannot be joined at {broker} ({type(error).__name__}); check the broker"
        raise await told(broker, MembershipError(alone)) from None
    staying = asyncio.create_task(_stay(consumer))
    try:
        yield
    finally:
        staying.cancel()
        await asyncio.wait({staying})
        await consumer.stop()


async def _stay(consumer: AIOKafkaConsumer) -> None:
    """Poll, or the client takes us for dead and leaves the group."""
    while True:
        try:
            await consumer.getmany(timeout_ms=_POLL_MS)
        except KafkaError as error:
            log.warning("membership_waits", code=type(error).__name__)
            await asyncio.sleep(_PAUSE_S)
