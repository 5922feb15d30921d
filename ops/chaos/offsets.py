"""Where topics end and how far the stages' groups have committed; and reading what lies between two ends."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.topology import (
    ALERT_STATE,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_RECORDED,
    ECG_RISK,
    ROUTES,
    Route,
    dead_letter_topic,
)

#: What a judgement reads: inputs, assessments, alerts and all dead letters of the flow.
JUDGED_TOPICS: Final = (
    ECG_RECORDED,
    ECG_RISK,
    ECG_ALERT,
    *(dead_letter_topic(topic) for topic in (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK)),
)

#: What grows while a seed is played.
WRITTEN_TOPICS: Final = (*JUDGED_TOPICS, ECG_FEATURIZED, ALERT_STATE)

Offsets = dict[TopicPartition, int]


class Watcher:
    """Looks at the cluster past the proxy; belongs to no group and commits nothing."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, partitions: int) -> None:
        self._admin = admin
        self._consumer = consumer
        self._partitions = partitions

    async def ends(self, topics: Sequence[str] = WRITTEN_TOPICS) -> Offsets:
        """Give the offset of the next record of every partition."""
        wanted = [TopicPartition(topic, p) for topic in topics for p in range(self._partitions)]
        ends: Offsets = await self._consumer.end_offsets(wanted)
        return ends

    async def behind(self, routes: Iterable[Route] = tuple(ROUTES.values())) -> dict[str, int]:
        """Count what each stage's group has not committed; stages that committed all are left out.

        Asked in the order of the flow: a stage that is done writes nothing more for the next one.
        """
        behind: dict[str, int] = {}
        for route in routes:
            ends = await self.ends([route.consumes])
            committed = await self._admin.list_consumer_group_offsets(route.group)
            known = {tp: max(at.offset, 0) for tp, at in committed.items()}
            count = sum(abs(end - known.get(tp, 0)) for tp, end in ends.items())
            if count:
                behind[route.stage] = count
        return behind

    async def committed(self, stage: str) -> int:
        """Sum up the offsets that a stage's group has committed."""
        offsets = await self._admin.list_consumer_group_offsets(ROUTES[stage].group)
        return sum(max(int(at.offset), 0) for at in offsets.values())

    async def read(self, begins: Offsets, ends: Offsets) -> list[Any]:
        """Read every record between two looks at the ends, of each partition in order."""
        spans = {tp: end for tp, end in ends.items() if end > begins.get(tp, 0)}
        self._consumer.assign(list(spans))
        for tp in spans:
            self._consumer.seek(tp, begins.get(tp, 0))
        records: list[Any] = []
        left = list(spans)
        while left:
            for tp, batch in (await self._consumer.getmany(*left, timeout_ms=1000)).items():
                records += [record for record in batch if record.offset < spans[tp]]
            left = [tp for tp in left if await self._consumer.position(tp) < spans[tp]]
        self._consumer.unsubscribe()
        return records

    async def forget(self, ends: Offsets, topics: Sequence[str]) -> None:
        """Delete what lies before these ends, so that a long campaign does not fill the disk."""
        gone = {
            tp: RecordsToDelete(before_offset=end)
            for tp, end in ends.items()
            if tp.topic in topics and end > 0
        }
        if gone:
            await self._admin.delete_records(gone)


@asynccontextmanager
async def watching(bootstrap: str, partitions: int) -> AsyncIterator[Watcher]:
    """Connect a watcher."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=9 * 2**20,
        fetch_max_wait_ms=100,
    )
    try:
        await admin.start()
        await consumer.start()
        yield Watcher(admin, consumer, partitions)
    finally:
        await consumer.stop()
        await admin.close()


def moved(begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], topic: str) -> int:
    """Count the records of a topic between two looks."""
    return sum(end - begins.get(tp, 0) for tp, end in ends.items() if tp.topic == topic)
