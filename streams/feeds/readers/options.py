"""What the operator adds to what a file says."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from schemas.recorded import Urgency
from streams.feeds.refusal import FeedRefusedError, RefusalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What to assume where the file is silent; what the file says wins, but for what was corrected.

    Attributes
    ----------
    timezone : tzinfo
        Zone of local times in the file that carry no offset, which is what most carts write. The site's
        setting ``DIASTOLE_TIMEZONE``; a file that was read by it is noted (:class:`~.assembly.Reading`).
    acquired_at : datetime or None
        Aware; start of the recording, for files that give none.
    patient_id : str
        For files that name no patient; empty when unknown.
    expected_patient_id : str
        Whom the message that brought the file names: taken where the file names nobody, and a file that names
        somebody else is refused.
    urgency : Urgency
        What the sender says of the whole batch of files.
    corrected_patient_id : str
        Whose ECG it is, found out by a person after it was refused: wins over file and message. Empty when
        nothing was corrected.
    corrected_acquired_at : datetime or None
        Aware; likewise for the start of the recording.
    """

    timezone: tzinfo = field(default=UTC)
    acquired_at: datetime | None = None
    patient_id: str = ""
    expected_patient_id: str = ""
    site_id: str = ""
    ward_id: str = ""
    urgency: Urgency = Urgency.ROUTINE
    corrected_patient_id: str = ""
    corrected_acquired_at: datetime | None = None


def require_acquired_at(found: datetime | None, options: ReadOptions) -> datetime:
    """Return the start of the recording in UTC: as corrected, or from the file, or else from the options.

    Parameters
    ----------
    found : datetime or None
        As the file says; naive is local to ``options.timezone``.

    Raises
    ------
    FeedRefusedError
        When neither gives one, or it lies beyond the calendar.
    """
    moment = options.corrected_acquired_at or found or options.acquired_at
    if moment is None:
        raise FeedRefusedError(
            "the file does not say when the ECG was acquired; send it with a time, or say it: with "
            "--acquired-at 2026-01-31T08:15:00+01:00 by command, or by correcting it in quarantine",
            RefusalReason.NO_TIME,
        )
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=options.timezone)).astimezone(UTC)
    except OverflowError:
        raise FeedRefusedError(
            "its time of acquisition is beyond the calendar; set the cart's clock", RefusalReason.NO_TIME
        ) from None


def require_patient_id(found: str, options: ReadOptions) -> str:
    """Return the patient identifier: as corrected, or from the file, or else from the options.

    Raises
    ------
    FeedRefusedError
        When neither gives one, or the file and the message that brought it name different ones; an ECG is
        never filed under a made-up patient.
    """
    if corrected := options.corrected_patient_id.strip():
        return corrected
    named, expected = found.strip(), options.expected_patient_id.strip()
    if named and expected and named != expected:
        raise FeedRefusedError(
            "the message and the ECG in it name different patients; find out whose it is",
            RefusalReason.PATIENT_MISMATCH,
        )
    patient_id = named or expected or options.patient_id.strip()
    if not patient_id:
        raise FeedRefusedError(
            "the file names no patient; send it with one, or name the patient: with --patient-id by command, "
            "or by correcting it in quarantine",
            RefusalReason.NO_PATIENT,
        )
    return patient_id
