"""What an ECG file says, whether it would be accepted, and what would be made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from models.manifest import Eligibility
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.recorded import EcgRecorded
from streams.featurize import featurize
from streams.feeds.document import Document
from streams.feeds.ports import ReadsDocuments
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.infer import not_scored_reasons
from streams.stage import Received

#: Refuses an ECG that cannot be true, and otherwise says what is odd about it.
Judges = Callable[[EcgRecorded, datetime], tuple[str, ...]]

#: Stands for a patient and a time that a file does not name, so that the rest of it can be shown.
_SOMEBODY: Final = "not stated"
_SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """What became of an ECG file that was looked at; nothing of it was published.

    Attributes
    ----------
    ecg : EcgRecorded or None
        None when it cannot be read at all. Of a file that names no patient or time it has made-up ones.
    refusals : sequence of FeedRefusedError
        Why it would be refused, in the order in which that would be found out; empty when it would not.
    notes : sequence of str
        What was assumed or left out in reading, and what is odd about it.
    featurized : EcgFeaturized or None
        Quality and measurements.
    not_scored : sequence of str
        Why it would not be scored; empty when it would.
    """

    ecg: EcgRecorded | None
    refusals: Sequence[FeedRefusedError]
    notes: Sequence[str] = ()
    featurized: EcgFeaturized | None = None
    not_scored: Sequence[str] = ()

    @property
    def names_patient(self) -> bool:
        """Whether the file, or whoever asked, says whose ECG it is."""
        return all(refusal.reason is not RefusalReason.NO_PATIENT for refusal in self.refusals)

    @property
    def has_time(self) -> bool:
        """Whether the file, or whoever asked, says when it was recorded."""
        return _has_time(self.refusals)


async def inspect_document(
    document: Document,
    options: ReadOptions,
    reads: ReadsDocuments,
    judges: Judges,
    eligibility: Eligibility,
    now: datetime,
) -> Inspection:
    """Read a document as a gateway would, and go on as far as possible where that would refuse it.

    Parameters
    ----------
    eligibility : Eligibility
        Of the bundle that would score it.
    now : datetime
        UTC.
    """
    reading, refusals = await _read(document, options, reads)
    if reading is None:
        return Inspection(ecg=None, refusals=refusals)
    notes = reading.notes
    try:
        # Of a made-up time nothing odd is said.
        remarks = judges(reading.ecg, now)
        notes += remarks if _has_time(refusals) else ()
    except FeedRefusedError as refusal:
        refusals.append(refusal)
    (featurized,) = featurize([Received(record=reading.ecg, published_at=now)])
    if isinstance(featurized, PoisonError):
        refusals.append(FeedRefusedError(str(featurized), RefusalReason.INVALID_RECORD))
        return Inspection(ecg=reading.ecg, refusals=refusals, notes=notes)
    return Inspection(
        ecg=reading.ecg,
        refusals=refusals,
        notes=notes,
        featurized=featurized,
        not_scored=not_scored_reasons(featurized, eligibility),
    )


async def _read(
    document: Document, options: ReadOptions, reads: ReadsDocuments
) -> tuple[Reading | None, list[FeedRefusedError]]:
    """Read, with a stand-in for the patient and for the time where they are all that lacks."""
    refusals: list[FeedRefusedError] = []
    while True:
        try:
            return await reads.read(document, options), refusals
        except FeedRefusedError as refusal:
            refusals.append(refusal)
            if refusal.reason is RefusalReason.NO_PATIENT and not options.patient_id:
                options = replace(options, patient_id=_SOMEBODY)
            elif refusal.reason is RefusalReason.NO_TIME and options.acquired_at is None:
                options = replace(options, acquired_at=_SOME_TIME)
            else:
                return None, refusals


def _has_time(refusals: Sequence[FeedRefusedError]) -> bool:
    return all(refusal.reason is not RefusalReason.NO_TIME for refusal in refusals)
