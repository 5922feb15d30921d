"""What a way in hands to the gateway, and what it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from streams.feeds.document import Document
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a delivery came from; carries nothing about a patient, since it goes into metrics and alarms.

    Attributes
    ----------
    feed : str
        The way in: ``folder``, ``dicom``, ``mllp``, ``http``.
    source : str
        Who came that way: the calling AE title, the sending application, the name of the token or folder.
    site_id : str
        Site of the source, empty when not stated.
    """

    feed: str
    source: str
    site_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """One ECG as it came in.

    Attributes
    ----------
    received_at : datetime
        UTC.
    options : ReadOptions
        What the way in knows beside the document: zone, patient named by the message, site, ward, urgency.
    """

    document: Document
    origin: Origin
    received_at: datetime
    options: ReadOptions = field(default_factory=ReadOptions)


class Ending(StrEnum):
    """How a delivery ended. In each case it is safe: on ``ecg.recorded.v1``, or whole in quarantine."""

    ACCEPTED = "ACCEPTED"
    REPEATED = "REPEATED"
    QUARANTINED = "QUARANTINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of a delivery; only said once Kafka has acknowledged it.

    Attributes
    ----------
    ecg_id : str or None
        Of ACCEPTED and REPEATED.
    quarantine_id, reason : str, RefusalReason or None
        Of QUARANTINED.
    message : str
        One sentence for the sender: what happened and what to do next; nothing about a patient.
    notes : tuple of str
        What was assumed or left out in reading.
    """

    ending: Ending
    message: str
    ecg_id: str | None = None
    quarantine_id: str | None = None
    reason: RefusalReason | None = None
    notes: tuple[str, ...] = ()


class Admits(Protocol):
    """The gateway, as every way in sees it."""

    async def admit(self, delivery: Delivery) -> Admission:
        """Take a delivery; returns once it is safe. Delivering the same again changes nothing.

        Calls may overlap.

        Raises
        ------
        RetriableError
            When nothing could be promised within ``ack_budget_s``: the sender is to send again later.
        """
        ...


class Readmits(Protocol):
    """The gateway, as quarantine sees it: for a delivery that is kept already."""

    async def try_admit(self, delivery: Delivery) -> Admission | FeedRefusedError:
        """Take a delivery that may be refused again: the refusal is returned, nothing is kept or counted.

        Returns an Admission (ACCEPTED or REPEATED) once the ECG is on ``ecg.recorded.v1``. Doing it twice
        changes nothing. Bounds and waiting are those of :meth:`Admits.admit`.

        Raises
        ------
        RetriableError
            When nothing could be promised within ``ack_budget_s``.
        """
        ...


#: What an operator corrects in quarantine: ``patient_id``, ``timezone`` (IANA), ``acquired_at`` (ISO 8601),
#: ``ward_id``, ``site_id``.
Correction = Mapping[str, str]
