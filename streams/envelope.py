"""Headers of what a stage publishes: W3C trace context and CloudEvents, never patient data."""

import re
import secrets
from datetime import datetime
from typing import Final

from streams.message import Headers

TRACEPARENT: Final = "traceparent"
#: Version, trace id (not all zeros), parent id, flags; W3C Trace Context.
_WELL_FORMED: Final = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")


def continue_trace(headers: Headers) -> str:
    """Carry the trace of the incoming message on with a new span id, or begin one where there is none."""
    incoming = next((text for name, text in headers if name == TRACEPARENT), None)
    known = _WELL_FORMED.fullmatch(incoming or b"")
    trace, flags = (known[1].decode(), known[2].decode()) if known else (secrets.token_hex(16), "01")
    return "-".join(("00", trace, secrets.token_hex(8), flags))


def identity_of(record: object) -> str:
    """Name a record by its deterministic ids, so that a repeat of it is seen as one.

    An ECG by its id, an assessment by ECG and bundle, an alert by its id and what happened to it, a delivery
    in quarantine by its id and each act on it by its own.
    """
    if hasattr(record, "quarantine_id"):
        names: tuple[str, ...] = ("quarantine_id", "act_id")
    else:
        names = ("alert_id", "alarm_id") if hasattr(record, "alert_id") else ("ecg_id", "bundle_version")
    known = [str(getattr(record, name)) for name in names if hasattr(record, name)]
    return ":".join([type(record).__name__, *known])


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
