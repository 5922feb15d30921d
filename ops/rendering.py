"""Records as one readable line, and as one JSON line."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

import numpy as np

from ops.topic_reader import Seen
from schemas.alert import Alert, AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.feed import FeedHealth
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, QuarantineAct
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.dead_letters import ERROR_CODE, ERROR_MESSAGE, OFFSET, PARTITION, STAGE

#: More leads than this with the same trouble are counted, not named.
_MOST_LEADS_NAMED: Final = 3


def plain(thing: Any, *, with_arrays: bool = False) -> Any:
    """Turn a record into what JSON can carry.

    Parameters
    ----------
    with_arrays : bool
        False writes an array as its type and shape: 60 000 samples help no reader.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = dataclasses.fields(thing)
        return {field.name: plain(getattr(thing, field.name), with_arrays=with_arrays) for field in fields}
    if isinstance(thing, np.ndarray):
        return thing.tolist() if with_arrays else f"{thing.dtype} {thing.shape}"
    if isinstance(thing, datetime):
        return thing.isoformat()
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, Mapping):
        return {str(key): plain(entry, with_arrays=with_arrays) for key, entry in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [plain(entry, with_arrays=with_arrays) for entry in thing]
    return thing


def json_line(seen: Seen, *, with_arrays: bool = False) -> str:
    """Write a message as one line of JSON: where it was, its headers, its record or why there is none."""
    message = seen.message
    line: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp.isoformat(),
        "headers": {name: (text or b"").decode("utf-8", "replace") for name, text in message.headers},
    }
    if isinstance(seen.record, PoisonError):
        line["undecodable"] = {"code": seen.record.code, "reason": str(seen.record)}
    else:
        line["type"] = type(seen.record).__name__
        line["record"] = plain(seen.record, with_arrays=with_arrays)
    return json.dumps(line, ensure_ascii=False)


def text_line(seen: Seen) -> str:
    """Write a message as one line for people."""
    message = seen.message
    where = f"{message.timestamp:%H:%M:%S} {message.topic}[{message.partition}]@{message.offset}"
    if message.topic.endswith(".dlq"):
        return f"{where}  {_dead_letter_text(dict(message.headers))}"
    return f"{where}  {record_text(seen.record)}"


def record_text(record: Any) -> str:
    """Say what a record says, in one line."""
    match record:
        case EcgRecorded():
            return _recorded_text(record)
        case EcgFeaturized():
            return _featurized_text(record)
        case RiskAssessed():
            return f"{record.patient_id} {_minute(record.acquired_at)}  {risk_text(record)}"
        case AlertRaised() | AlertClosed() | TechnicalAlarm():
            return _alert_text(record)
        case EcgQuarantined() | QuarantineAct() | FeedHealth() | PatientLinked():
            return _feed_text(record)
        case CareAction():
            return f"{record.verb} {record.alert_id} by {record.actor}"
        case _:
            return f"undecodable: {record}"


def _alert_text(record: Alert) -> str:
    match record:
        case AlertRaised():
            return f"ALERT {record.kind} {record.patient_id}  {record.change_text}"
        case AlertClosed():
            return f"CLOSED {record.patient_id} {_minute(record.acquired_at)}  {record.reason}"
        case TechnicalAlarm() if record.ended_at is not None:
            return f"ENDED {record.kind} {record.source} {_minute(record.ended_at)}"
        case TechnicalAlarm():
            return f"ALARM {record.priority} {record.kind} {record.source}  {record.message}"


