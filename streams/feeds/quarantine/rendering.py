"""Entries, acts and readings as plain values, alike over HTTP and on the command line."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from schemas.quarantine import QuarantineAct
from streams.feeds.quarantine.fold import Entry
from streams.feeds.quarantine.gist import Gist
from streams.feeds.quarantine.mending import what_mends

Plain = dict[str, Any]


def entry_plain(entry: Entry) -> Plain:
    """Write an entry; names no patient. Times are ISO 8601 in UTC."""
    record = entry.record
    return {
        "quarantine_id": entry.quarantine_id,
        "state": entry.state.value,
        "reason": entry.code,
        "detail": entry.reason,
        "what_mends": what_mends(entry.code) if entry.is_open else "",
        "received_at": _utc(record.received_at),
        "feed": record.feed,
        "source": record.source,
        "site_id": record.site_id,
        "source_format": record.source_format,
        "n_bytes": record.n_bytes,
        "is_sealed": record.is_sealed,
        "n_acts": len(entry.acts),
        "ecg_id": entry.ecg_id,
    }


def act_plain(act: QuarantineAct) -> Plain:
    """Write an act; what was corrected is not in it, but in the sum of all corrections."""
    return {
        "act_id": act.act_id,
        "verb": act.verb.value,
        "actor": act.actor,
        "acted_at": _utc(act.acted_at),
        "origin": act.origin,
        "code": act.code,
        "reason": act.reason,
        "ecg_id": act.ecg_id,
    }


def gist_plain(gist: Gist) -> Plain:
    """Write what can be read of a delivery; names its patient."""
    return asdict(gist) | {"acquired_at": _utc(gist.acquired_at) if gist.acquired_at else None}


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
