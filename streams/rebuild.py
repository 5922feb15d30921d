"""The history made anew from ``ecg.risk.v1`` and ``ecg.patient-link.v1``: for a Redis that was emptied."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import Codec
from schemas.errors import RetriableError
from schemas.patient_link import PatientLinked
from schemas.risk import RiskAssessed
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told
from streams.bisection import run_bisecting
from streams.history import HistoryStore
from streams.history_encoding import encode_assessment
from streams.link import encode_link
from streams.topology import ECG_RISK, PATIENT_LINK

R = TypeVar("R")

#: Points per round trip to the store: 500 × 60 bytes stay far below a socket buffer's worth of waiting.
_BATCH_ITEMS: Final = 500

_POLL_MS: Final = 1000

#: Polls in a row that may bring nothing although records are due: 30 s, some failovers' worth.
_MOST_EMPTY_POLLS: Final = 30


class RebuildStalledError(RetriableError):
    """The broker does not answer or hands nothing out; rebuilding again from the start is harmless."""

    code = "REBUILD_STALLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildCounts:
    """How far a rebuild has come.

    Attributes
    ----------
    due : int
        Offsets between begin and end of the topic when the rebuild started; an upper bound of ``read``
        where the topic has gaps.
    read, kept, undecodable : int
        Messages read; points or links handed to the store; messages that are none (dead letters elsewhere).
    """

    due: int = 0
    read: int = 0
    kept: int = 0
    undecodable: int = 0


Progress = Callable[[RebuildCounts], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keeping:
    """How a message becomes what the store keeps, and how it is kept."""

    encode: Callable[[Any], Any]
    keep: Callable[[Sequence[Any]], Awaitable[None]]


async def rebuild_history(
    broker: Broker,
    codec: Codec,
    history: HistoryStore,
    *,
    topic: str = ECG_RISK,
    on_progress: Progress = lambda counts: None,
) -> RebuildCounts:
    """Read all assessments up to the topic's end at the start, and upsert them; wards come back with them.

    Belongs to no consumer group and commits nothing, so the running stages are not disturbed; what arrives
    meanwhile is kept by the history stage. Doing it twice, or beside that stage, changes nothing.

    Parameters
    ----------
    broker : str or KafkaAccess
        ``host:port[,host:port…]``.
    on_progress : callable
        Called with the counts after every batch.

    Raises
    ------
    RebuildStalledError
        When the broker cannot be reached, has no such topic, or hands out nothing for half a minute.
    HistoryUnavailableError
        From the store.
    """

    def encode(message: Any) -> Any:
        return encode_assessment(_decoded(message, codec, RiskAssessed))

    return await _rebuild(broker, topic, _Keeping(encode=encode, keep=history.write), on_progress)


async def rebuild_links(
    broker: Broker,
    codec: Codec,
    history: HistoryStore,
    *,
    topic: str = PATIENT_LINK,
    on_progress: Progress = lambda counts: None,
) -> RebuildCounts:
    """Read all merges up to the topic's end at the start, and link the histories; as :func:`rebuild_history`.

    Doing it twice, or beside the link stage, changes nothing: of each identifier the newest link holds.
    """

    def encode(message: Any) -> Any:
        return encode_link(_decoded(message, codec, PatientLinked))

    return await _rebuild(broker, topic, _Keeping(encode=encode, keep=history.link), on_progress)


async def _rebuild(broker: Broker, topic: str, keeping: _Keeping, on_progress: Progress) -> RebuildCounts:
    # Without a group every partition of the topic is assigned, and there is nowhere to commit to.
    consumer = AIOKafkaConsumer(topic, **client_options(broker), group_id=None, auto_offset_reset="earliest")
    try:
        await consumer.start()
        ends = await _seek_to_begin(consumer)
        return await _read_up_to(ends, consumer, keeping, on_progress)
    except KafkaError as error:
        why = type(error).__name__
        unread = f"{topic} cannot be read from {broker} ({why}); check the broker and the topic"
        raise await told(broker, RebuildStalledError(unread)) from None
    finally:
        await consumer.stop()


async def _seek_to_begin(consumer: Any) -> dict[TopicPartition, int]:
    """Go to the beginning; give the offsets at which to stop, of the partitions that hold anything."""
    partitions = sorted(consumer.assignment())
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, begins[partition])
    return {partition: ends[partition] for partition in partitions if ends[partition] > begins[partition]}


async def _read_up_to(
    ends: Mapping[TopicPartition, int], consumer: Any, keeping: _Keeping, on_progress: Progress
) -> RebuildCounts:
    begins = {at: await consumer.position(at) for at in ends}
    counts, stops, empty_polls = RebuildCounts(), dict.fromkeys(ends, 0), 0
    while [at for at, end in ends.items() if await consumer.position(at) < max(end, stops[at])]:
        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_ITEMS)
        # The embedded broker's list of end offsets counts its last batch as one record; what comes with the
        # first fetch is right on every broker, and later ones are what arrived meanwhile.
        for at in fetched.keys() & stops.keys():
            stops[at] = stops[at] or max(ends[at], consumer.highwater(at))
        empty_polls = 0 if fetched else empty_polls + 1
        if empty_polls > _MOST_EMPTY_POLLS:
            raise RebuildStalledError(
                f"{counts.read} of {counts.due} read; check the broker, then run it again"
            )
        due = sum(max(end, stops[at]) - begins[at] for at, end in ends.items())
        messages = [m for at, ms in fetched.items() for m in ms if m.offset < stops.get(at, 0)]
        counts = await _keep(messages, keeping, replace(counts, due=due))
        on_progress(counts)
    return counts


async def _keep(messages: Sequence[Any], keeping: _Keeping, counts: RebuildCounts) -> RebuildCounts:
    def encoded(some: Sequence[Any]) -> list[Any]:
        return [keeping.encode(message) for message in some]

    # The stage's own guard: what cannot be kept costs itself, here as there. Aside, since a worker that fills
    # its history has heartbeats to send, and the codec may have to ask a registry that does not answer.
    results = await asyncio.to_thread(run_bisecting, "rebuild", encoded, messages)
    kept = [each for each in results if not isinstance(each, Exception)]
    await keeping.keep(kept)
    return replace(
        counts,
        read=counts.read + len(messages),
        kept=counts.kept + len(kept),
        undecodable=counts.undecodable + len(messages) - len(kept),
    )


def _decoded(message: Any, codec: Codec, record_type: type[R]) -> R:
    return codec.decode(message.value or b"", record_type, headers=tuple(message.headers))
