"""Whoever looks at a topic sees every message on it, whatever its time and wherever it names its schema."""

from types import SimpleNamespace
from typing import Any

import pytest
from assessments import assessed

from ops.topic_reader import Seen, TopicReader
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.wire import SCHEMA_ID_HEADER
from streams.kafka_time import EARLIEST, LATEST
from streams.topology import ECG_RISK

CODEC = Codec(FileRegistry())
VALUE = CODEC.encode(assessed(1, 0.25))


async def seen(**given: Any) -> Seen:
    raw = {"topic": ECG_RISK, "partition": 0, "offset": 1, "key": b"k", "value": VALUE, "headers": ()}
    record = SimpleNamespace(**{**raw, "timestamp": 0, **given})

    class Consumer:
        async def getmany(self, timeout_ms: int) -> dict[int, list[Any]]:
            return {0: [record]}

    (only,) = await TopicReader(Consumer(), CODEC).poll(0.0)  # type: ignore[arg-type]
    return only


@pytest.mark.parametrize(("timestamp_ms", "shown"), [(2**61, LATEST), (-(2**61), EARLIEST)])
async def test_a_time_that_is_no_date_is_shown_as_the_nearest(timestamp_ms: int, shown: object) -> None:
    assert (await seen(timestamp=timestamp_ms)).message.timestamp == shown


async def test_a_schema_named_in_a_header_is_found() -> None:
    read = await seen(value=VALUE[5:], headers=((SCHEMA_ID_HEADER, VALUE[:5]),))
    assert read.record.ecg_id == assessed(1, 0.25).ecg_id
