"""The gateway's ports, stood in for: each writes down what it was asked, and does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from feed_storm import dicom_document

from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Delivery, Origin
from streams.feeds.document import Document
from streams.feeds.feed_metrics import FeedMetrics
from streams.feeds.filing import Filed, digest_of
from streams.feeds.gateway import Gateway, Ports
from streams.feeds.in_flight import FlightLimits
from streams.feeds.publish import Published
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(slots=True)
class World:
    """Everything around one gateway; ``steps`` is what happened, in order."""

    steps: list[str] = field(default_factory=list)
    published: list[EcgRecorded] = field(default_factory=list)
    kept: list[FeedRefusedError] = field(default_factory=list)
    noted: list[tuple[Admission, EcgRecorded | None]] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)
    there: dict[str, str] = field(default_factory=dict)
    survivors: dict[str, str] = field(default_factory=dict)
    pseudonyms: dict[str, str] = field(default_factory=dict)
    kafka: asyncio.Event = field(default_factory=asyncio.Event)
    refuse_as: PoisonError | None = None
    fail_as: Exception | None = None

    def __post_init__(self) -> None:
        self.kafka.set()
        self._locks: dict[str, asyncio.Lock] = {}

    _locks: dict[str, asyncio.Lock] = field(init=False)

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        self.steps.append("read")
        await asyncio.sleep(0)
        if self.refuse_as is not None:
            raise self.refuse_as
        return read(document, options)

    def judge(self, ecg: EcgRecorded, now: datetime) -> tuple[str, ...]:
        self.steps.append("judge")
        assert now == NOW
        return ("looked at",)

    def pseudonym_of(self, patient_id: str) -> str:
        self.steps.append("pseudonym")
        return self.pseudonyms.get(patient_id, patient_id)

    def survivor_of(self, pseudonym: str) -> str:
        self.steps.append("survivor")
        return self.survivors.get(pseudonym, pseudonym)

    def identifiers_of(self, pseudonym: str) -> frozenset[str]:
        survivor = self.survivors.get(pseudonym, pseudonym)
        return frozenset((survivor, *(prior for prior, other in self.survivors.items() if other == survivor)))

    @asynccontextmanager
    async def claim(self, ecg_id: str, patient_id: str) -> AsyncIterator[Filed | None]:
        async with self._locks.setdefault(ecg_id, asyncio.Lock()):
            self.steps.append("claim")
            if ecg_id in self.there:
                yield Filed(patient=digest_of(self.there[ecg_id]))
                return
            try:
                yield None
            except BaseException:
                self.unclear.add(ecg_id)
                raise
            self.there[ecg_id] = patient_id

    async def publish(self, ecg: EcgRecorded) -> Published:
        self.steps.append("publish")
        await self.kafka.wait()
        if self.fail_as is not None:
            raise self.fail_as
        self.published.append(ecg)
        return Published(ecg_id=ecg.ecg_id, topic="t", partition=0, offset=0, published_at=NOW)

    async def keep(self, delivery: Delivery, refusal: FeedRefusedError) -> str:
        self.steps.append("keep")
        await self.kafka.wait()
        if self.fail_as is not None:
            raise self.fail_as
        self.kept.append(refusal)
        return "00000000-0000-5000-8000-000000000001"

    def note(self, delivery: Delivery, admission: Admission, ecg: EcgRecorded | None) -> None:
        self.steps.append("note")
        self.noted.append((admission, ecg))


def gateway_in(
    world: World,
    *,
    budget_s: float = 5.0,
    limits: FlightLimits | None = None,
    metrics: FeedMetrics | None = None,
    now: Callable[[], datetime] = lambda: NOW,
) -> Gateway:
    """Put a gateway into a world."""
    ports = Ports(
        reads=world,
        judges=world.judge,
        names=world,
        repeats=world,
        publishes=world,
        keeps=world,
        watches=world,
    )
    return Gateway(ports, metrics or FeedMetrics("toy"), ack_budget_s=budget_s, limits=limits, now=now)


def delivery_of(number: int = 0, **options: str) -> Delivery:
    """Deliver one of the storm's ECGs."""
    return Delivery(
        document=Document(content=dicom_document(number, run=0)),
        origin=Origin(feed="toy", source="test"),
        received_at=NOW,
        options=ReadOptions(**options),  # type: ignore[arg-type]  # texts alone
    )
