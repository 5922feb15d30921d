"""Kafka's producer as feeds need it: idempotent where the broker can, and begun anew after it failed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownError,
    UnsupportedVersionError,
)

from schemas.errors import RetriableError
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told

log = structlog.get_logger()

#: One request may wait so long for its answer, ms: a stalled broker is asked again on a new connection. The
#: idempotent producer repeats it harmlessly; the other must not, so it waits the whole budget.
_REQUEST_MS: Final = 10_000

#: What may wait for each partition while Kafka stalls, bytes: ten ECGs. A batch must stay below what every
#: topic takes (``ops.topics``), and a larger message makes a batch of its own.
MAX_BATCH_BYTES: Final = 2**20

#: A broker that refuses a producer id is asked so often: Apache Kafka may answer "unknown" once, in trouble.
_ASKED: Final = 3
_ASK_AGAIN_S: Final = 0.1

#: What a broker without idempotent producers answers to InitProducerId: the embedded one "unknown", an old
#: one that it has no such request, one with access control that we may not.
_REFUSALS: Final = (
    UnknownError,
    UnsupportedVersionError,
    IncompatibleBrokerVersion,
    ClusterAuthorizationFailedError,
    NotImplementedError,
)

#: Longest time for what is under way when a producer is closed, s. An idempotent one would try for ever.
_FLUSH_S: Final = 10.0


class BrokerUnavailableError(RetriableError):
    """Kafka cannot be reached or did not acknowledge in time; sending the same again changes nothing."""

    code = "BROKER_UNAVAILABLE"


def no_broker(broker: Broker, error: BaseException) -> BrokerUnavailableError:
    """Say that nobody answers, and what helps."""
    return BrokerUnavailableError(
        f"no Kafka broker answers at {broker} ({type(error).__name__}); start one "
        "(diastole services up) or set DIASTOLE_BROKER"
    )


class LastingProducer:
    """Sends with the acknowledgement of all in-sync replicas; see :func:`open_producer`.

    An idempotent producer numbers its batches. One that failed for good leaves a gap behind which Kafka takes
    nothing more of it, so after a failure the next send begins with a new producer and a new numbering.
    """

    def __init__(
        self, broker: Broker, max_request_bytes: int, budget_s: float, max_batch_bytes: int = MAX_BATCH_BYTES
    ) -> None:
        self._max_batch_bytes = max_batch_bytes
        self._broker = broker
        self._max_request_bytes = max_request_bytes
        self._budget_s = budget_s
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._retired: dict[asyncio.Task[None], AIOKafkaProducer] = {}
        self._can_be_idempotent = True

    @property
    def is_idempotent(self) -> bool:
        """Whether Kafka recognises what this client sends again by itself; known once connected."""
        return self._can_be_idempotent

    async def send_and_wait(
        self, topic: str, *, value: bytes | None, key: bytes, headers: list[tuple[str, bytes | None]]
    ) -> Any:
        """Send one message and return its metadata once all in-sync replicas have it.

        An idempotent producer tries until Kafka takes it, however long that is; another gives up after the
        budget. When the waiting is cancelled, the message may still be written.

        Raises
        ------
        KafkaError
            When it was refused, or, without idempotence, not acknowledged: it may then have been written.
        """
        producer = await self.connect()
        written = await self._hand_over(producer, topic, value=value, key=key, headers=headers)
        try:
            return await written
        except KafkaError:
            self._retire(producer)
            raise

    async def _hand_over(
        self, producer: AIOKafkaProducer, topic: str, **message: Any
    ) -> "asyncio.Future[Any]":
        """Put a message into the client's queue; until it is in there, nothing of it can reach Kafka."""
        while True:
            try:
                queued: asyncio.Future[Any] = await producer.send(topic, **message)
                return queued
            except KafkaTimeoutError:
                # The queue is full because Kafka takes nothing; an idempotent producer outlasts that.
                if not self._can_be_idempotent:
                    raise
            except (ProducerClosed, ProducerFenced, OutOfOrderSequenceNumber):
                self._retire(producer)
                raise

    async def connect(self) -> AIOKafkaProducer:
        """Return the producer in use, connecting one if there is none.

        Raises
        ------
        KafkaError
            When no broker answers.
        """
        async with self._opening:
            if self._producer is None:
                self._producer = await self._open()
            return self._producer

    async def close(self) -> None:
        """Flush and disconnect, within 10 s; what was not acknowledged by then may or may not be written."""
        if self._producer is not None:
            self._retire(self._producer)
        if self._retired:
            await asyncio.wait(self._retired, timeout=_FLUSH_S)
        for producer in tuple(self._retired.values()):
            # The client has no end for flushing: what it still holds must fail before it can be closed.
            producer._message_accumulator.fail_all(KafkaTimeoutError())
        if self._retired:
            await asyncio.wait(self._retired)

    def _retire(self, producer: AIOKafkaProducer) -> None:
        is_in_use = self._producer is producer
        if not is_in_use:
            return
        self._producer = None
        # What it holds comes to its end, however long that takes: nobody is to send it again before.
        stopping = asyncio.create_task(producer.stop())
        self._retired[stopping] = producer
        stopping.add_done_callback(self._retired.pop)

    async def _open(self) -> AIOKafkaProducer:
        for pause_s in (_ASK_AGAIN_S,) * (_ASKED - 1) + (0.0,):
            if not self._can_be_idempotent:
                break
            try:
                return await self._start(idempotent=True)
            except _REFUSALS:
                await asyncio.sleep(pause_s)
        if self._can_be_idempotent:
            self._can_be_idempotent = False
            # A feed says so once, when it is ready; whoever sends one ECG by hand has nothing to do about it.
            log.debug("producer_not_idempotent", reason="the broker gives no producer ids")
        return await self._start(idempotent=False)

    async def _start(self, *, idempotent: bool) -> AIOKafkaProducer:
        budget_ms = int(self._budget_s * 1000)
        producer = AIOKafkaProducer(
            **client_options(self._broker),
            acks="all",
            enable_idempotence=idempotent,
            request_timeout_ms=min(budget_ms, _REQUEST_MS) if idempotent else budget_ms,
            max_request_size=self._max_request_bytes,
            max_batch_size=self._max_batch_bytes,
            linger_ms=0,
        )
        try:
            async with asyncio.timeout(self._budget_s):
                await producer.start()
        except TimeoutError:
            await producer.stop()
            raise KafkaTimeoutError from None
        except BaseException:
            await producer.stop()
            raise
        return producer


@asynccontextmanager
async def open_producer(
    broker: Broker, *, max_request_bytes: int, budget_s: float, max_batch_bytes: int = MAX_BATCH_BYTES
) -> AsyncIterator[LastingProducer]:
    """Connect a producer; leaving the context flushes and disconnects.

    Whether the broker takes idempotent producers is asked of it, not configured.

    Parameters
    ----------
    budget_s : float
        Longest time to connect, and to try to send on a broker without idempotent producers, s.
    max_batch_bytes : int
        What the client may hold for each partition beside what is under way; more waits.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    KafkaRefusesError
        When it does not let us in.
    """
    producer = LastingProducer(broker, max_request_bytes, budget_s, max_batch_bytes)
    try:
        await producer.connect()
    except KafkaError as error:
        raise await told(broker, no_broker(broker, error)) from error
    try:
        yield producer
    finally:
        await producer.close()
