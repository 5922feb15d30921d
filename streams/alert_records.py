"""From a decision to what the care team gets: every field comes from assessment, state or policy."""

from schemas.alert import AlertClosed, AlertKind, AlertRaised, CloseReason
from schemas.identity import alert_id
from schemas.risk import RiskAssessed
from streams.change_text import change_text
from streams.patient_state import Episode, PatientState, Score
from streams.policy import Policy


def raised_alert(
    kind: AlertKind, state: PatientState, episode: Episode, score: Score, risk: RiskAssessed, policy: Policy
) -> AlertRaised:
    """Write the alert that ``risk`` raises; the same arguments give the same content.

    Parameters
    ----------
    state : PatientState
        Of before this ECG, which is only the last of ``recent`` yet: its ``newest`` is the ECG before.
    """
    version, before = policy.version, state.newest
    return AlertRaised(
        alert_id=alert_id(
            policy_version=version,
            patient_id=risk.patient_id,
            episode_ecg_id=episode.opening_ecg_id,
            kind=kind,
        ),
        kind=kind,
        patient_id=risk.patient_id,
        episode_ecg_id=episode.opening_ecg_id,
        ecg_id=risk.ecg_id,
        acquired_at=risk.acquired_at,
        assessed_at=risk.assessed_at,
        published_at=risk.published_at,
        first_seen=episode.first_seen,
        probability=score.probability,
        probability_low=risk.probability_low,
        probability_high=risk.probability_high,
        policy_version=version,
        bundle_version=risk.bundle_version,
        bundle_sha256=risk.bundle_sha256,
        change_text=change_text(kind, state, episode, score, policy),
        not_for_text=risk.not_for_text,
        quality=risk.quality,
        measurements=risk.measurements,
        probability_before=before.probability if before else None,
        before_ecg_id=before.ecg_id if before else None,
        before_acquired_at=before.acquired_at if before else None,
        contributions=risk.contributions,
        motion=risk.motion,
        rhythm_strip_uv=risk.rhythm_strip_uv,
        site_id=risk.site_id,
        ward_id=risk.ward_id,
    )


def closed_alerts(
    episode: Episode | None, risk: RiskAssessed, score: Score, policy: Policy
) -> tuple[AlertClosed, ...]:
    """Close every alert the episode raised, in the order they were raised."""
    return tuple(
        AlertClosed(
            alert_id=raised_id,
            patient_id=risk.patient_id,
            ecg_id=risk.ecg_id,
            acquired_at=risk.acquired_at,
            reason=CloseReason.RETURNED_LOW,
            probability=score.probability,
            policy_version=policy.version,
            site_id=risk.site_id,
            ward_id=risk.ward_id,
        )
        for raised_id in (episode.alert_ids if episode else ())
    )
