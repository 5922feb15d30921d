"""Dead letters on Kafka: read, and published again where they came from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OffsetOutOfRangeError

from ops.dlq.letter import DeadLetter, Place, letter_of
from ops.dlq.notes import newest, note_of, replay_of
from ops.dlq.replaying import Replay, replayed_message
from ops.topic_reader import message_of
from ops.topics import DEAD_LETTER_MORE_BYTES, LARGE_RECORD_BYTES, topic_specs
from schemas.errors import ConfigurationError, PoisonError
from streams.access import Broker, client_options
from streams.adapters.backwards import TopicUnreadableError
from streams.adapters.kafka_follower import open_follower
from streams.feeds.producer import open_producer
from streams.message import Message, Outgoing
from streams.stage import UtcClock
from streams.topology import DEAD_LETTER_REPLAYED

#: Longest time to read a topic of dead letters to its end, s: at 50 MB/s as many as fit 30 GB.
_READ_S: Final = 600.0
_FETCH_S: Final = 10.0
_SEND_S: Final = 30.0

#: Every dead-letter topic there is.
DEAD_LETTER_TOPICS: Final = tuple(spec.name for spec in topic_specs(1) if spec.name.endswith(".dlq"))


class ReplayRefusedError(PoisonError):
    """This letter cannot be put back; the message says why."""

    code = "REPLAY_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterDesk:
    """Reads dead letters and puts their messages back."""

    broker: Broker
    now: UtcClock

    async def letters(
        self, topics: Sequence[str] = DEAD_LETTER_TOPICS, since: datetime | None = None
    ) -> list[DeadLetter]:
        """Read what lies on dead-letter topics, oldest first; contents are read past, not kept.

        Parameters
        ----------
        since : datetime or None
            Only what Kafka took then or later (aware); None: all it still has.

        Raises
        ------
        TopicBehindError
            When no broker answers or the end is not reached in ten minutes.
        ConfigurationError
            When a topic does not exist.
        """
        found: list[DeadLetter] = []

        def keep(raw: Any) -> None:
            found.append(letter_of(message_of(raw)))

        await asyncio.gather(*(self._read(topic, keep, since) for topic in topics))
        return sorted(found, key=lambda letter: (letter.at, letter.place))

    async def message(self, place: Place) -> Message:
        """Fetch one message whole.

        Raises
        ------
        ConfigurationError
            When nothing lies there (any more).
        TopicUnreadableError
            When Kafka does not hand it out.
        """
        async with _open_fetcher(self.broker) as consumer:
            return await _fetched(consumer, place)

    async def replays(self) -> Mapping[Place, Replay]:
        """Read what was put back before, by the place it came from.

        Raises
        ------
        TopicBehindError, ConfigurationError
            As :meth:`letters`.
        """
        notes: list[Replay] = []

        def keep(raw: Any) -> None:
            note = replay_of(raw)
            if note is not None:
                notes.append(note)

        await self._read(DEAD_LETTER_REPLAYED, keep, None)
        return newest(notes)

    @asynccontextmanager
    async def open_for_replay(self) -> AsyncIterator["ReplayDesk"]:
        """Connect what publishes.

        Raises
        ------
        BrokerUnavailableError
            When no broker answers.
        """
        room = LARGE_RECORD_BYTES + DEAD_LETTER_MORE_BYTES
        async with (
            _open_fetcher(self.broker) as consumer,
            open_producer(self.broker, max_request_bytes=room, budget_s=_SEND_S) as producer,
        ):
            yield ReplayDesk(consumer=consumer, producer=await producer.connect(), now=self.now)

    async def _read(self, topic: str, take: Callable[[Any], None], since: datetime | None) -> None:
        # What comes after the end was reached belongs to the next look.
        done = False

        def take_until_done(raw: Any) -> None:
            if not done:
                take(raw)

        async with open_follower(self.broker, topic, take_until_done, _READ_S, since):
            done = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDesk:
    """Puts messages back, one at a time, each noted once Kafka has acknowledged it."""

    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    now: UtcClock

    async def replay(self, letter: DeadLetter, origin: Place, by: str) -> Replay:
        """Put the message of a letter back and note it.

        On a crash between the two it is put back and not noted; doing it again is harmless, since whatever
        it causes carries the same ids.

        Raises
        ------
        ReplayRefusedError
            When the topic does not take it.
        TopicUnreadableError
            When the letter cannot be read, or Kafka did not acknowledge; it may then have been written.
        ConfigurationError
            When the letter is no longer there.
        """
        message = await _fetched(self.consumer, letter.place)
        try:
            n_partitions = len(await self.producer.partitions_for(origin.topic))
            written = await self._send(replayed_message(letter, origin, message, n_partitions))
            became = Place(topic=written.topic, partition=written.partition, offset=written.offset)
            replay = Replay(origin=origin, at=self.now(), by=by, became=became)
            await self._send(note_of(replay))
        except MessageSizeTooLargeError:
            raise ReplayRefusedError(
                f"{origin.topic} does not take {letter.size_bytes} bytes; raise its max.message.bytes "
                "(diastole topics diff says what it should be), then replay it"
            ) from None
        except KafkaError as error:
            raise TopicUnreadableError(
                f"Kafka did not acknowledge the replay ({type(error).__name__}); replay it again: a second "
                "time is harmless"
            ) from None
        return replay

    async def _send(self, outgoing: Outgoing) -> Any:
        return await self.producer.send_and_wait(
            outgoing.topic,
            outgoing.value,
            key=outgoing.key,
            partition=outgoing.partition,
            headers=list(outgoing.headers),
        )


@asynccontextmanager
async def _open_fetcher(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_options(broker),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=int(_FETCH_S * 1000),
    )
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise TopicUnreadableError(
            f"dead letters cannot be read ({type(error).__name__}); check the broker (diastole doctor)"
        ) from None
    finally:
        await consumer.stop()


async def _fetched(consumer: AIOKafkaConsumer, place: Place) -> Message:
    if place.topic not in DEAD_LETTER_TOPICS:
        raise ConfigurationError(f"{place.topic} is no topic of dead letters; see: diastole dlq list")
    at = TopicPartition(place.topic, place.partition)
    consumer.assign([at])
    consumer.seek(at, place.offset)
    try:
        async with asyncio.timeout(_FETCH_S):
            raw = await consumer.getone(at)
    except (OffsetOutOfRangeError, TimeoutError):
        raw = None
    # Behind a gap (a record that was compacted or aborted) the next one comes.
    if raw is None or raw.offset != place.offset:
        raise ConfigurationError(f"nothing lies at {place} any more; see: diastole dlq list")
    return message_of(raw)
