"""What the demo sends: the cast in its order, and afterwards, if asked, the ward without end."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer

from ops.demo.cast import DemoWard, garbage, read_real, real_files
from ops.demo.plan import DemoPlan
from ops.demo.view import View
from schemas.codec import Codec
from streams.access import Broker, client_options
from streams.feeds.publish import EcgPublisher, open_publisher
from streams.stage import utc_now
from streams.topology import ECG_RECORDED

#: Pace of the ward after the play: lively, and light on a small machine.
_ENCORE_ECGS_PER_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends the demo's ECGs, and bytes that are none."""

    plan: DemoPlan
    ward: DemoWard
    publisher: EcgPublisher
    raw: AIOKafkaProducer
    codec: Codec
    view: View

    async def play(self) -> int:
        """Publish the whole cast and return how many messages that were."""
        count = await self._real_files()
        recordings = self.ward.recordings()
        first = await asyncio.to_thread(next, recordings)
        count += await self._garbage(first)
        self.view.say(
            f"Publishing the ward: {self.ward.beds} simulated patients, {self.ward.rounds} ECGs each, "
            f"one every {self.ward.every.days} days; one ECG is sent twice."
        )
        await self.publisher.publish(first)  # again among the others below: a sender that was not sure
        begun_s = time.monotonic()
        for number, ecg in enumerate(itertools.chain([first], recordings)):
            await asyncio.sleep(max(0.0, begun_s + number / self.plan.ecgs_per_s - time.monotonic()))
            await self.publisher.publish(ecg)
            count += 1
        return count + 1

    async def encore(self) -> None:
        """Publish the ward's recordings of this moment, one bed after the other, until cancelled."""
        for number in itertools.count():
            await asyncio.sleep(1.0 / _ENCORE_ECGS_PER_S)
            ecg = await asyncio.to_thread(self.ward.recording_now, number, utc_now())
            await self.publisher.publish(ecg)

    async def _real_files(self) -> int:
        count = 0
        for file in real_files(self.plan.shared_ecg):
            ecg = await asyncio.to_thread(read_real, file)
            self.view.introduce(ecg.patient_id, file.path.name)
            await self.publisher.publish(ecg)
            self.view.say(f"Published the real recording {file.path.name}.")
            count += 1
        return count

    async def _garbage(self, ecg: object) -> int:
        pieces = garbage(self.codec.encode(ecg))
        for piece in pieces:
            await self.raw.send_and_wait(ECG_RECORDED, value=piece.payload, key=b"garbage")
        self.view.say(f"Published garbage: {', '.join(piece.what for piece in pieces)}.")
        return len(pieces)


@asynccontextmanager
async def open_sender(
    plan: DemoPlan, ward: DemoWard, broker: Broker, codec: Codec, view: View
) -> AsyncIterator[Sender]:
    """Connect a sender.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    """
    raw = AIOKafkaProducer(**client_options(broker), acks="all")
    async with open_publisher(broker, codec) as publisher:
        await raw.start()
        try:
            yield Sender(plan=plan, ward=ward, publisher=publisher, raw=raw, codec=codec, view=view)
        finally:
            await raw.stop()
