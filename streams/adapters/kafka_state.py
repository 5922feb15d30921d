"""Patients' states in a compacted Kafka topic, one partition of it per partition of the stage's input.

Why no Faust Table: its changelog records go through a buffer whose flush before a commit can return while a
record has been taken out of the buffer and not yet handed to the producer, and its recovery cannot be awaited
per partition. Here a change is durable when :meth:`KafkaState.write` returns, and a partition's state is
complete when :meth:`KafkaState.restore` returns; both are plain awaits in the runner.
"""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.access import Broker, client_options
from streams.adapters.kafka_transport import KafkaUnavailableError
from streams.message import Outgoing, Transport

_FETCH_MS = 500


class KafkaState:
    """Implements :class:`streams.message.StateStore` on ``topic``.

    The key of a record is the patient's, its value the state; its partition is that of the input that moved
    the state, so it is restored by whoever is assigned that input.
    """

    def __init__(self, broker: Broker, topic: str, transport: Transport) -> None:
        self._broker = broker
        self._topic = topic
        self._transport = transport
        self._states: dict[int, dict[bytes, bytes]] = {}

    async def restore(self, partitions: set[int]) -> None:
        """Read the missing partitions from their beginning to the end they have now.

        Raises
        ------
        KafkaUnavailableError
            When they cannot be read now.
        """
        missing = partitions - self._states.keys()
        if not missing:
            return
        try:
            self._states.update(await read_states(self._broker, self._topic, missing))
        except KafkaError as error:
            raise KafkaUnavailableError(
                f"state cannot be restored from {self._topic}: {type(error).__name__}"
            ) from None

    def get(self, partition: int, key: bytes) -> bytes | None:
        """State of one patient, None when there is none yet."""
        return self._states[partition].get(key)

    def keep(self, partition: int, key: bytes, state: bytes) -> None:
        """Remember a change; it is lost in a crash until it is written."""
        self._states[partition][key] = state

    async def write(self, changes: dict[tuple[int, bytes], bytes]) -> None:
        """Write changes to Kafka and await its acknowledgement; writing them again changes nothing."""
        await self._transport.send(
            [
                Outgoing(topic=self._topic, key=key, value=state, partition=partition)
                for (partition, key), state in changes.items()
            ]
        )

    def drop(self) -> None:
        """Forget every partition; each is read again when next needed."""
        self._states.clear()


async def read_states(broker: Broker, topic: str, partitions: Iterable[int]) -> dict[int, dict[bytes, bytes]]:
    """Read partitions of a state topic from their beginning to the end they have now: by partition, by key.

    Raises
    ------
    KafkaError
        When they cannot be read now.
    """
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
    )
    try:
        await consumer.start()
        return await _read_to_end(consumer, [TopicPartition(topic, p) for p in partitions])
    finally:
        await consumer.stop()


async def _read_to_end(
    consumer: AIOKafkaConsumer, wanted: list[TopicPartition]
) -> dict[int, dict[bytes, bytes]]:
    consumer.assign(wanted)
    await consumer.seek_to_beginning(*wanted)
    ends = await consumer.end_offsets(wanted)
    states: dict[int, dict[bytes, bytes]] = {tp.partition: {} for tp in wanted}
    while left := [tp for tp in wanted if await _is_behind(consumer, tp, ends[tp])]:
        for tp, records in (await consumer.getmany(*left, timeout_ms=_FETCH_MS)).items():
            for record in records:
                _apply(states[tp.partition], record.key, record.value)
    return states


async def _is_behind(consumer: AIOKafkaConsumer, tp: TopicPartition, end: int) -> bool:
    # The embedded broker answers with the first offset of the last batch written plus one, and only the high
    # watermark that comes with a fetch is right: read up to the greater of both.
    return bool(await consumer.position(tp) < max(end, consumer.highwater(tp) or 0))


def _apply(states: dict[bytes, bytes], key: bytes, state: bytes | None) -> None:
    if state is None:
        states.pop(key, None)
    else:
        states[key] = state
