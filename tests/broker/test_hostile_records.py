"""Records that Kafka takes although no client of ours would write them; a worker outlives each of them."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.services import RunningBroker
from streams.dead_letters import CUT_FROM_BYTES, ERROR_CODE, KEPT_VALUE_BYTES, OFFSET
from streams.settings import Settings

TOY_WORKER = Path(__file__).with_name("toy_worker.py")
LIMIT = 2 * 2**20
LARGE = [b"A" * (3 * 2**20), b"B" * (20 * 2**20)]  # over the topic's limit, over the producer's own
GOOD = json.dumps({"patient_id": "p", "number": 1}).encode()
TIMES_MS = [2**61, -(2**61), 2**63 - 1]


@pytest.fixture
def prefix(broker: RunningBroker, tmp_path: Path) -> Iterator[str]:
    """Topics of this test, and a worker on them."""
    prefix = f"hostile{uuid.uuid4().hex[:8]}"
    asyncio.run(create([f"{prefix}.{name}" for name in ("in", "in.dlq", "out")], broker.bootstrap))
    settings = Settings(broker=broker.bootstrap, home=tmp_path, session_timeout_s=6, commit_every_s=0.5)
    command = [sys.executable, str(TOY_WORKER), "echo", prefix, settings.model_dump_json()]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
    yield prefix
    assert worker.poll() is None, (tmp_path / "worker.log").read_text()
    worker.kill()
    worker.wait()


async def create(names: list[str], bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    # Apache Kafka takes any past time, and any future one where a site says so.
    configuration = {"max.message.bytes": str(LIMIT), "message.timestamp.after.max.ms": str(2**63 - 1)}
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configuration) for name in names])
    await admin.close()


async def publish_hostile_then_good(bootstrap: str, topic: str) -> None:
    # Compressed, these 23 MB are 25 kB.
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, max_request_size=64 * 2**20, compression_type="gzip"
    ) as producer:
        for value in LARGE:
            await producer.send_and_wait(topic, value, key=b"p")
        for timestamp_ms in TIMES_MS:
            await producer.send_and_wait(topic, GOOD, key=b"p", timestamp_ms=timestamp_ms)
        await producer.send_and_wait(topic, b"garbage", key=b"k" * 2**20)
        await producer.send_and_wait(topic, GOOD, key=b"last")


async def collected(bootstrap: str, prefix: str, n_records: int) -> dict[str, list[Any]]:
    records: dict[str, list[Any]] = {f"{prefix}.out": [], f"{prefix}.in.dlq": []}
    consumer = AIOKafkaConsumer(
        *records, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2**25
    )
    async with asyncio.timeout(60), consumer:
        while sum(map(len, records.values())) < n_records:
            for at, fetched in (await consumer.getmany(timeout_ms=200)).items():
                records[at.topic].extend(fetched)
    return records


async def test_a_worker_outlives_records_that_swell_and_times_that_are_none(
    broker: RunningBroker, prefix: str
) -> None:
    await publish_hostile_then_good(broker.bootstrap, f"{prefix}.in")
    records = await collected(broker.bootstrap, prefix, len(LARGE) + len(TIMES_MS) + 2)
    assert len(records[f"{prefix}.out"]) == len(TIMES_MS) + 1
    letters = {int(dict(letter.headers)[OFFSET]): letter for letter in records[f"{prefix}.in.dlq"]}
    assert letters.keys() == {0, 1, len(LARGE) + len(TIMES_MS)}
    swollen = letters[1]
    headers = dict(swollen.headers)
    assert headers[ERROR_CODE] == b"PAYLOAD_TOO_LARGE"
    assert headers[CUT_FROM_BYTES] == str(len(LARGE[1])).encode()
    assert swollen.value == LARGE[1][:KEPT_VALUE_BYTES]
