"""An empty fetch comes back soon. The hooks for that are private, so the running fetcher itself is asked."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from ops.services import RunningBroker
from ops.topics import apply_topics
from streams.adapters.kafka_app import build_app
from streams.adapters.prompt_fetch import FETCH_MAX_WAIT_MS
from streams.settings import Settings
from streams.topology import ECG_RECORDED


async def test_the_running_fetcher_waits_as_briefly_as_we_say(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    await apply_topics(embedded_broker.bootstrap, partitions=1)
    settings = Settings(broker=embedded_broker.bootstrap, home=tmp_path, session_timeout_s=6)
    fetched = asyncio.Event()

    async def on_event(event: Any) -> None:
        event.ack()
        fetched.set()

    app = build_app(f"prompt-{uuid.uuid4().hex[:8]}", ECG_RECORDED, on_event, settings)
    await app.start()
    try:
        async with AIOKafkaProducer(bootstrap_servers=embedded_broker.bootstrap) as producer:
            await producer.send_and_wait(ECG_RECORDED, b"anything")
        await asyncio.wait_for(fetched.wait(), 60)
        fetcher = app.consumer._thread._consumer._fetcher
        assert fetcher._fetch_max_wait_ms == FETCH_MAX_WAIT_MS
    finally:
        await app.stop()
