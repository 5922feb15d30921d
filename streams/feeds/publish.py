"""EcgRecorded onto ``ecg.recorded.v1``: acknowledged by every replica before anything else is said of it.

Also the producer for those who speak Kafka already: what it sends has the right schema, key and headers, and
is refused here when no stage would take it. In an asyncio program::

    from schemas.codec import Codec
    from schemas.registry import FileRegistry
    from streams.feeds.files import read_file
    from streams.feeds.publish import open_publisher

    async with open_publisher("kafka:9092", Codec(FileRegistry())) as publisher:
        published = await publisher.publish(read_file(Path("cart/0001.dcm")).ecg)
        print(published.ecg_id, published.partition, published.offset)

and in any other::

    from streams.feeds.publish import publish_ecgs

    for published in publish_ecgs([ecg], bootstrap="kafka:9092"):
        print(published.ecg_id)

When ``publish`` returns, the ECG is on every in-sync replica. When it raises BrokerUnavailableError, send the
same again: it has the same id, and every stage takes a repeat for what it is. A gateway
(:mod:`streams.feeds.gateway`) also finds out whether it is there already, and keeps what is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.access import Broker
from streams.envelope import envelope
from streams.feeds.producer import BrokerUnavailableError, open_producer
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_RECORDED

#: Largest value sent: 12 leads × 2 bytes × 1000 Hz × 80 s, and what the workers take (``max_record_bytes``).
MAX_RECORD_BYTES: Final = 2 * 2**20

#: The value, its key, headers and Kafka's own framing; 64 KiB is far more than any of ours need.
_MAX_REQUEST_BYTES: Final = MAX_RECORD_BYTES + 2**16


#: Longest time one publish waits for Kafka unless told otherwise, s: some failovers' worth.
WITHIN_S: Final = 30.0

__all__ = ["BrokerUnavailableError", "EcgPublisher", "Published", "open_publisher", "publish_ecgs"]


class AcknowledgedProducer(Protocol):
    """What publishing needs of a Kafka producer."""

    async def send_and_wait(
        self, topic: str, *, value: bytes, key: bytes, headers: list[tuple[str, bytes | None]]
    ) -> Any:
        """Send one message and return its metadata once all in-sync replicas have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where Kafka put an ECG, and when (UTC; its Kafka timestamp)."""

    ecg_id: str
    topic: str
    partition: int
    offset: int
    published_at: datetime


class EcgPublisher:
    """Publishes ECGs, each under its patient's key.

    Publishing the same ECG again writes it again under the same id; every stage downstream takes the repeat
    for what it is, so a sender that is unsure may simply send again.

    Attributes
    ----------
    is_idempotent : bool
        Whether Kafka recognises what the client sends again by itself, after a lost connection.
    """

    def __init__(
        self,
        producer: AcknowledgedProducer,
        codec: Codec,
        now: UtcClock = utc_now,
        within_s: float | None = WITHIN_S,
        *,
        is_idempotent: bool = False,
    ) -> None:
        self.is_idempotent = is_idempotent
        self._producer = producer
        self._codec = codec
        self._now = now
        self._within_s = within_s

    async def publish(self, ecg: EcgRecorded) -> Published:
        """Send one ECG and wait for the acknowledgement. Calls may overlap; order holds per patient.

        Raises
        ------
        FeedRefusedError
            When it is longer than any stage would take.
        BrokerUnavailableError
            When Kafka did not acknowledge; the ECG may or may not have been written.
        """
        payload = self._codec.encode(ecg)
        _require_size(len(payload), ecg)
        headers = envelope(ecg, stage="publish", topic=ECG_RECORDED, incoming=(), now=self._now())
        try:
            async with asyncio.timeout(self._within_s):
                at = await self._producer.send_and_wait(
                    ECG_RECORDED, value=payload, key=ecg.patient_id.encode(), headers=list(headers)
                )
        except TimeoutError:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge the ECG within {self._within_s:g} s; send it again"
            ) from None
        except MessageSizeTooLargeError:
            raise FeedRefusedError(
                f"Kafka takes no message of {len(payload)} bytes; raise max.message.bytes of {ECG_RECORDED}",
                RefusalReason.TOO_LARGE,
            ) from None
        except KafkaError as error:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge the ECG ({type(error).__name__}); send it again"
            ) from error
        return Published(
            ecg_id=ecg.ecg_id,
            topic=at.topic,
            partition=at.partition,
            offset=at.offset,
            published_at=datetime.fromtimestamp(at.timestamp / 1000.0, UTC),
        )


def _require_size(n_bytes: int, ecg: EcgRecorded) -> None:
    if n_bytes > MAX_RECORD_BYTES:
        seconds = ecg.samples.shape[1] / ecg.sample_rate_hz
        raise FeedRefusedError(
            f"{n_bytes} bytes for {seconds:.0f} s are more than the {MAX_RECORD_BYTES} of one message; "
            "cut the recording to its diagnostic part",
            RefusalReason.TOO_LARGE,
        )


@asynccontextmanager
async def open_publisher(
    broker: Broker, codec: Codec, now: UtcClock = utc_now, *, within_s: float | None = WITHIN_S
) -> AsyncIterator[EcgPublisher]:
    """Connect a publisher that waits for all in-sync replicas; leaving the context flushes and disconnects.

    Kafka's idempotent producer is used where the broker has it: what the client sends again by itself after a
    lost connection is then not written twice.

    Parameters
    ----------
    within_s : float or None
        Longest time one publish waits, s. With None it waits until its outcome is known: on a broker with
        idempotent producers however long that takes, on others half a minute.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    """
    budget_s = within_s or WITHIN_S
    async with open_producer(broker, max_request_bytes=_MAX_REQUEST_BYTES, budget_s=budget_s) as producer:
        yield EcgPublisher(producer, codec, now, within_s, is_idempotent=producer.is_idempotent)


def publish_ecgs(
    ecgs: Iterable[EcgRecorded], *, bootstrap: Broker, codec: Codec | None = None
) -> list[Published]:
    """Publish some ECGs from a program without asyncio, one after the other, and say where each is.

    Parameters
    ----------
    codec : Codec or None
        None takes the schemas of this installation; give one where the site has a registry.

    Raises
    ------
    FeedRefusedError, BrokerUnavailableError
        At the first that is not published; those before it are.
    """

    async def publish_all() -> list[Published]:
        async with open_publisher(bootstrap, codec or Codec(FileRegistry())) as publisher:
            return [await publisher.publish(ecg) for ecg in ecgs]

    return asyncio.run(publish_all())
