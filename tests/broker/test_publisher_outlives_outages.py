"""The publisher through an outage: it waits, writes once, and goes on after a refusal."""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import replace

import pytest
from aiokafka.errors import KafkaError
from feed_storm import dicom_document, written_ids

from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.document import Document
from streams.feeds.producer import open_producer
from streams.feeds.publish import BrokerUnavailableError, EcgPublisher, open_publisher, publish_ecgs
from streams.feeds.read import read
from streams.topology import ECG_RECORDED, ECG_RISK

CODEC = Codec(FileRegistry())
DEADLINE_S = 60.0

#: A request that is not answered for so long is sent again.
REQUEST_S = 2.0


def ecgs_of(n: int, run: int) -> list[EcgRecorded]:
    return [read(Document(content=dicom_document(number, run))).ecg for number in range(n)]


@pytest.mark.parametrize("batch_bytes", [2**20, 2**14], ids=["queued", "queue full"])
async def test_a_stall_longer_than_a_request_may_take_writes_nothing_twice(
    own_apache_broker: RunningBroker, batch_bytes: int
) -> None:
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 2)
    ecgs = ecgs_of(20, 201)
    async with open_producer(
        broker.bootstrap, max_request_bytes=2**20, budget_s=REQUEST_S, max_batch_bytes=batch_bytes
    ) as producer:
        assert producer.is_idempotent
        publisher = EcgPublisher(producer, CODEC, within_s=None)
        await publisher.publish(ecgs[0])
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        sending = [asyncio.create_task(publisher.publish(ecg)) for ecg in ecgs[1:]]
        try:
            # The stall itself: two requests' time, so that each is sent again at least once.
            done, _ = await asyncio.wait(sending, timeout=2.5 * REQUEST_S)
            assert not done
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*sending)
    assert await written_ids(broker.bootstrap) == Counter(ecg.ecg_id for ecg in ecgs)


async def test_after_its_time_a_sender_is_told_and_a_broker_that_comes_back_is_used(
    own_apache_broker: RunningBroker,
) -> None:
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 1)
    first, second = ecgs_of(2, 202)
    async with open_publisher(broker.bootstrap, CODEC, within_s=1.0) as publisher:
        await publisher.publish(first)
        broker.kill()
        with pytest.raises(BrokerUnavailableError, match="send it again"):
            await publisher.publish(second)
        broker.start()
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    await publisher.publish(second)
                    break
                except BrokerUnavailableError:
                    continue
    # The sender did not know, so it may be there twice: finding out is the gateway's part.
    assert set(await written_ids(broker.bootstrap)) == {first.ecg_id, second.ecg_id}


async def test_a_message_that_kafka_refuses_costs_itself_alone(apache_broker: RunningBroker) -> None:
    await apply_topics(apache_broker.bootstrap, 4)
    async with open_producer(apache_broker.bootstrap, max_request_bytes=9 * 2**20, budget_s=30.0) as producer:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(ECG_RISK, value=bytes(4 * 2**20), key=b"k", headers=[])
        for _ in range(3):
            await producer.send_and_wait(ECG_RISK, value=b"x", key=b"k", headers=[])


async def test_the_embedded_broker_is_published_to_without_idempotence(
    embedded_broker: RunningBroker,
) -> None:
    await apply_topics(embedded_broker.bootstrap, 1)
    async with open_producer(embedded_broker.bootstrap, max_request_bytes=2**20, budget_s=30.0) as producer:
        assert not producer.is_idempotent
        at = await producer.send_and_wait(ECG_RECORDED, value=b"x", key=b"k", headers=[])
    assert at.offset == 0


def test_a_program_without_asyncio_publishes_too(embedded_broker: RunningBroker) -> None:
    asyncio.run(apply_topics(embedded_broker.bootstrap, 1))
    ecgs = ecgs_of(2, 203)
    published = publish_ecgs([*ecgs, replace(ecgs[0])], bootstrap=embedded_broker.bootstrap)
    assert [at.ecg_id for at in published] == [ecgs[0].ecg_id, ecgs[1].ecg_id, ecgs[0].ecg_id]
