"""A worker with a memory starts only where Kafka keeps that memory."""

import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ops.services import RunningBroker
from ops.topics import TopicSpec, apply_topics, create_topics
from streams.adapters.kafka_probe import KafkaProbe, StateForgottenError
from streams.topology import state_topics


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
async def test_a_state_topic_from_which_states_are_deleted_is_refused(
    broker: RunningBroker, policy: str
) -> None:
    topic = f"state-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    spec = TopicSpec(name=topic, partitions=1, replication=1, configuration={"cleanup.policy": policy})
    await create_topics(admin, [spec])
    await admin.close()
    probe = KafkaProbe(broker.bootstrap, "nobody")
    try:
        with pytest.raises(
            StateForgottenError, match=f"{topic} has cleanup.policy {policy}; set it to compact"
        ):
            await probe.require_compacted(topic)
    finally:
        await probe.close()


async def test_the_state_topics_we_make_ourselves_are_accepted(broker: RunningBroker) -> None:
    await apply_topics(broker.bootstrap, partitions=4)
    probe = KafkaProbe(broker.bootstrap, "nobody")
    for topic in state_topics():
        await probe.require_compacted(topic)
    await probe.close()
