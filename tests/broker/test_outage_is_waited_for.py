"""Kafka gone under a real producer, also one so full that it takes no more: that is waited for."""

from collections.abc import AsyncIterator, Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from ops.services import RunningBroker
from streams.adapters.kafka_transport import FaustTransport, KafkaUnavailableError
from streams.message import Outgoing

TOPIC = "outage"
LARGE = b"." * 80_000


class FaustLikeProducer:
    """Faust's way of sending over the client itself, impatient enough for a test."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self._client = client

    async def send(
        self, topic: str, key: bytes, value: bytes, partition: int, timestamp: None, headers: Any
    ) -> Awaitable[Any]:
        try:
            return await self._client.send(topic, value, key, partition, timestamp, headers)  # type: ignore[no-any-return]
        except KafkaError as error:
            raise ProducerSendError("Error while sending") from error


@pytest.fixture
async def transport(embedded_broker: RunningBroker) -> AsyncIterator[FaustTransport]:
    client = AIOKafkaProducer(
        bootstrap_servers=embedded_broker.bootstrap, request_timeout_ms=2000, max_batch_size=2**20
    )
    async with client:
        await client.send_and_wait(TOPIC, b"first", key=b"a", partition=0)
        yield FaustTransport(SimpleNamespace(producer=FaustLikeProducer(client)))


def outgoing(n_patients: int, n_each: int) -> list[Outgoing]:
    return [
        Outgoing(topic=TOPIC, key=f"p{patient}".encode(), value=b"%d%s" % (number, LARGE), partition=0)
        for number in range(n_each)
        for patient in range(n_patients)
    ]


async def test_an_outage_under_a_full_producer_is_waited_for_each_time(
    embedded_broker: RunningBroker, transport: FaustTransport
) -> None:
    sent = outgoing(n_patients=30, n_each=2)  # 30 at a time are two batches and a half
    embedded_broker.kill()
    for _ in range(2):
        with pytest.raises(KafkaUnavailableError):
            await transport.send(sent)
