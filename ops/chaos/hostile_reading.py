"""What lies on Kafka after hostile messages went through, read record by record and kept small."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from ops.chaos.hostile_verdict import At, Found, Letter
from ops.chaos.starting import PARTITIONS
from ops.topic_reader import RECORDS_OF
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.risk import RiskAssessed
from streams.access import client_options
from streams.dead_letters import CUT_FROM_BYTES, ERROR_CODE, OFFSET, PARTITION, STAGE, TOPIC


def digest(value: bytes | None) -> bytes:
    """Tell values apart; nothing and the empty one are the same, as in a letter without a key."""
    return hashlib.sha256(value or b"").digest()


async def whole_topics(bootstrap: str, topics: Iterable[str]) -> AsyncIterator[Any]:
    """Give every record that lies on topics now, of each partition in order; none is kept."""
    consumer = AIOKafkaConsumer(
        **client_options(bootstrap),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=9 * 2**20,
    )
    await consumer.start()
    try:
        at = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        consumer.assign(at)
        ends = await consumer.end_offsets(at)
        await consumer.seek_to_beginning(*at)
        while left := [tp for tp in at if await consumer.position(tp) < ends[tp]]:
            for records in (await consumer.getmany(*left, timeout_ms=500, max_records=200)).values():
                for record in records:
                    yield record
    finally:
        await consumer.stop()


def place(record: Any) -> At:
    """Where a record lies."""
    return record.topic, record.partition, record.offset


def found(record: Any, codec: Codec) -> Found:
    """Read one record as whoever its topic is for."""
    at = place(record)
    if record.value is None:
        return Found(at=at, code="EMPTY_RECORD")
    try:
        decoded: Any = codec.decode(record.value, *RECORDS_OF[record.topic], headers=tuple(record.headers))
    except PoisonError as error:
        return Found(at=at, code=error.code)
    reasons = decoded.not_scored_reasons if isinstance(decoded, RiskAssessed) else None
    return Found(at=at, ecg_id=getattr(decoded, "ecg_id", ""), reasons=reasons)


def letter(record: Any) -> Letter:
    """Read one dead letter by the headers its stage wrote."""
    headers = {name: (text or b"").decode() for name, text in record.headers if name.startswith("dlq_")}
    return Letter(
        stage=headers[STAGE],
        origin=(headers[TOPIC], int(headers[PARTITION]), int(headers[OFFSET])),
        code=headers[ERROR_CODE],
        digest=None if CUT_FROM_BYTES in headers else digest(record.value),
    )
