"""Headers of what a stage publishes: W3C trace context and CloudEvents, never patient data."""

import re
import secrets
from datetime import datetime
from typing import Final

from streams.message import Headers

TRACEPARENT: Final = "traceparent"
#: Version, trace id (not all zeros), parent id, flags; W3C Trace Context.
_WELL_FORMED: Final = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")

#: The first of each row tells whether a record is named by that row.
_IDENTITIES: Final = (
    ("quarantine_id", "act_id"),
    ("action_id",),
    ("alert_id",),
    ("alarm_id", "ended_at"),
    ("ecg_id", "bundle_version"),
    ("linked_at",),
    ("reported_at",),
)


def continue_trace(headers: Headers) -> str:
    """Carry the trace of the incoming message on with a new span id, or begin one where there is none."""
    incoming = next((text for name, text in headers if name == TRACEPARENT), None)
    known = _WELL_FORMED.fullmatch(incoming or b"")
    trace, flags = (known[1].decode(), known[2].decode()) if known else (secrets.token_hex(16), "01")
    return "-".join(("00", trace, secrets.token_hex(8), flags))


def identity_of(record: object) -> str:
    """Name a record by its deterministic ids, so that a repeat of it is seen as one.

    An ECG by its id, an assessment by ECG and bundle, an alert by its id and what happened to it, a delivery
    in quarantine by its id, each act on one of them by its own. What has no id of its own, a report or a
    merge, by its time: whom it is about may be a patient.
    """
    kind = type(record).__name__
    for names in _IDENTITIES:
        if hasattr(record, names[0]):
            known = (getattr(record, name, None) for name in names)
            return ":".join([kind, *(str(each) for each in known if each is not None)])
    return kind


def envelope(record: object, *, stage: str, topic: str, incoming: Headers, now: datetime) -> Headers:
    """Headers of one outgoing record, in CloudEvents' binary mode for Kafka."""
    headers = {
        TRACEPARENT: continue_trace(incoming),
        "ce_specversion": "1.0",
        "ce_type": topic,
        "ce_source": f"/diastole/{stage}",
        "ce_id": identity_of(record),
        "ce_time": now.isoformat(),
        "content-type": "application/avro",
    }
    return tuple((name, text.encode()) for name, text in headers.items())
