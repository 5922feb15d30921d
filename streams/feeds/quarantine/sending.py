"""Messages of quarantine to Kafka, each acknowledged before anything else is done."""

import asyncio
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from streams.feeds.producer import BrokerUnavailableError
from streams.message import Headers


class SendsAcknowledged(Protocol):
    """What quarantine needs of a Kafka producer."""

    async def send_and_wait(
        self, topic: str, *, value: bytes | None, key: bytes, headers: list[tuple[str, bytes | None]]
    ) -> Any:
        """Send one message and return its metadata once all in-sync replicas have it."""


class Sender:
    """Sends within a time.

    Parameters
    ----------
    within_s : float
        Longest time one message may take, s.
    """

    def __init__(self, producer: SendsAcknowledged, within_s: float) -> None:
        self._producer = producer
        self._within_s = within_s

    async def send(self, topic: str, key: bytes, payload: bytes | None, headers: Headers = ()) -> Any:
        """Send one message, None for a tombstone; return its metadata once all in-sync replicas have it.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge; the message may or may not have been written.
        """
        try:
            async with asyncio.timeout(self._within_s):
                return await self._producer.send_and_wait(
                    topic, value=payload, key=key, headers=list(headers)
                )
        except TimeoutError:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge within {self._within_s:g} s what quarantine writes; do it again"
            ) from None
        except KafkaError as error:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge what quarantine writes ({type(error).__name__}); do it again"
            ) from error
