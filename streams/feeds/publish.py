"""EcgRecorded onto ``ecg.recorded.v1``: acknowledged by every replica before anything else is said of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.codec import Codec
from schemas.errors import RetriableError
from schemas.recorded import EcgRecorded
from streams.envelope import envelope
from streams.feeds.refusal import FeedRefusedError
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_RECORDED

#: Largest value sent: 12 leads × 2 bytes × 1000 Hz × 80 s, and what the workers take (``max_record_bytes``).
MAX_RECORD_BYTES: Final = 2 * 2**20

#: The value, its key, headers and Kafka's own framing; 64 KiB is far more than any of ours need.
_MAX_REQUEST_BYTES: Final = MAX_RECORD_BYTES + 2**16


class BrokerUnavailableError(RetriableError):
    """Kafka cannot be reached or did not acknowledge in time; sending the same again changes nothing."""

    code = "BROKER_UNAVAILABLE"


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
    """

    def __init__(self, producer: AcknowledgedProducer, codec: Codec, now: UtcClock = utc_now) -> None:
        self._producer = producer
        self._codec = codec
        self._now = now

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
            at = await self._producer.send_and_wait(
                ECG_RECORDED, value=payload, key=ecg.patient_id.encode(), headers=list(headers)
            )
        except MessageSizeTooLargeError:
            raise FeedRefusedError(
                f"Kafka takes no message of {len(payload)} bytes; raise max.message.bytes of {ECG_RECORDED}"
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
            "cut the recording to its diagnostic part"
        )


@asynccontextmanager
async def open_publisher(
    bootstrap: str, codec: Codec, now: UtcClock = utc_now
) -> AsyncIterator[EcgPublisher]:
    """Connect a publisher that waits for all in-sync replicas; leaving the context flushes and disconnects.

    Without Kafka's idempotent producer, which the embedded broker lacks: ids make a repeat harmless.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_request_size=_MAX_REQUEST_BYTES, linger_ms=0
    )
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {bootstrap} ({type(error).__name__}); start one "
            "(diastole services up) or set DIASTOLE_BROKER"
        ) from error
    try:
        yield EcgPublisher(producer, codec, now)
    finally:
        await producer.stop()
