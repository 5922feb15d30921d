"""Which partitions a topic has, asked so that the question makes no topic."""

from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.errors import ConfigurationError
from streams.access import Broker, client_options, kafka_access
from streams.adapters.kafka_rights import require_rights
from streams.rights import topic_right

_REQUEST_MS: Final = 40_000


async def partitions_of(broker: Broker, topic: str, request_ms: int = _REQUEST_MS) -> list[TopicPartition]:
    """List the partitions of a topic that we are to read, in order.

    A topic is asked about by name only when it is there: asking a consumer's way makes it, with a wrong
    number of partitions.

    Raises
    ------
    KafkaError
        When no broker answers.
    RightMissingError
        When we may not read it; Kafka then says that it is not there.
    ConfigurationError
        When there is no such topic.
    """
    admin = AIOKafkaAdminClient(**client_options(broker), request_timeout_ms=request_ms)
    try:
        await admin.start()
        await require_rights(admin, kafka_access(broker), [topic_right(topic, "Read")])
        if topic not in await admin.list_topics():
            raise ConfigurationError(f"topic {topic} does not exist; run: diastole topics apply")
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return sorted(TopicPartition(topic, partition["partition"]) for partition in described["partitions"])
