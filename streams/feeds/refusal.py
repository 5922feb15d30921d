"""Why a feed did not take an ECG: a closed list of reasons, each with what mends it."""

from enum import StrEnum
from typing import ClassVar

from schemas.errors import PoisonError


class RefusalReason(StrEnum):
    """Why something delivered cannot become an EcgRecorded.

    The names are written to Kafka and to metrics: they may be added to, never renamed.
    """

    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"
    DAMAGED = "DAMAGED"
    UNSAFE = "UNSAFE"  # entities, external references, absurd nesting
    TOO_LARGE = "TOO_LARGE"  # in bytes, swollen or not
    TOO_SLOW = "TOO_SLOW"  # not read within its time
    UNSUPPORTED = "UNSUPPORTED"  # a lawful variant of its format that is not read
    NO_WAVEFORM = "NO_WAVEFORM"
    LEADS_MISSING = "LEADS_MISSING"
    UNIT_UNKNOWN = "UNIT_UNKNOWN"
    NO_PATIENT = "NO_PATIENT"
    PATIENT_MISMATCH = "PATIENT_MISMATCH"  # message and document, or two deliveries of one ECG, differ
    NO_TIME = "NO_TIME"
    TIME_IN_FUTURE = "TIME_IN_FUTURE"
    IMPLAUSIBLE_RATE = "IMPLAUSIBLE_RATE"
    IMPLAUSIBLE_DURATION = "IMPLAUSIBLE_DURATION"
    IMPLAUSIBLE_AMPLITUDE = "IMPLAUSIBLE_AMPLITUDE"
    CONTRADICTORY_LEADS = "CONTRADICTORY_LEADS"  # limb leads that break Einthoven's law
    INVALID_RECORD = "INVALID_RECORD"


#: Reasons that an operator can mend without the source: by naming the patient, the time or its zone.
CORRECTABLE: frozenset[RefusalReason] = frozenset(
    {
        RefusalReason.NO_PATIENT,
        RefusalReason.PATIENT_MISMATCH,
        RefusalReason.NO_TIME,
        RefusalReason.TIME_IN_FUTURE,
    }
)


class FeedRefusedError(PoisonError):
    """This delivery cannot become an EcgRecorded; the message says what the sender or the operator can do.

    The message never quotes a patient's identifier, name or file: it is logged and sent back.
    """

    code: ClassVar[str] = "FEED_REFUSED"

    def __init__(self, message: str, reason: RefusalReason = RefusalReason.DAMAGED) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["FeedRefusedError"], tuple[str, RefusalReason]]:
        """Cross from one process to another with its reason."""
        return type(self), (str(self), self.reason)
