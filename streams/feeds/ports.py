"""What the gateway needs of the world around it, each a port that tests can stand in for."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Delivery
from streams.feeds.document import Document
from streams.feeds.filing import Filed
from streams.feeds.publish import Published
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError


class ReadsDocuments(Protocol):
    """Reads within its bounds, in processes of their own."""

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        """Read one delivery.

        Raises
        ------
        FeedRefusedError
            When it cannot be read, takes too long or too much memory, or kills its reader.
        """
        ...


class Publishes(Protocol):
    """Puts ECGs on ``ecg.recorded.v1``."""

    async def publish(self, ecg: EcgRecorded) -> Published:
        """Send one, await every in-sync replica; see :meth:`streams.feeds.publish.EcgPublisher.publish`."""
        ...


class KnowsRepeats(Protocol):
    """Knows which ECGs are on ``ecg.recorded.v1`` already."""

    def claim(self, ecg_id: str, patient_id: str) -> AbstractAsyncContextManager[Filed | None]:
        """Hold the id while the context lasts, waiting for whoever holds it; yields None if it is not there.

        Leaving the context without an error after yielding None means that it is there now, under
        ``patient_id``; leaving it with one means that this is not known, and whoever asks next finds out
        first.
        """
        ...


class KeepsRefused(Protocol):
    """Keeps what could not be accepted."""

    async def keep(self, delivery: Delivery, refusal: FeedRefusedError) -> str:
        """Keep a delivery whole and return its quarantine id; keeping it again gives the same id.

        Raises
        ------
        RetriableError
            When Kafka did not acknowledge.
        """
        ...


class NamesPatients(Protocol):
    """Turns the site's patient identifiers into those that leave the gateway."""

    def pseudonym_of(self, patient_id: str) -> str:
        """Name a patient; the same identifier always gives the same name."""
        ...

    def survivor_of(self, pseudonym: str) -> str:
        """Follow merges to the identifier in use today; itself when it was never merged."""
        ...

    def identifiers_of(self, pseudonym: str) -> frozenset[str]:
        """All identifiers that are this patient today, itself among them."""
        ...


class WatchesFeeds(Protocol):
    """Keeps count of what each source delivers."""

    def note(self, delivery: Delivery, admission: Admission, ecg: EcgRecorded | None) -> None:
        """Count one delivery, accepted or not."""
        ...
