"""An alert as the message of IHE PCD-04, Report Alert (ORU^R40^ORU_R40, HL7 v2.6).

::

    MSH  IHE_PCD_ACM_001; MSH-10 from the idempotency key
    PID  the patient            PV1  ward and site
    OBR  the alert; OBR-29 names it again in all but the first message about it
    OBX  .1 event  .2 source  .3 phase  .4 state  .5 inactivation  .6 priority  .7 type  .8 text; the risk
    NTE  what a reader asks for, a line each

Facets are those of the IHE Devices Technical Framework, volume 2, PCD-04; codes of ISO/IEEE 11073-10101.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.alert import Priority
from streams.deliver.channels.notice import Notice, one_line, place_of, subject_of, text_of
from streams.feeds.mllp.escapes import escape
from streams.feeds.mllp.message import Delimiters

#: MSH-10 holds 20 characters in version 2.6 and before.
_CONTROL_ID_CHARS: Final = 20

_PROFILE: Final = "IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.4.1^ISO"

#: Alarm priorities of PCD-04: none, low, medium, high.
_PRIORITIES: Final = {Priority.HIGH: "PH", Priority.MEDIUM: "PM", Priority.LOW: "PL"}

#: Advisory: neither a physiological alarm of a monitor (SP) nor a technical one (ST).
_ADVISORY: Final = "SA"

_DELIMITERS: Final = Delimiters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who sends to whom, MSH-3 to MSH-6, and who assigns patients' identifiers, PID-3.4."""

    application: str = "DIASTOLE"
    facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    patient_authority: str = ""


def control_id(key: str) -> str:
    """Make MSH-10 of the idempotency key: the same key is the same message.

    >>> control_id("a:pager:0")
    '4F427A43038D55919CDF'
    """
    return hashlib.sha256(key.encode()).hexdigest()[:_CONTROL_ID_CHARS].upper()


def pcd04(notice: Notice, key: str, parties: Parties) -> bytes:
    """Write the message, UTF-8, segments ended by CR.

    Phase is ``start`` for the first notice, ``continue`` for one of a higher level, ``end`` once the alert is
    over.
    """
    lines = text_of(notice, with_patient=False).splitlines()
    segments = [
        _msh(notice, key, parties),
        _segment("PID", "", "", _composite(notice.alert.patient_id, "", "", parties.patient_authority, "MR")),
        _segment("PV1", "", "U", _composite(notice.alert.ward_id, "", "", notice.alert.site_id)),
        _obr(notice),
        *_facets(notice),
        *(_segment("NTE", str(number), "", _text(line)) for number, line in enumerate(lines, start=1)),
    ]
    return "".join(f"{segment}\r" for segment in segments).encode("utf-8", errors="replace")


def phase_of(notice: Notice) -> str:
    """Name the event phase: start, continue or end."""
    if notice.is_over:
        return "end"
    return "continue" if notice.level else "start"


def _msh(notice: Notice, key: str, parties: Parties) -> str:
    return _segment(
        "MSH",
        _DELIMITERS.encoding_characters,
        _text(parties.application),
        _text(parties.facility or notice.alert.site_id),
        _text(parties.receiving_application),
        _text(parties.receiving_facility),
        _time(notice.now),
        "",
        "ORU^R40^ORU_R40",
        control_id(key),
        "P",
        "2.6",
        "",
        "",
        "AL",
        "NE",
        "",
        "UNICODE UTF-8",
        "",
        "",
        _PROFILE,
    )


def _obr(notice: Notice) -> str:
    alert = notice.alert
    order = _composite(alert.alert_id, "DIASTOLE")
    parent = "" if phase_of(notice) == "start" else f"^{_text(alert.alert_id)}&DIASTOLE"
    fields = ["1", order, order, "196616^MDC_EVT_ALARM^MDC", "", "", _time(notice.case.raised_at)]
    return _segment("OBR", *fields, *[""] * 21, parent)


def _facets(notice: Notice) -> list[str]:
    alert, priority = notice.alert, _PRIORITIES[notice.severity]
    event = "DIASTOLE_HIGH_RISK^High-risk diastolic-dysfunction phenotype^99DIASTOLE"
    source = _composite("DIASTOLE_ECG_RISK", place_of(alert), "99DIASTOLE")
    risk = f"{alert.probability * 100:.2f}"
    facets = (
        ("CWE", "196616^MDC_EVT_ALARM^MDC", "1", event, "", f"{priority}~{_ADVISORY}"),
        ("CWE", "68480^MDC_ATTR_ALERT_SOURCE^MDC", "2", source, "", ""),
        ("ST", "68481^MDC_ATTR_EVENT_PHASE^MDC", "3", phase_of(notice), "", ""),
        ("ST", "68482^MDC_ATTR_ALARM_STATE^MDC", "4", "inactive" if notice.is_over else "active", "", ""),
        ("ST", "68483^MDC_ATTR_ALARM_INACTIVATION_STATE^MDC", "5", "enabled", "", ""),
        ("ST", "68484^MDC_ATTR_ALARM_PRIORITY^MDC", "6", priority, "", ""),
        ("ST", "68485^MDC_ATTR_ALERT_TYPE^MDC", "7", _ADVISORY, "", ""),
        ("ST", "68546^MDC_ATTR_ALERT_TEXT^MDC", "8", _text(subject_of(notice)), "", ""),
        ("NM", "DIASTOLE_RISK^Probability of the phenotype^99DIASTOLE", "9", risk, "%^percent^UCUM", ""),
    )
    at = _time(alert.acquired_at)
    return [
        _segment(
            "OBX", str(n), kind, what, f"1.0.0.0.{facet}", value, unit, "", flags, "", "", "F", "", "", at
        )
        for n, (kind, what, facet, value, unit, flags) in enumerate(facets, start=1)
    ]


def _segment(*fields: str) -> str:
    return _DELIMITERS.field.join(fields).rstrip(_DELIMITERS.field)


def _composite(*components: str) -> str:
    return _DELIMITERS.component.join(map(_text, components)).rstrip(_DELIMITERS.component)


def _text(text: str) -> str:
    return escape(one_line(text), _DELIMITERS, ascii_only=False)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}+0000"
