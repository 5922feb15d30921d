"""The JSON a webhook sends, version 1; described in ``docs/webhook-notice.v1.schema.json``.

A missing value is null, never 0. Fields may be added to a version; a field is never removed from it, nor does
its meaning change: that makes a new version.
"""

from typing import Any, Final

from schemas.risk import Motion
from streams.deliver.channels.notice import Notice, one_line, subject_of, text_of

VERSION: Final = 1

RAISED: Final = "alert.raised"
ESCALATED: Final = "alert.escalated"
CLOSED: Final = "alert.closed"


def payload_of(notice: Notice, key: str, *, with_patient: bool) -> dict[str, Any]:
    """Write a notice as what JSON can hold; the same key and case give the same payload.

    Parameters
    ----------
    with_patient : bool
        Whether ``patient_id`` is stated; null otherwise, and in no text.
    """
    alert, case = notice.alert, notice.case
    return {
        "version": VERSION,
        "event": _event(notice),
        "key": key,
        "severity": notice.severity.value,
        "recipient": notice.recipient,
        "level": notice.level,
        "subject": subject_of(notice),
        "text": text_of(notice, with_patient=with_patient),
        "link": notice.link or None,
        "alert": {
            "id": alert.alert_id,
            "kind": alert.kind.value,
            "patient_id": alert.patient_id if with_patient else None,
            "site": alert.site_id or None,
            "ward": alert.ward_id or None,
            "ecg_id": alert.ecg_id,
            "acquired_at": alert.acquired_at.isoformat(),
            "raised_at": case.raised_at.isoformat(),
            "closed_at": None if case.closed_at is None else case.closed_at.isoformat(),
            "first_seen": alert.first_seen,
            "change": one_line(alert.change_text),
            "not_for": one_line(alert.not_for_text),
            "bundle": alert.bundle_version,
            "bundle_sha256": alert.bundle_sha256,
            "policy": alert.policy_version,
        },
        "risk": {
            "before": alert.probability_before,
            "after": alert.probability,
            "low": alert.probability_low,
            "high": alert.probability_high,
        },
        "motion": None if alert.motion is None else _motion(alert.motion),
        "quality": {"score": alert.quality.score, "reasons": list(alert.quality.reasons)},
    }


def _event(notice: Notice) -> str:
    if notice.is_over:
        return CLOSED
    return ESCALATED if notice.level else RAISED


def _motion(motion: Motion) -> dict[str, float | None]:
    return {"e_prime_cm_s": motion.e_prime_cm_s, "e_over_a": motion.e_over_a}
