"""A gateway that keeps what it is given and answers as it is told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.errors import RetriableError
from streams.feeds.admission import Admission, Delivery, Ending
from streams.feeds.refusal import RefusalReason

ECG_ID = "00000000-0000-5000-8000-000000000001"
QUARANTINE_ID = "00000000-0000-5000-8000-000000000002"


class NobodyThereError(RetriableError):
    """What a gateway raises without its broker."""

    code = "NOBODY_THERE"


def accepted() -> Admission:
    return Admission(ending=Ending.ACCEPTED, message="accepted", ecg_id=ECG_ID)


def quarantined(reason: RefusalReason, message: str = "refused; export it again") -> Admission:
    return Admission(ending=Ending.QUARANTINED, message=message, quarantine_id=QUARANTINE_ID, reason=reason)


def takes_all(_: Delivery) -> Admission:
    return accepted()


def refuses_hl7(delivery: Delivery) -> Admission:
    """Take every document but whole HL7 messages and garbage, as the readers do."""
    content = delivery.document.content
    is_document = content.startswith((b"<", b"{")) or content[128:132] == b"DICM"
    return accepted() if is_document else quarantined(RefusalReason.NO_WAVEFORM)


def is_away(_: Delivery) -> Admission:
    raise NobodyThereError("no broker answers; send it again")


@dataclass(eq=False)
class FakeAdmits:
    """Stands in for the gateway; ``release`` holds back every admission until it is set."""

    decide: Callable[[Delivery], Admission] = takes_all
    deliveries: list[Delivery] = field(default_factory=list)
    release: asyncio.Event | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self, delivery: Delivery) -> Admission:
        self.deliveries.append(delivery)
        self.began.set()
        if self.release is not None:
            await self.release.wait()
        return self.decide(delivery)

    @property
    def contents(self) -> list[bytes]:
        return [delivery.document.content for delivery in self.deliveries]


@dataclass(eq=False)
class FakeMerges:
    """Stands in for identity."""

    error: Exception | None = None
    merged: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def merge(
        self, prior_patient_id: str, surviving_patient_id: str, *, origin: str, actor: str
    ) -> None:
        if self.error is not None:
            raise self.error
        self.merged.append((prior_patient_id, surviving_patient_id, origin, actor))