def _feed_text(record: EcgQuarantined | QuarantineAct | FeedHealth | PatientLinked) -> str:
    match record:
        case EcgQuarantined():
            return (
                f"QUARANTINED {record.quarantine_id} {record.code} from {record.feed} {record.source}  "
                f"{_one_line(record.reason)}"
            )
        case QuarantineAct():
            return (
                f"{record.verb} {record.quarantine_id} by {record.actor}  {_one_line(record.reason)}".rstrip()
            )
        case FeedHealth():
            counts = (
                f"{record.n_accepted} accepted, {record.n_repeated} repeated, "
                f"{record.n_quarantined} quarantined"
            )
            return f"{record.feed} {record.source} {record.site_id or '—'}  {counts}" + (
                f", SILENT since {_minute(record.silent_since)}" if record.silent_since else ""
            )
        case PatientLinked():
            verb = "is no longer" if record.is_undone else "is now"
            return f"{record.prior_patient_id} {verb} {record.surviving_patient_id} ({record.origin})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def risk_text(risk: RiskAssessed) -> str:
    """Say the assessment: never a number where there is no score."""
    if risk.probability is None:
        return f"NOT SCORED ({reasons_text(risk.not_scored_reasons)})"
    if risk.probability_low is None or risk.probability_high is None:
        return f"{risk.phenotype} {risk.probability:.2f}"
    return f"{risk.phenotype} {risk.probability:.2f} ({risk.probability_low:.2f}–{risk.probability_high:.2f})"


def reasons_text(reasons: Sequence[str]) -> str:
    """Write reasons, those about many leads together.

    >>> reasons_text(["LEAD_OFF:V3", *(f"NOISE:V{n}" for n in range(1, 7))])
    'LEAD_OFF:V3, NOISE in 6 leads'
    """
    leads: dict[str, list[str]] = {}
    for reason in reasons:
        leads.setdefault(reason.partition(":")[0], []).append(reason)
    return ", ".join(
        f"{code} in {len(each)} leads" if len(each) > _MOST_LEADS_NAMED else ", ".join(each)
        for code, each in leads.items()
    )


def reason_words(reasons: Sequence[str]) -> str:
    """Write reasons as words for people.

    >>> reason_words(["LEAD_OFF:V3", "TOO_SHORT"])
    'lead off (V3), too short'
    """
    words = []
    for reason in reasons_text(reasons).split(", "):
        code, _, lead = reason.partition(":")
        code, in_, count = code.partition(" ")
        words.append(f"{code.replace('_', ' ').lower()}{in_}{count}" + (f" ({lead})" if lead else ""))
    return ", ".join(words)


def decimal(number: float | None, digits: int) -> str:
    """Write a number, or a dash where there is none.

    >>> decimal(0.456, 2), decimal(None, 2)
    ('0.46', '—')
    """
    return "—" if number is None else f"{number:.{digits}f}"


def counted(count: int, what: str) -> str:
    """Write a count with its noun in the right number.

    >>> counted(1, "alert"), counted(2, "dead letter")
    ('1 alert', '2 dead letters')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _recorded_text(ecg: EcgRecorded) -> str:
    seconds = ecg.samples.shape[1] / ecg.sample_rate_hz
    return (
        f"{ecg.patient_id} {_minute(ecg.acquired_at)}  {len(ecg.lead_names)} leads, {seconds:.1f} s "
        f"at {ecg.sample_rate_hz:g} Hz, {ecg.source_format}"
    )


def _featurized_text(ecg: EcgFeaturized) -> str:
    rate = ecg.measurements.heart_rate_bpm
    heart = "HR —" if rate is None else f"HR {rate:.0f}/min"
    quality = "usable" if ecg.quality.acceptable else "unusable"
    reasons = f" ({', '.join(ecg.quality.reasons)})" if ecg.quality.reasons else ""
    return f"{ecg.patient_id} {_minute(ecg.acquired_at)}  {heart}, {quality}{reasons}"


def _dead_letter_text(headers: Mapping[str, bytes | None]) -> str:
    def header(name: str) -> str:
        return (headers.get(name) or b"?").decode("utf-8", "replace")

    return (
        f"{header(ERROR_CODE)} in {header(STAGE)}, was partition {header(PARTITION)} "
        f"offset {header(OFFSET)}: {header(ERROR_MESSAGE)}"
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
