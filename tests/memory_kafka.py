"""Kafka as lists in memory, for flow tests: topics with partitions, offsets and committed positions."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from schemas.codec import Codec
from schemas.registry import FileRegistry
from streams.message import Message, Outgoing
from streams.metrics import StageMetrics
from streams.progress import Progress
from streams.runner import StageRunner
from streams.settings import Settings
from streams.stage import Stage
from streams.topology import route_of
from streams.wiring import build_runner

PARTITIONS = 3


class MemoryKafka:
    """An append-only log per topic and partition; a real key always lands in the same partition."""

    def __init__(self) -> None:
        self._logs: dict[str, list[list[Message]]] = defaultdict(lambda: [[] for _ in range(PARTITIONS)])

    def append(self, outgoing: Outgoing) -> None:
        partition = outgoing.partition
        if partition is None:
            partition = zlib.crc32(outgoing.key or b"") % PARTITIONS
        log = self._logs[outgoing.topic][partition]
        log.append(
            Message(
                topic=outgoing.topic,
                partition=partition,
                offset=len(log),
                key=outgoing.key,
                value=outgoing.value,
                headers=outgoing.headers,
                timestamp=datetime.now(UTC),
            )
        )

    def log(self, topic: str, partition: int) -> list[Message]:
        return self._logs[topic][partition]

    def messages(self, topic: str) -> list[Message]:
        """All messages of a topic, partition by partition."""
        return [message for log in self._logs[topic] for message in log]


class MemoryTransport:
    """Reads one topic of a MemoryKafka for one stage; refuses acknowledgements out of order."""

    def __init__(self, kafka: MemoryKafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self.committed = [0] * PARTITIONS

    def uncommitted(self) -> list[Message]:
        """What a stage that starts now has to read, round-robin over the partitions."""
        waiting = [self._kafka.log(self._topic, p)[self.committed[p] :] for p in range(PARTITIONS)]
        longest = max(map(len, waiting))
        return [log[i] for i in range(longest) for log in waiting if i < len(log)]

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        for message in outgoing:
            self._kafka.append(message)

    async def acknowledge(self, message: Message) -> None:
        assert message.offset == self.committed[message.partition], "acknowledged over a gap"
        self.committed[message.partition] += 1

    def forget(self, message: Message) -> None:
        raise AssertionError("nothing is to be forgotten in a flow without rebalances")


class MemoryState:
    """State per patient, read back from its topic like the real one."""

    def __init__(self, kafka: MemoryKafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._states: dict[tuple[int, bytes], bytes] = {}
        self._restored: set[int] = set()

    async def restore(self, partitions: set[int]) -> None:
        for partition in partitions - self._restored:
            for message in self._kafka.log(self._topic, partition):
                assert message.key is not None
                assert message.value is not None
                self._states[partition, message.key] = message.value
        self._restored |= partitions

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self._states.get((partition, key))

    def keep(self, partition: int, key: bytes, state: bytes) -> None:
        self._states[partition, key] = state

    async def write(self, changes: dict[tuple[int, bytes], bytes]) -> None:
        for (partition, key), state in changes.items():
            self._kafka.append(Outgoing(topic=self._topic, key=key, value=state, partition=partition))

    def drop(self) -> None:
        self._states.clear()
        self._restored.clear()


async def run_stage(stage: Stage[Any], kafka: MemoryKafka, settings: Settings) -> MemoryTransport:
    """Give a stage everything its topic holds, wait until all of it is acknowledged, and drain."""
    route = route_of(stage.name)
    transport = MemoryTransport(kafka, route.consumes)
    progress = Progress(monotonic)
    with ThreadPoolExecutor(1) as executor:
        runner = build_runner(
            stage,
            route,
            codec=Codec(FileRegistry()),
            transport=transport,
            executor=executor,
            settings=settings,
            metrics=StageMetrics(stage.name),
            progress=progress,
            state=MemoryState(kafka, route.remembers) if route.remembers else None,
        )
        await _feed(runner, transport)
    return transport


async def _feed(runner: StageRunner, transport: MemoryTransport) -> None:
    working = asyncio.create_task(runner.run())
    try:
        for message in transport.uncommitted():
            await runner.admit(message)
        assert await runner.drain(120.0), "the stage did not finish what it was given"
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
