"""The quarantine connected to Kafka: its records, its content, its key."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.codec import Codec
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told
from streams.adapters.topic_partitions import partitions_of
from streams.feeds.producer import no_broker, open_producer
from streams.feeds.publish import WITHIN_S
from streams.feeds.quarantine.content import QuarantineContent
from streams.feeds.quarantine.log import QuarantineLog
from streams.feeds.quarantine.packing import PIECE_BYTES
from streams.feeds.quarantine.ports import HoldsContent, KnowsEntries
from streams.feeds.quarantine.sending import Sender
from streams.feeds.sealing import QUARANTINE, Sealer, Secret
from streams.feeds.settings import FeedSettings
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_QUARANTINE, ECG_QUARANTINE_CONTENT

#: A piece with its seal, key and framing.
_MAX_REQUEST_BYTES: Final = PIECE_BYTES + 2**16

#: The embedded broker sits an empty fetch out; Apache Kafka answers at once when something arrives.
_FETCH_MS: Final = 50

#: One request may wait so long for its answer, ms; a sender waits for several.
_REQUEST_MS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuarantineStore:
    """What is in quarantine, as it lies on Kafka.

    Attributes
    ----------
    sealer : Sealer or None
        Seals what names patients; None where the gateway has no key.
    """

    log: KnowsEntries
    content: HoldsContent
    sealer: Sealer | None = None


@asynccontextmanager
async def open_quarantine(
    broker: Broker,
    codec: Codec,
    sealer: Sealer | None = None,
    now: UtcClock = utc_now,
    *,
    within_s: float = WITHIN_S,
) -> AsyncIterator[QuarantineStore]:
    """Connect, and read all records there are; leaving the context disconnects.

    Any number of processes may have it open: each reads what the others wrote before it acts.

    Parameters
    ----------
    within_s : float
        Longest time one message to Kafka may take, s.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    ConfigurationError
        When the topics are not there.
    """
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(
            open_producer(broker, max_request_bytes=_MAX_REQUEST_BYTES, budget_s=within_s)
        )
        sender = Sender(producer, within_s)
        try:
            partitions = await partitions_of(broker, ECG_QUARANTINE, _REQUEST_MS)
            await partitions_of(broker, ECG_QUARANTINE_CONTENT, _REQUEST_MS)
            records = await stack.enter_async_context(_consumer(broker))
            pieces = await stack.enter_async_context(_consumer(broker))
            records.assign(partitions)
            await records.seek_to_beginning(*partitions)
        except KafkaError as error:
            raise await told(broker, no_broker(broker, error)) from error
        log = QuarantineLog(records, sender, codec, now, within_s)
        await log.catch_up()
        yield QuarantineStore(log=log, content=QuarantineContent(pieces, sender, sealer), sealer=sealer)


def sealer_of(feed_settings: FeedSettings) -> Sealer | None:
    """Sealer with the gateway's key; None where it has none.

    Raises
    ------
    ConfigurationError
        When the key file is not as it must be.
    """
    key_file = feed_settings.key_file
    return None if key_file is None else Secret.load(key_file).sealer(QUARANTINE)


@asynccontextmanager
async def _consumer(broker: Broker) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=_REQUEST_MS,
        fetch_max_wait_ms=_FETCH_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
