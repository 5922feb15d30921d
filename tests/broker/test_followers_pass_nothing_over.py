"""A topic followed from a time on: what is written while the follower opens is handed over, and soon."""

import uuid
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.services import RunningBroker
from streams.adapters.kafka_follower import open_follower

PARTITIONS = 16

#: Two requests may each wait behind a fetch, 0.5 s; a second for each partition would be 16 s.
OPENS_WITHIN_S = 5.0


async def test_a_record_that_comes_while_it_opens_is_not_passed_over(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap, topic = broker.bootstrap, f"followed-{uuid.uuid4().hex[:8]}"
    await make(bootstrap, topic)
    asked = AIOKafkaConsumer.offsets_for_times

    async def answered_just_before_a_record(consumer: Any, times: Any) -> Any:
        answer = await asked(consumer, times)
        await write(bootstrap, topic, b"now")
        return answer

    monkeypatch.setattr(AIOKafkaConsumer, "offsets_for_times", answered_just_before_a_record)
    got: list[bytes] = []
    since = datetime.now(UTC) - timedelta(days=1)
    async with open_follower(bootstrap, topic, lambda message: got.append(message.value), since=since):
        assert got == [b"now"]


async def test_opening_takes_no_longer_for_more_partitions(broker: RunningBroker) -> None:
    bootstrap, topic = broker.bootstrap, f"followed-{uuid.uuid4().hex[:8]}"
    await make(bootstrap, topic)
    began = monotonic()
    since = datetime.now(UTC) - timedelta(days=1)
    async with open_follower(bootstrap, topic, lambda message: None, since=since):
        assert monotonic() - began < OPENS_WITHIN_S


async def make(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    finally:
        await admin.close()


async def write(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value)
