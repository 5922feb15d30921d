"""Who did what to an alert, or kept alerts quiet: ``care.audit.v1``, append-only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.invariants import (
    MAX_TEXT_CHARS,
    require,
    require_number,
    require_text,
    require_utc,
    require_uuid,
)


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
    DELIVERY_FAILED = "DELIVERY_FAILED"
    UNMUTED = "UNMUTED"
    EXPIRED = "EXPIRED"
    OUTCOME = "OUTCOME"
    LISTED = "LISTED"


class CareScope(StrEnum):
    """What an act is about; all but ALERT are for MUTED, UNMUTED and VIEWED."""

    ALERT = "ALERT"
    PATIENT = "PATIENT"
    WARD = "WARD"
    SITE = "SITE"


class Outcome(StrEnum):
    """What an echocardiogram or the care team found in the end; the label of the alert's ECG."""

    NOT_STATED = "NOT_STATED"
    CONFIRMED = "CONFIRMED"
    NOT_CONFIRMED = "NOT_CONFIRMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CareAction:
    """One act on one alert; ``action_id`` makes a repeat of the same act visible as such.

    Attributes
    ----------
    action_id : str
        UUIDv5 of what was done (:func:`schemas.identity.action_id`), so that doing it twice is once.
    alert_id : str
        The alert acted on, also the Kafka key. Of an act on a patient, ward or site: UUIDv5 of that
        (:func:`schemas.identity.subject_id`).
    actor : str
        Who did it: a token's name, or ``deliver`` for what the system did by itself.
    acted_at : datetime
        UTC.
    origin : str
        Where it was done from: ``inbox``, ``api``, ``command``, ``deliver``.
    reason : str
        Why, as far as stated; of DELIVERY_FAILED and LISTED, why.
    channel, recipient : str
        Of DELIVERED and DELIVERY_FAILED: the channel's name, and who was meant by it (a role, no person).
    expires_at : datetime or None
        Of MUTED: until when; UTC.
    scope, subject : CareScope, str
        Of MUTED, UNMUTED, VIEWED beyond one alert: the patient, ward or site.
    level : int
        Of ESCALATED, DELIVERED and DELIVERY_FAILED: step of the escalation ladder, from 0.
    outcome : Outcome
        Of OUTCOME.
    site_id : str
        Of MUTED and UNMUTED of a ward: of which site; empty: the wards of that name at every site.
    """

    action_id: str
    alert_id: str
    verb: CareVerb
    actor: str
    acted_at: datetime
    origin: str
    reason: str = ""
    channel: str = ""
    recipient: str = ""
    expires_at: datetime | None = None
    scope: CareScope = CareScope.ALERT
    subject: str = ""
    level: int = 0
    outcome: Outcome = Outcome.NOT_STATED
    site_id: str = ""

    def __post_init__(self) -> None:
        """Refuse an act without actor or time; raises InvalidRecordError."""
        require_uuid("action_id", self.action_id)
        require_uuid("alert_id", self.alert_id)
        require_text("actor", self.actor, min_chars=1)
        require_utc("acted_at", self.acted_at)
        require_text("origin", self.origin)
        require_text("reason", self.reason, MAX_TEXT_CHARS)
        require_text("channel", self.channel)
        require_text("recipient", self.recipient)
        require_text("subject", self.subject)
        require_utc("expires_at", self.expires_at)
        require_number("level", self.level, 0, 100)
        is_of_alert = self.scope is CareScope.ALERT
        require(is_of_alert == (not self.subject), "subject", "is of scopes beyond one alert")
        require_text("site_id", self.site_id)
        require(not self.site_id or self.scope is CareScope.WARD, "site_id", "is of the scope WARD alone")
