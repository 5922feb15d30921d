"""What endpoints answer of alerts. What is missing is null, never 0; times are ISO 8601 in UTC."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from schemas.alert import AlarmKind, AlertKind, Priority
from schemas.audit import CareScope, CareVerb, Outcome
from schemas.risk import Motion
from streams.api.services import Services
from streams.api.views import View
from streams.deliver.case import ANSWERS, AlertCase, Mute
from streams.deliver.life import LifeEvent, LifeState, is_allowed

#: What people may do with an alert: the last part of the endpoint, and what it is in the table of its life.
PEOPLES_VERBS: Final = {
    "acknowledge": LifeEvent.ACKNOWLEDGE,
    "accept": LifeEvent.ACCEPT,
    "reject": LifeEvent.REJECT,
    "mute": LifeEvent.MUTE,
    "unmute": LifeEvent.UNMUTE,
    "outcome": LifeEvent.OUTCOME,
}


class AlertRow(View):
    """An alert as lists show it."""

    alert_id: str
    kind: AlertKind
    state: LifeState
    is_open: bool
    """Whether nobody has answered yet."""
    severity: Priority
    patient_id: str
    site_id: str
    ward_id: str
    ecg_id: str
    acquired_at: datetime
    """Of the ECG that raised it."""
    raised_at: datetime
    age_s: float
    """Since it was raised."""
    level: int
    """Step of the escalation ladder, from 0."""
    first_seen: bool
    """Whether no lower risk of this patient is known."""
    probability_before: float | None
    probability: float
    probability_low: float | None
    probability_high: float | None
    change_text: str
    """What changed, in one sentence."""
    answered_by: str | None
    answered_at: datetime | None
    is_muted: bool
    """Whether it, or its patient, ward or site, is kept quiet now."""
    closed_at: datetime | None


class ActView(View):
    """One thing that was done."""

    action_id: str
    verb: CareVerb
    actor: str
    acted_at: datetime
    origin: str
    reason: str
    channel: str
    recipient: str
    level: int
    expires_at: datetime | None
    outcome: Outcome


class QualityView(View):
    """Whether the waveform can be relied on."""

    acceptable: bool
    score: float
    reasons: list[str]


class ContributionView(View):
    """How much one part moved the log-odds."""

    name: str
    log_odds: float


class AlertView(AlertRow):
    """One alert with all that its reader needs."""

    episode_ecg_id: str
    assessed_at: datetime
    before_ecg_id: str | None
    before_acquired_at: datetime | None
    quality: QualityView
    measurements: dict[str, float | None] = Field(description="Units are in the names.")
    motion: dict[str, float | None] | None = Field(
        description="Measurements of the synthetic motion, units in the names; null without motion."
    )
    contributions: list[ContributionView]
    bundle_version: str
    bundle_sha256: str
    policy_version: str
    not_for_text: str
    """What the model must not be used for."""
    acts: list[ActView]
    allowed: list[str]
    """What may be done with it now, as the last part of the endpoint."""


class AlertsView(View):
    """A page of alerts, the newest first."""

    as_of: datetime
    is_current: bool
    """False: Kafka does not answer, and this is as old as `behind_s` says."""
    behind_s: float
    total: int
    n_judged: int
    """Of the total: accepted or rejected by somebody, whatever became of them since; the last word counts."""
    rejected_share: float | None
    """Of the judged; null when there are none."""
    limit: int
    offset: int
    alerts: list[AlertRow]


class MuteView(View):
    """Alerts of a patient, ward or site are kept quiet: listed, not paged."""

    scope: CareScope
    subject: str
    site_id: str
    """Of a ward: of which site; empty: the wards of that name at every site."""
    since: datetime
    until: datetime
    actor: str
    reason: str


class AlarmView(View):
    """Something is wrong with the system, as opposed to a patient."""

    alarm_id: str
    kind: AlarmKind
    priority: Priority
    source: str
    started_at: datetime
    message: str
    action_text: str
    """What to do next."""
    ended_at: datetime | None


def alert_row(case: AlertCase, services: Services) -> AlertRow:
    """Answer an alert as lists show it."""
    return AlertRow(**_row(case, services))


def alert_view(case: AlertCase, services: Services) -> AlertView:
    """Answer an alert with everything."""
    alert = case.alert
    return AlertView(
        **_row(case, services),
        episode_ecg_id=alert.episode_ecg_id,
        assessed_at=alert.assessed_at,
        before_ecg_id=alert.before_ecg_id,
        before_acquired_at=alert.before_acquired_at,
        quality=QualityView.model_validate(alert.quality),
        measurements=asdict(alert.measurements),
        motion=None if alert.motion is None else motion_measurements(alert.motion),
        contributions=[ContributionView.model_validate(each) for each in alert.contributions],
        bundle_version=alert.bundle_version,
        bundle_sha256=alert.bundle_sha256,
        policy_version=alert.policy_version,
        not_for_text=alert.not_for_text,
        acts=[ActView.model_validate(act) for act in case.acts],
        allowed=[verb for verb in PEOPLES_VERBS if is_offered(case, verb)],
    )


def is_offered(case: AlertCase, verb: str) -> bool:
    """Whether people may do this now; an alert that is not quiet is not made loud."""
    if verb == "unmute":
        return case.state is LifeState.MUTED
    return is_allowed(case.state, PEOPLES_VERBS[verb])


def rejected_share(cases: Iterable[AlertCase]) -> tuple[int, float | None]:
    """Count those that were judged, and give the share of them that was rejected; None of none."""
    words = [word.verb for case in cases if (word := case.last(CareVerb.ACCEPTED, CareVerb.REJECTED))]
    return len(words), words.count(CareVerb.REJECTED) / len(words) if words else None


def mute_view(mute: Mute) -> MuteView:
    """Answer a mute."""
    return MuteView.model_validate(mute)


def motion_measurements(motion: Motion) -> dict[str, float | None]:
    """Give all measurements of a motion by name, the mean e' first."""
    names = [name for name in Motion.__slots__ if name != "velocities_cm_s"]
    return {"e_prime_cm_s": motion.e_prime_cm_s, **{name: getattr(motion, name) for name in names}}


def _row(case: AlertCase, services: Services) -> dict[str, Any]:
    alert, now = case.alert, services.now()
    answer = case.last(*ANSWERS)
    is_muted = case.state is LifeState.MUTED or services.book.book.mute_of(alert, now) is not None
    return {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "state": case.state,
        "is_open": case.is_open,
        "severity": services.routes.severity(alert),
        "patient_id": alert.patient_id,
        "site_id": alert.site_id,
        "ward_id": alert.ward_id,
        "ecg_id": alert.ecg_id,
        "acquired_at": alert.acquired_at,
        "raised_at": case.raised_at,
        "age_s": max((now - case.raised_at).total_seconds(), 0.0),
        "level": case.level,
        "first_seen": alert.first_seen,
        "probability_before": alert.probability_before,
        "probability": alert.probability,
        "probability_low": alert.probability_low,
        "probability_high": alert.probability_high,
        "change_text": alert.change_text,
        "answered_by": answer.actor if answer else None,
        "answered_at": answer.acted_at if answer else None,
        "is_muted": is_muted,
        "closed_at": case.closed_at,
    }
