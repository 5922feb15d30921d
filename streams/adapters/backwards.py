"""A topic read from its end towards its beginning: for what the newest records say, however long it is."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import RetriableError
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told
from streams.adapters.topic_partitions import partitions_of

_FETCH_MS: Final = 1000
#: Fetches in a row that may bring nothing although records are due: 30 s, some failovers' worth.
_MOST_EMPTY_FETCHES: Final = 30
#: Each window reaches so many times further back: few windows, and at most as much again as was asked for.
_WIDER: Final = 2

#: First offset, and the one behind the last.
Range = tuple[int, int]


class TopicUnreadableError(RetriableError):
    """The broker does not answer or hands nothing out; reading again is harmless."""

    code = "TOPIC_UNREADABLE"


@asynccontextmanager
async def open_backwards(
    broker: Broker, topic: str, window_items: int
) -> AsyncIterator[AsyncIterator[list[Any]]]:
    """Connect to a topic and yield its windows: Kafka records in rising offsets, the newest window first.

    It joins no consumer group and changes nothing.

    Parameters
    ----------
    window_items : int
        Offsets of each partition in the first window; each further one holds twice as many.

    Raises
    ------
    TopicUnreadableError
        When no broker answers, or hands nothing out for half a minute.
    ConfigurationError
        When there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
    )
    try:
        partitions = await partitions_of(broker, topic)
        await consumer.start()
        consumer.assign(partitions)
        async with aclosing(_windows(consumer, partitions, window_items)) as windows:
            yield windows
    except (KafkaError, OSError) as error:
        unread = f"{topic} cannot be read from {broker} ({type(error).__name__}); check the broker"
        raise await told(broker, TopicUnreadableError(unread)) from None
    finally:
        await consumer.stop()


async def _windows(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], window_items: int
) -> AsyncGenerator[list[Any], None]:
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    is_first = True
    while any(ends[at] > begins[at] for at in partitions):
        starts = {at: max(begins[at], ends[at] - window_items) for at in partitions}
        ranges = {at: (starts[at], ends[at]) for at in partitions if ends[at] > starts[at]}
        yield await _read(consumer, ranges, to_high_water=is_first)
        ends, window_items, is_first = starts, _WIDER * window_items, False


async def _read(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, Range], *, to_high_water: bool
) -> list[Any]:
    """Read the ranges; ``to_high_water`` on to what comes with a fetch as the end."""
    # The embedded broker's list of end offsets counts its last batch as one record; what comes with the
    # first fetch is right on every broker.
    ends = {at: end for at, (_, end) in ranges.items()}
    for at, (start, _) in ranges.items():
        consumer.seek(at, start)
    records: list[Any] = []
    empty_fetches = 0
    while left := [at for at, end in ends.items() if await consumer.position(at) < end]:
        fetched = await consumer.getmany(*left, timeout_ms=_FETCH_MS)
        empty_fetches = 0 if fetched else empty_fetches + 1
        if empty_fetches > _MOST_EMPTY_FETCHES:
            raise TopicUnreadableError(f"{len(records)} records read, then none came; check the broker")
        for at, batch in fetched.items():
            if to_high_water and ends[at] == ranges[at][1]:
                ends[at] = max(ends[at], consumer.highwater(at) or 0)
            records += [record for record in batch if record.offset < ends[at]]
    return records
