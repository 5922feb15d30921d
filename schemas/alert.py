"""What the care team is told: the three records of ``ecg.alert.v1``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from schemas.featurized import Measurements, Quality
from schemas.risk import Contribution, Motion


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
    """

    alarm_id: str
    kind: AlarmKind
    priority: Priority
    source: str
    started_at: datetime
    message: str
    action_text: str


Alert = AlertRaised | AlertClosed | TechnicalAlarm
