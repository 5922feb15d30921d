"""Alerts and notices, written as short as a test of a channel wants to read them."""

import uuid
from datetime import UTC, datetime, timedelta

from assessments import moving, nth_ecg_id

from schemas.alert import AlertClosed, AlertKind, AlertRaised, CloseReason, Priority
from schemas.featurized import Measurements, Quality
from streams.deliver.case import AlertCase
from streams.deliver.channels.notice import Notice

RAISED_AT = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
NOW = RAISED_AT + timedelta(minutes=1)

#: In no text, header, log or error of a channel that leaves the hospital.
PATIENT = "PAT-4711-SECRET"


def alert_of(number: int = 1, **changes: object) -> AlertRaised:
    """Raise the ``number``-th alert."""
    fields: dict[str, object] = {
        "alert_id": str(uuid.UUID(int=1000 + number)),
        "kind": AlertKind.ENTERED_HIGH,
        "patient_id": PATIENT,
        "episode_ecg_id": nth_ecg_id(number),
        "ecg_id": nth_ecg_id(number),
        "acquired_at": RAISED_AT - timedelta(minutes=5),
        "assessed_at": RAISED_AT,
        "published_at": RAISED_AT - timedelta(minutes=4),
        "first_seen": False,
        "probability": 0.6123,
        "probability_low": 0.52,
        "probability_high": 0.7,
        "policy_version": "default-1",
        "bundle_version": "b1",
        "bundle_sha256": "0" * 64,
        "change_text": "Risk rose from 0.12 to 0.61 within 3 days; HIGH confirmed by the last 2 ECGs.",
        "not_for_text": "Treatment decisions without an echocardiogram.",
        "quality": Quality(acceptable=True, score=0.93, reasons=("BASELINE_WANDER:V3",)),
        "measurements": Measurements(heart_rate_bpm=71.0),
        "probability_before": 0.1234,
        "before_ecg_id": nth_ecg_id(900 + number),
        "before_acquired_at": RAISED_AT - timedelta(days=3),
        "motion": moving(5.1, 0.62),
        "site_id": "north",
        "ward_id": "Kardiologie Süd",
        **changes,
    }
    return AlertRaised(**fields)  # type: ignore[arg-type]


def closed_of(alert: AlertRaised) -> AlertClosed:
    """End the alert's episode."""
    return AlertClosed(
        alert_id=alert.alert_id,
        patient_id=alert.patient_id,
        ecg_id=nth_ecg_id(500),
        acquired_at=RAISED_AT + timedelta(hours=2),
        reason=CloseReason.RETURNED_LOW,
        probability=0.1,
        policy_version=alert.policy_version,
    )


def notice_of(alert: AlertRaised | None = None, *, level: int = 0, is_over: bool = False) -> Notice:
    """Put an alert on its way."""
    alert = alert or alert_of()
    case = AlertCase(alert=alert, raised_at=RAISED_AT)
    if is_over:
        case = case.with_end(closed_of(alert), RAISED_AT + timedelta(hours=2))
    return Notice(
        case=case,
        severity=Priority.HIGH,
        recipient="ward doctor",
        level=level,
        link=f"https://diastole.example/alerts/{alert.alert_id}",
        now=NOW,
    )


def key_of(notice: Notice, channel: str) -> str:
    """Write the idempotency key as the plan does."""
    return f"{notice.alert.alert_id}:{channel}:{notice.level}"
