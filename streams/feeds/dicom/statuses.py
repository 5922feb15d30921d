"""What a C-STORE is answered: statuses of the Storage Service Class (DICOM PS3.4 §B.2.3) and their meaning.

======  =====================================================================================
0x0000  the ECG is on ``ecg.recorded.v1``; delete it or not
0xA700  nothing can be promised now (out of resources): send it again later
0xC1nn  refused and kept in quarantine (cannot understand); sending it again changes nothing
======  =====================================================================================
"""

from typing import Final

from pydicom.dataset import Dataset

from streams.feeds.admission import Admission, Ending
from streams.feeds.refusal import RefusalReason

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700

#: By reason. 0xC000 to 0xCFFF is free for each implementation; pynetdicom itself uses some below 0xC100 and
#: above 0xC200. The numbers are what senders' logs hold: they may be added to, never changed.
REFUSED: Final = {
    RefusalReason.DAMAGED: 0xC100,
    RefusalReason.UNKNOWN_FORMAT: 0xC101,
    RefusalReason.UNSAFE: 0xC102,
    RefusalReason.TOO_LARGE: 0xC103,
    RefusalReason.TOO_SLOW: 0xC104,
    RefusalReason.UNSUPPORTED: 0xC105,
    RefusalReason.NO_WAVEFORM: 0xC106,
    RefusalReason.LEADS_MISSING: 0xC107,
    RefusalReason.UNIT_UNKNOWN: 0xC108,
    RefusalReason.NO_PATIENT: 0xC109,
    RefusalReason.PATIENT_MISMATCH: 0xC10A,
    RefusalReason.NO_TIME: 0xC10B,
    RefusalReason.TIME_IN_FUTURE: 0xC10C,
    RefusalReason.IMPLAUSIBLE_RATE: 0xC10D,
    RefusalReason.IMPLAUSIBLE_DURATION: 0xC10E,
    RefusalReason.IMPLAUSIBLE_AMPLITUDE: 0xC10F,
    RefusalReason.CONTRADICTORY_LEADS: 0xC110,
    RefusalReason.INVALID_RECORD: 0xC111,
}

#: Of a reason that has no number yet.
_REFUSED_OTHERWISE: Final = 0xC1FF

#: (0000,0902) Error Comment is an LO (PS3.7 §C.4.2, PS3.5 §6.2).
MAX_COMMENT_CHARS: Final = 64


def status_of(admission: Admission) -> Dataset:
    """Say what became of an object; the comment of a refusal begins with its reason."""
    if admission.ending is not Ending.QUARANTINED:
        return status(SUCCESS)
    reason = admission.reason
    code = REFUSED.get(reason, _REFUSED_OTHERWISE) if reason is not None else _REFUSED_OTHERWISE
    return status(code, f"{reason or 'REFUSED'}: {admission.message}")


def status(code: int, comment: str = "") -> Dataset:
    r"""Make a status of a number and a comment, which is cut to what its field takes.

    >>> status(0xA700, "a\\b").ErrorComment
    'a/b'
    """
    answer = Dataset()
    answer.Status = code
    if comment:
        printable = "".join(char if " " <= char <= "~" else "?" for char in comment.replace("\\", "/"))
        answer.ErrorComment = printable[:MAX_COMMENT_CHARS].strip()
    return answer
