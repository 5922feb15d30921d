"""What an act of a person must state, and how a refusal is told."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from schemas.audit import CareAction
from schemas.errors import DiastoleError

#: Longest quiet anybody may ask for at once; what lasts longer is asked for again, by somebody.
MAX_MUTE: Final = timedelta(days=7)

#: Longest reason in somebody's own words.
MAX_REASON_CHARS: Final = 2000

#: Longest idempotency key: room for a UUID and whatever a client puts around it.
MAX_KEY_CHARS: Final = 200


class RejectReason(StrEnum):
    """Why an alert was not to be acted on; written in front of the free text."""

    KNOWN_CONDITION = "known-condition"
    POOR_RECORDING = "poor-recording"
    WRONG_PATIENT = "wrong-patient"
    OUT_OF_SCOPE = "out-of-scope"
    NOT_PLAUSIBLE = "not-plausible"
    OTHER = "other"


#: What the reader of a page is offered.
REJECT_TEXTS: Final = {
    RejectReason.KNOWN_CONDITION: "Known already, and cared for",
    RejectReason.POOR_RECORDING: "The recording is poor",
    RejectReason.WRONG_PATIENT: "Not this patient's ECG",
    RejectReason.OUT_OF_SCOPE: "The model is not for this patient",
    RejectReason.NOT_PLAUSIBLE: "Does not fit the clinical picture",
    RejectReason.OTHER: "Other (say why)",
}


class Refusal(StrEnum):
    """Why an act was refused; stable, for clients."""

    NOT_ALLOWED = "not-allowed"
    NOT_FOR_PEOPLE = "not-for-people"
    REASON_MISSING = "reason-missing"
    REASON_UNKNOWN = "reason-unknown"
    REASON_TOO_LONG = "reason-too-long"
    EXPIRY_MISSING = "expiry-missing"
    EXPIRY_PAST = "expiry-past"
    EXPIRY_TOO_FAR = "expiry-too-far"
    OUTCOME_MISSING = "outcome-missing"
    SUBJECT_MISSING = "subject-missing"
    SITE_NOT_FOR_THIS = "site-not-for-this"
    KEY_TOO_LONG = "key-too-long"


class CareRefusedError(DiastoleError):
    """The act makes no sense, or lacks something; the message says what to do instead.

    Attributes
    ----------
    refusal : Refusal
    """

    code: ClassVar[str] = "CARE_REFUSED"

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal

    @property
    def is_conflict(self) -> bool:
        """Whether the act is sound and the alert is not in a state for it (HTTP 409, else 422)."""
        return self.refusal is Refusal.NOT_ALLOWED


def reason_of(rejected: CareAction) -> tuple[RejectReason, str]:
    """Take the reason of a rejection apart again: code and free text.

    A code of another version is OTHER, with all of the reason as text.
    """
    code, _, text = rejected.reason.partition(": ")
    if code not in set(RejectReason):
        return RejectReason.OTHER, rejected.reason
    return RejectReason(code), text


def rejection(code: str, text: str) -> str:
    """Check and write down why an alert is rejected."""
    offered = ", ".join(RejectReason)
    if not code:
        raise CareRefusedError(Refusal.REASON_MISSING, f"say why it is rejected: one of {offered}")
    if code not in set(RejectReason):
        raise CareRefusedError(Refusal.REASON_UNKNOWN, f"that is no reason on offer; give one of {offered}")
    if code == RejectReason.OTHER and not text.strip():
        raise CareRefusedError(Refusal.REASON_MISSING, "say in your words why it is rejected")
    return free_text(f"{code}: {text.strip()}" if text.strip() else code)


def free_text(text: str) -> str:
    """Check what somebody wrote."""
    text = text.strip()
    if len(text) > MAX_REASON_CHARS:
        raise CareRefusedError(
            Refusal.REASON_TOO_LONG, f"the reason is too long; use {MAX_REASON_CHARS} characters at most"
        )
    return text


def expiry(until: datetime | None, now: datetime) -> datetime:
    """Check until when something is to be quiet; returns it in UTC."""
    if until is None or until.tzinfo is None:
        raise CareRefusedError(Refusal.EXPIRY_MISSING, "say until when it is to be quiet, with time zone")
    if until <= now:
        raise CareRefusedError(Refusal.EXPIRY_PAST, "that time is over; give one to come")
    if until - now > MAX_MUTE:
        raise CareRefusedError(
            Refusal.EXPIRY_TOO_FAR, f"that is too long; ask for {MAX_MUTE.days} days at most, and again then"
        )
    return until.astimezone(UTC)


def occasion(key: str, now: datetime) -> str:
    """Check a key, and give an act without one its time."""
    if len(key) > MAX_KEY_CHARS:
        raise CareRefusedError(
            Refusal.KEY_TOO_LONG, f"the idempotency key is too long; use {MAX_KEY_CHARS} characters at most"
        )
    return key or now.isoformat(timespec="microseconds")
