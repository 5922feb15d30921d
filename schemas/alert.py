"""What the care team is told: the three records of ``ecg.alert.v1``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from schemas.featurized import Measurements, Quality
from schemas.invariants import (
    MAX_TEXT_CHARS,
    freeze_array,
    require,
    require_number,
    require_patient,
    require_text,
    require_texts,
    require_utc,
    require_uuid,
)
from schemas.risk import RHYTHM_STRIP_SAMPLES, Contribution, Motion, require_interval


class AlertKind(StrEnum):
    """Why the alert was raised."""

    UNKNOWN = "UNKNOWN"
    ENTERED_HIGH = "ENTERED_HIGH"
    STEPPED_UP = "STEPPED_UP"


class CloseReason(StrEnum):
    """Why the alert needs no answer any more."""

    UNKNOWN = "UNKNOWN"
    RETURNED_LOW = "RETURNED_LOW"


class AlarmKind(StrEnum):
    """What is wrong with the system, as opposed to the patient."""

    UNKNOWN = "UNKNOWN"
    STAGE_STALLED = "STAGE_STALLED"
    STAGE_BEHIND = "STAGE_BEHIND"
    FEED_SILENT = "FEED_SILENT"
    DELIVERY_FAILED = "DELIVERY_FAILED"


class Priority(StrEnum):
    """Alarm priorities of IEC 60601-1-8."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlertRaised:
    """A patient moved into the high-risk phenotype, or further up in it.

    A pure function of the patient's accepted ECGs, the bundle and the policy: doing it again yields the same
    ``alert_id`` and the same content, so nothing in here is read from a clock.

    Attributes
    ----------
    alert_id : str
        UUIDv5 of policy version, patient, episode-opening ECG and kind.
    episode_ecg_id : str
        The ECG that opened the episode.
    ecg_id, acquired_at, assessed_at, published_at
        The ECG that raised the alert (of a STEPPED_UP alert: the one that stepped up).
    first_seen : bool
        True when no lower risk of this patient is known: the first ECG was already high.
    probability_before, before_ecg_id, before_acquired_at
        The last scored ECG before this one; None when there is none.
    change_text : str
        What changed, in one sentence.
    not_for_text : str
        What the model must not be used for, from the bundle's manifest.
    """

    alert_id: str
    kind: AlertKind
    patient_id: str
    episode_ecg_id: str
    ecg_id: str
    acquired_at: datetime
    assessed_at: datetime
    published_at: datetime
    first_seen: bool
    probability: float
    probability_low: float | None
    probability_high: float | None
    policy_version: str
    bundle_version: str
    bundle_sha256: str
    change_text: str
    not_for_text: str
    quality: Quality
    measurements: Measurements
    probability_before: float | None = None
    before_ecg_id: str | None = None
    before_acquired_at: datetime | None = None
    contributions: tuple[Contribution, ...] = ()
    motion: Motion | None = None
    rhythm_strip_uv: npt.NDArray[np.int16] | None = None
    site_id: str = ""
    ward_id: str = ""

    def __post_init__(self) -> None:
        """Refuse an alert that contradicts itself; raises InvalidRecordError."""
        for field in ("alert_id", "episode_ecg_id", "ecg_id", "before_ecg_id"):
            require_uuid(field, getattr(self, field))
        require_patient(self.patient_id)
        for field in ("acquired_at", "assessed_at", "published_at", "before_acquired_at"):
            require_utc(field, getattr(self, field))
        require_interval(self.probability, self.probability_low, self.probability_high)
        require_texts(self, ("policy_version", "bundle_version", "bundle_sha256", "site_id", "ward_id"))
        require_text("change_text", self.change_text, MAX_TEXT_CHARS)
        require_text("not_for_text", self.not_for_text, MAX_TEXT_CHARS)
        freeze_array(self, "rhythm_strip_uv", np.int16, (RHYTHM_STRIP_SAMPLES,))
        _require_before(self)


def _require_before(alert: AlertRaised) -> None:
    require_number("probability_before", alert.probability_before, 0, 1)
    absent = {
        each is None for each in (alert.probability_before, alert.before_ecg_id, alert.before_acquired_at)
    }
    require(len(absent) == 1, "probability_before, before_ecg_id, before_acquired_at", "must come together")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertClosed:
    """The episode of an alert ended."""

    alert_id: str
    patient_id: str
    ecg_id: str
    acquired_at: datetime
    reason: CloseReason
    probability: float
    policy_version: str
    site_id: str = ""
    ward_id: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot end an alert; raises InvalidRecordError."""
        require_uuid("alert_id", self.alert_id)
        require_uuid("ecg_id", self.ecg_id)
        require_patient(self.patient_id)
        require_utc("acquired_at", self.acquired_at)
        require_number("probability", self.probability, 0, 1)
        require_texts(self, ("policy_version", "site_id", "ward_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TechnicalAlarm:
    """The system, not the patient, needs somebody. Carries no patient identifier.

    Attributes
    ----------
    alarm_id : str
        UUIDv5 of kind, source and start.
    source : str
        The stage, feed or channel concerned; the Kafka key.
    action_text : str
        What the reader should do next.
    ended_at : datetime or None
        When the condition ended; the record that says so has the id of the one that raised the alarm.
    """

    alarm_id: str
    kind: AlarmKind
    priority: Priority
    source: str
    started_at: datetime
    message: str
    action_text: str
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an alarm nobody could place; raises InvalidRecordError."""
        require_uuid("alarm_id", self.alarm_id)
        require_text("source", self.source, min_chars=1)
        require_utc("started_at", self.started_at)
        require_utc("ended_at", self.ended_at)
        require_text("message", self.message, MAX_TEXT_CHARS)
        require_text("action_text", self.action_text, MAX_TEXT_CHARS)


Alert = AlertRaised | AlertClosed | TechnicalAlarm
