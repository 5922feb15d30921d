"""What can be read of a delivery although it was refused."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from schemas.recorded import EcgRecorded
from streams.feeds.admission import Delivery
from streams.feeds.ports import ReadsDocuments
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Stands for a patient while the rest of a file is read; never published.
_NOBODY: Final = "-"

#: A file is read without patient, then without time, then without what its message says, and as it is.
_MOST_READS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What a person needs to see to mend a delivery; about a patient, so showing it is an act.

    Attributes
    ----------
    patient_id, message_patient_id : str
        As the file (or the correction) and the message that brought it name the patient; empty when they do
        not.
    acquired_at : datetime or None
        UTC.
    acquired_zone : str
        Zone of the source's clock, or the one assumed.
    n_leads, sample_rate_hz, duration_s : int, float, float
        Of the waveform; 0 when it could not be read.
    code, reason : str
        Why it is not accepted now, with its corrections; empty when nothing in reading it speaks against it.
    """

    message_patient_id: str
    patient_id: str = ""
    acquired_at: datetime | None = None
    acquired_zone: str = ""
    ward_id: str = ""
    device_id: str = ""
    source_format: str = ""
    n_leads: int = 0
    sample_rate_hz: float = 0.0
    duration_s: float = 0.0
    code: str = ""
    reason: str = ""


async def gist_of(delivery: Delivery, reads: ReadsDocuments) -> Gist:
    """Read what can be read, standing something in for what is missing. Changes nothing.

    Parameters
    ----------
    delivery : Delivery
        With its corrections in its options.
    """
    options, first, ecg = delivery.options, None, None
    for _ in range(_MOST_READS):
        try:
            ecg = (await reads.read(delivery.document, options)).ecg
            break
        except FeedRefusedError as refusal:
            first = first or refusal
            without = _without(refusal.reason, options, delivery)
            if without == options:
                break
            options = without
    said = Gist(
        message_patient_id=delivery.options.expected_patient_id,
        code=first.reason.value if first else "",
        reason=str(first) if first else "",
    )
    return said if ecg is None else _with_ecg(said, ecg, options, delivery.options)


def _without(reason: RefusalReason, options: ReadOptions, delivery: Delivery) -> ReadOptions:
    """Change what keeps the file from being read; the same again when that cannot be changed."""
    match reason:
        case RefusalReason.PATIENT_MISMATCH:
            return replace(options, expected_patient_id="")
        case RefusalReason.NO_PATIENT:
            return replace(options, patient_id=_NOBODY)
        case RefusalReason.NO_TIME | RefusalReason.TIME_IN_FUTURE:
            return replace(options, corrected_acquired_at=delivery.received_at)
        case _:
            return options


def _with_ecg(said: Gist, ecg: EcgRecorded, read_with: ReadOptions, given: ReadOptions) -> Gist:
    has_time = read_with.corrected_acquired_at == given.corrected_acquired_at
    return replace(
        said,
        patient_id="" if ecg.patient_id == _NOBODY else ecg.patient_id,
        acquired_at=ecg.acquired_at if has_time else None,
        acquired_zone=ecg.acquired_zone if has_time else "",
        ward_id=ecg.ward_id,
        device_id=ecg.device_id,
        source_format=ecg.source_format,
        n_leads=len(ecg.lead_names),
        sample_rate_hz=ecg.sample_rate_hz,
        duration_s=ecg.samples.shape[1] / ecg.sample_rate_hz,
    )
