"""Who did what to an alert: ``care.audit.v1``, append-only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.invariants import MAX_TEXT_CHARS, require_text, require_utc, require_uuid


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

    def __post_init__(self) -> None:
        """Refuse an act without actor or time; raises InvalidRecordError."""
        require_uuid("action_id", self.action_id)
        require_uuid("alert_id", self.alert_id)
        require_text("actor", self.actor, min_chars=1)
        require_utc("acted_at", self.acted_at)
        require_text("origin", self.origin)
        require_text("reason", self.reason, MAX_TEXT_CHARS)
