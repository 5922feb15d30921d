"""Who did what to an alert: ``care.audit.v1``, append-only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CareVerb(StrEnum):
    """What was done to an alert."""

    UNKNOWN = "UNKNOWN"
    DELIVERED = "DELIVERED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    ESCALATED = "ESCALATED"
    MUTED = "MUTED"
    VIEWED = "VIEWED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CareAction:
    """One act on one alert; ``action_id`` makes a repeat of the same act visible as such."""

    action_id: str
    alert_id: str
    verb: CareVerb
    actor: str
    acted_at: datetime
    origin: str
    reason: str = ""
