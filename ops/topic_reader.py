"""Reading topics without a consumer group: for tail, the demo and the bench, which must disturb nobody."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.codec import Codec
from schemas.errors import ConfigurationError, PoisonError
from schemas.featurized import EcgFeaturized
from schemas.feed import FeedHealth
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, QuarantineAct
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.access import Broker, client_options, kafka_access
from streams.adapters.kafka_rights import require_rights
from streams.adapters.kafka_trouble import told
from streams.feeds.producer import no_broker
from streams.kafka_time import instant_of
from streams.message import Message
from streams.rights import topic_right
from streams.topology import (
    CARE_AUDIT,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_QUARANTINE,
    ECG_RECORDED,
    ECG_RISK,
    ECG_RISK_SILENT,
    FEED_HEALTH,
    PATIENT_LINK,
    SILENT_ROUTE,
    TOPICS,
    WAVEFORM_ROUTE,
)

#: What each topic carries; its dead letters carry the same, but for those of stages that only look on.
RECORDS_OF: Final[dict[str, tuple[type, ...]]] = {
    ECG_RECORDED: (EcgRecorded,),
    ECG_FEATURIZED: (EcgFeaturized,),
    ECG_RISK: (RiskAssessed,),
    ECG_RISK_SILENT: (RiskAssessed,),
    SILENT_ROUTE.dead_letters: (EcgFeaturized,),
    WAVEFORM_ROUTE.dead_letters: (EcgFeaturized,),
    ECG_ALERT: (AlertRaised, AlertClosed, TechnicalAlarm),
    CARE_AUDIT: (CareAction,),
    ECG_QUARANTINE: (EcgQuarantined, QuarantineAct),
    FEED_HEALTH: (FeedHealth,),
    PATIENT_LINK: (PatientLinked,),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One message with what it decodes to: a record, or why it does not."""

    message: Message
    record: Any | PoisonError


class TopicReader:
    """Reads all partitions of some topics, in order per partition."""

    def __init__(self, consumer: AIOKafkaConsumer, codec: Codec) -> None:
        self._consumer = consumer
        self._codec = codec

    async def poll(self, timeout_s: float) -> list[Seen]:
        """Return what arrived, waiting at most ``timeout_s``; empty when nothing did."""
        fetched = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000))
        return [self._seen(raw) for batch in fetched.values() for raw in batch]

    async def __aiter__(self) -> AsyncIterator[Seen]:
        """Yield what arrives, without end."""
        while True:
            for seen in await self.poll(1.0):
                yield seen

    def _seen(self, raw: Any) -> Seen:
        message = message_of(raw)
        return Seen(message=message, record=decoded(message, self._codec))


def message_of(raw: Any) -> Message:
    """Take over a record as Kafka's client hands it out."""
    return Message(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        key=raw.key,
        value=raw.value,
        headers=tuple(raw.headers),
        timestamp=instant_of(raw.timestamp),
    )


def decoded(message: Message, codec: Codec) -> Any | PoisonError:
    """Decode a message as what its topic carries, a dead letter as what its source does, or say why not."""
    source = message.topic.removesuffix(".dlq")
    expected = RECORDS_OF.get(message.topic, RECORDS_OF.get(source, ()))
    try:
        return codec.decode(message.value or b"", *expected, headers=message.headers)
    except PoisonError as error:
        return error


@asynccontextmanager
async def open_topic_reader(
    broker: Broker, topics: Sequence[str], codec: Codec, *, from_beginning: bool
) -> AsyncIterator[TopicReader]:
    """Connect a reader; with ``from_beginning`` False it yields only what arrives from now on.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    ConfigurationError
        When a topic does not exist.
    """
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
        fetch_max_wait_ms=100,
    )
    try:
        partitions = await _partitions(broker, topics)
        await consumer.start()
        await _assign(consumer, partitions, from_beginning)
    except KafkaError as error:
        await consumer.stop()
        raise await told(broker, no_broker(broker, error)) from error
    except ConfigurationError:
        await consumer.stop()
        raise
    try:
        yield TopicReader(consumer, codec)
    finally:
        await consumer.stop()


async def _partitions(broker: Broker, topics: Sequence[str]) -> list[TopicPartition]:
    """Ask the cluster: a consumer's own metadata may be older than the topics."""
    admin = AIOKafkaAdminClient(**client_options(broker))
    try:
        await admin.start()
        await require_rights(admin, kafka_access(broker), [topic_right(topic, "Read") for topic in topics])
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic not in existing]
        if missing:
            raise ConfigurationError(
                f"topic {', '.join(missing)} does not exist; create Diastole's topics with: "
                f"diastole topics apply (its topics are {', '.join(TOPICS)} and each with .dlq)"
            )
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


async def _assign(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], from_beginning: bool
) -> None:
    consumer.assign(partitions)
    if from_beginning:
        await consumer.seek_to_beginning(*partitions)
    else:
        await consumer.seek_to_end(*partitions)
