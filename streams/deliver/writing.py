"""Writing acts and alarms to Kafka: of what is still under way no second copy is sent."""

import asyncio
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from schemas.alert import TechnicalAlarm
from schemas.audit import CareAction
from schemas.codec import Codec
from streams.envelope import envelope
from streams.feeds.producer import BrokerUnavailableError, LastingProducer
from streams.stage import UtcClock

Record = TypeVar("Record", CareAction, TechnicalAlarm)


class OnceWriter:
    """Writes records by name. While Kafka is away the producer holds each once, however often it is asked.

    Parameters
    ----------
    writer : str
        Who writes, for the records' headers: ``deliver``, ``api``.
    """

    def __init__(self, codec: Codec, producer: LastingProducer, now: UtcClock, writer: str) -> None:
        self._codec, self._producer, self._now, self._writer = codec, producer, now, writer
        self._under_way: dict[str, tuple[asyncio.Task[Any], Any]] = {}

    async def write(self, topic: str, key: str, record: Record, name: str, budget_s: float) -> Record:
        """Return once Kafka has the record of this name.

        Returns
        -------
        CareAction or TechnicalAlarm
            What was written: another account of the same, when that was under way already.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge in time. It may still be written: ask again by the same name.
        """
        if name not in self._under_way:
            self._begin(topic, key, record, name)
        sending, first = self._under_way[name]
        try:
            async with asyncio.timeout(budget_s):
                await asyncio.shield(sending)
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnavailableError(
                f"Kafka did not take it in {budget_s:g} s ({type(error).__name__}); "
                "check the broker and do it again, which is harmless"
            ) from None
        written: Record = first
        return written

    def _begin(self, topic: str, key: str, record: Record, name: str) -> None:
        headers = envelope(record, stage=self._writer, topic=topic, incoming=(), now=self._now())
        value = self._codec.encode(record)
        sending = asyncio.create_task(
            self._producer.send_and_wait(topic, value=value, key=key.encode(), headers=list(headers))
        )
        self._under_way[name] = sending, record

        def ended(task: asyncio.Task[Any]) -> None:
            del self._under_way[name]
            if not task.cancelled():
                task.exception()  # whoever still waits is told; nobody may

        sending.add_done_callback(ended)
