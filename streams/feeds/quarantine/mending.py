"""What mends each reason for which a delivery was refused."""

from collections.abc import Mapping
from typing import Final

from streams.feeds.refusal import RefusalReason

_AT_SOURCE: Final = "have the source export it again, then discard this one"

#: One sentence each, for whoever looks at a delivery in quarantine.
MENDS: Final[Mapping[RefusalReason, str]] = {
    RefusalReason.UNKNOWN_FORMAT: f"it is in none of the formats that are read: {_AT_SOURCE}",
    RefusalReason.DAMAGED: f"the file is not whole: {_AT_SOURCE}",
    RefusalReason.UNSAFE: "the file holds what no ECG needs: find out who sent it, then discard it",
    RefusalReason.TOO_LARGE: "export the 10 s resting ECG alone, or raise the limit it names and replay it",
    RefusalReason.TOO_SLOW: "replay it when there is less to do, or raise DIASTOLE_FEED_READ_TIMEOUT_S first",
    RefusalReason.UNSUPPORTED: f"this variant is not read: {_AT_SOURCE}, in another format",
    RefusalReason.NO_WAVEFORM: f"it holds no ECG, a report perhaps: {_AT_SOURCE}, with the waveform",
    RefusalReason.LEADS_MISSING: f"all twelve leads are needed: {_AT_SOURCE}",
    RefusalReason.UNIT_UNKNOWN: f"it does not say what its numbers measure: {_AT_SOURCE}, with units",
    RefusalReason.NO_PATIENT: "find out whose it is, correct the patient, then replay it",
    RefusalReason.PATIENT_MISMATCH: "find out whose it is, correct the patient, then replay it",
    RefusalReason.NO_TIME: "find out when it was acquired, correct the time, then replay it",
    RefusalReason.TIME_IN_FUTURE: (
        "correct the time zone where the cart writes local times, or the time itself, then replay it; "
        "set the cart's clock"
    ),
    RefusalReason.IMPLAUSIBLE_RATE: f"check how the source is set up: {_AT_SOURCE}",
    RefusalReason.IMPLAUSIBLE_DURATION: f"the resting ECG of about 10 s is needed: {_AT_SOURCE}",
    RefusalReason.IMPLAUSIBLE_AMPLITUDE: f"check the source's gain and units: {_AT_SOURCE}",
    RefusalReason.CONTRADICTORY_LEADS: f"leads or their names are mixed up: {_AT_SOURCE}",
    RefusalReason.INVALID_RECORD: "correct what the reason names, then replay it, or export it again",
}


def what_mends(code: str) -> str:
    """Say what mends a reason; one of a newer version is answered with what always helps."""
    try:
        return MENDS[RefusalReason(code)]
    except ValueError:
        return "update Diastole to the version that refused it, or export it again"
