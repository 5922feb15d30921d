"""Alerts, acts and books of them, written as short as a test wants to read them."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.alert import AlertClosed, AlertKind, AlertRaised, CloseReason
from schemas.audit import CareAction, CareScope, CareVerb
from schemas.featurized import Measurements, Quality
from schemas.identity import action_id, subject_id
from streams.deliver.case import AlertCase, CaseBook

#: When alerts of tests are raised.
RAISED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(n: float) -> datetime:
    """Tell the time so many minutes after the raise."""
    return RAISED_AT + timedelta(minutes=n)


def alert(
    number: int = 1,
    *,
    probability: float = 0.9,
    patient_id: str = "P-1",
    ward_id: str = "W1",
    site_id: str = "north",
    kind: AlertKind = AlertKind.ENTERED_HIGH,
    age_h: float = 0.1,
) -> AlertRaised:
    """Raise an alert from an ECG acquired ``age_h`` before :data:`RAISED_AT`."""
    acquired_at = RAISED_AT - timedelta(hours=age_h)
    return AlertRaised(
        alert_id=str(uuid.UUID(int=1000 + number)),
        kind=kind,
        patient_id=patient_id,
        episode_ecg_id=str(uuid.UUID(int=number)),
        ecg_id=str(uuid.UUID(int=number)),
        acquired_at=acquired_at,
        assessed_at=acquired_at,
        published_at=acquired_at,
        first_seen=True,
        probability=probability,
        probability_low=None,
        probability_high=None,
        policy_version="test",
        bundle_version="b1",
        bundle_sha256="0" * 64,
        change_text="First ECG of this patient, already high.",
        not_for_text="Not for treatment decisions.",
        quality=Quality(acceptable=True, score=0.9),
        measurements=Measurements(),
        site_id=site_id,
        ward_id=ward_id,
    )


def closed(raised: AlertRaised) -> AlertClosed:
    """End the alert's episode."""
    return AlertClosed(
        alert_id=raised.alert_id,
        patient_id=raised.patient_id,
        ecg_id=str(uuid.UUID(int=999)),
        acquired_at=raised.acquired_at,
        reason=CloseReason.RETURNED_LOW,
        probability=0.1,
        policy_version="test",
    )


def act(raised: AlertRaised, verb: CareVerb, at: datetime, key: str = "", **more: Any) -> CareAction:
    """Do something to an alert."""
    given = action_id(verb=verb.value, alert_id=raised.alert_id, actor="nurse", at=key or at.isoformat())
    return CareAction(
        action_id=given,
        alert_id=raised.alert_id,
        verb=verb,
        actor="nurse",
        acted_at=at,
        origin="test",
        **more,
    )


def mute(
    scope: CareScope, subject: str, at: datetime, until: datetime | None, *, site_id: str = ""
) -> CareAction:
    """Keep a subject quiet until a time; None lifts it."""
    verb = CareVerb.UNMUTED if until is None else CareVerb.MUTED
    about = subject_id(scope=scope.value, subject=subject, site_id=site_id)
    return CareAction(
        action_id=action_id(verb=verb.value, alert_id=about, actor="nurse", at=at.isoformat()),
        alert_id=about,
        verb=verb,
        actor="nurse",
        acted_at=at,
        origin="test",
        expires_at=until,
        scope=scope,
        subject=subject,
        site_id=site_id,
    )


def case_of(raised: AlertRaised, acts: Iterable[CareAction] = ()) -> AlertCase:
    """Fold one alert and its acts."""
    book = book_of(raised, acts=acts)
    return book.cases[raised.alert_id]


def book_of(*raised: AlertRaised, acts: Iterable[CareAction] = ()) -> CaseBook:
    """Fold alerts, all raised at :data:`RAISED_AT`, and acts."""
    book = CaseBook()
    for each in raised:
        book.take_alert(each, RAISED_AT)
    for one in acts:
        book.take_act(one)
    return book
