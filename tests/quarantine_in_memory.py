"""A quarantine and a gateway in memory, for tests of what people do about refused deliveries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from schemas.errors import PoisonError
from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct
from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Delivery, Ending, Origin
from streams.feeds.document import Document
from streams.feeds.quarantine.content import ContentGoneError
from streams.feeds.quarantine.fold import Entry, fold
from streams.feeds.quarantine.packing import id_of, packed
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
SAMPLE = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))


def dicom_of(patient_id: str, **elements: str) -> bytes:
    """pydicom's sample under another patient's id, which may be empty."""
    dataset = pydicom.dcmread(SAMPLE)
    dataset.PatientID = patient_id
    for keyword, text in elements.items():
        setattr(dataset, keyword, text)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def delivery_of(content: bytes, source: str = "share", **options: str) -> Delivery:
    """A delivery of one document."""
    return Delivery(
        document=Document(content=content, name="export.dcm"),
        origin=Origin(feed="folder", source=source, site_id="north"),
        received_at=NOW,
        options=ReadOptions(**options),  # type: ignore[arg-type]
    )


class MemoryQuarantine:
    """Records and content in memory; stands in for log and content both."""

    is_sealed = False

    def __init__(self) -> None:
        self.records: list[EcgQuarantined | QuarantineAct] = []
        self.entries: dict[str, Entry] = {}
        self.content: dict[str, list[bytes]] = {}
        self.n_written = 0
        self._n_read = 0

    async def catch_up(self) -> None:
        for record in self.records[self._n_read :]:
            self._n_read += 1
            try:
                self.entries[record.quarantine_id] = fold(self.entries.get(record.quarantine_id), record)
            except PoisonError:
                continue

    async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
        self.records.append(record)

    async def write(self, quarantine_id: str, opening: int, pieces: Sequence[bytes]) -> tuple[Piece, ...]:
        self.n_written += 1
        self.content[quarantine_id] = list(pieces)
        return tuple(Piece(partition=0, offset=n) for n in range(len(pieces)))

    async def read(self, entry: Entry) -> list[bytes]:
        if entry.quarantine_id not in self.content:
            raise ContentGoneError("its content is no longer there")
        return self.content[entry.quarantine_id]

    async def remove(self, entry: Entry) -> None:
        self.content.pop(entry.quarantine_id, None)

    def keep(self, delivery: Delivery, received_at: datetime = NOW) -> str:
        """Keep a delivery for the reason for which it is refused."""
        refusal = refusal_of(delivery)
        quarantine_id = id_of(delivery)
        self.content[quarantine_id] = list(packed(delivery))
        record = EcgQuarantined(
            quarantine_id=quarantine_id,
            received_at=received_at,
            code=refusal.reason.value,
            reason=str(refusal),
            feed=delivery.origin.feed,
            source=delivery.origin.source,
            site_id=delivery.origin.site_id,
            source_format="DICOM",
            n_bytes=delivery.document.n_bytes,
            pieces=(Piece(partition=0, offset=0),),
            is_sealed=False,
        )
        self.records.append(record)
        return quarantine_id

    @property
    def acts(self) -> list[QuarantineAct]:
        """The audit."""
        return [record for record in self.records if isinstance(record, QuarantineAct)]


def refusal_of(delivery: Delivery) -> FeedRefusedError:
    """Why a delivery is refused; it must be."""
    try:
        read(delivery.document, delivery.options)
    except FeedRefusedError as refusal:
        return refusal
    raise AssertionError("this delivery is not refused")


class MemoryGateway:
    """Reads here and remembers what it published; a Readmits and a ReadsDocuments."""

    def __init__(self) -> None:
        self.published: dict[str, EcgRecorded] = {}
        self.fails: list[Exception] = []

    async def try_admit(self, delivery: Delivery) -> Admission | FeedRefusedError:
        if self.fails:
            raise self.fails.pop()
        try:
            ecg = read(delivery.document, delivery.options).ecg
        except FeedRefusedError as refusal:
            return refusal
        is_repeat = ecg.ecg_id in self.published
        self.published.setdefault(ecg.ecg_id, ecg)
        ending = Ending.REPEATED if is_repeat else Ending.ACCEPTED
        return Admission(ending=ending, message="taken", ecg_id=ecg.ecg_id)

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        return read(document, options)
