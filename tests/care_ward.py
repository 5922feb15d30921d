"""A hospital to look at: twelve alerts in all states and severities, with the life they had so far.

A patient in atrial fibrillation, gaps and ECGs that could not be scored, names that are too long.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from care_api import FakeBook, FakeStore
from care_stories import alerts_of, moved, stories

from schemas.alert import (
    AlarmKind,
    AlertClosed,
    AlertKind,
    AlertRaised,
    CloseReason,
    Priority,
    TechnicalAlarm,
)
from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from schemas.featurized import EcgFeaturized
from schemas.feed import FeedHealth, RefusalCount
from schemas.identity import action_id
from schemas.risk import RiskAssessed
from streams.deliver.acts import By, mute_subject
from streams.history import history_point
from streams.waveform import Strip
from streams.worklist import Order, PatientRow

LONG_WARD = "Geriatrics and rehabilitation, building 7, second floor"
#: Whose risk fell again before anybody answered.
FELL = "SIM-007601"
LONG_NAME = "NORTH-HOSPITAL-PSEUDONYM-0f3a9c77d1b24e0c8a55"


class Ward(FakeStore):
    """A store whose wards are ordered as the real one orders them."""

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        rows = [row for row in self.rows if row.ward_id == ward_id]
        keys: dict[str, Any] = {
            "risk": lambda row: -(row.probability if row.probability is not None else -1.0),
            "change": lambda row: -(row.change if row.change is not None else -2.0),
            "age": lambda row: -row.last.acquired_at.timestamp(),
        }
        return sorted(rows, key=keys[order])[offset : offset + limit]


def act(raised: AlertRaised, verb: CareVerb, at: datetime, actor: str = "deliver", **more: Any) -> CareAction:
    """Do something to an alert."""
    key = f"{at.isoformat()}{more.get('channel', '')}"
    return CareAction(
        action_id=action_id(verb=verb.value, alert_id=raised.alert_id, actor=actor, at=key),
        alert_id=raised.alert_id,
        verb=verb,
        actor=actor,
        acted_at=at,
        origin="deliver" if actor == "deliver" else "inbox",
        **more,
    )


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

#: What happened to an alert: how long ago, what, and more of the act.
Acts = Sequence[tuple[timedelta, CareVerb, dict[str, Any]]]

_CHAT = {"channel": "chat", "recipient": "ward nurses"}
_PAGER = {"channel": "pager", "recipient": "cardiologist on call", "level": 1}


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Whose story it is, how long ago it ended, and what became of its alert, if it raised one."""

    story: str
    patient_id: str
    ward_id: str
    ago: timedelta
    raised_ago: timedelta | None = None
    acts: Acts = ()


def _beds(now: datetime) -> list[Bed]:
    verb = CareVerb
    return [
        Bed(
            story="riser",
            patient_id="SIM-007001",
            ward_id="CCU",
            ago=33 * _MINUTE,
            raised_ago=32 * _MINUTE,
            acts=(
                (32 * _MINUTE, verb.DELIVERED, _CHAT),
                (20 * _MINUTE, verb.VIEWED, {"actor": "ccu-screen"}),
                (17 * _MINUTE, verb.ESCALATED, {"level": 1}),
                (17 * _MINUTE, verb.DELIVERED, _PAGER),
            ),
        ),
        Bed(
            story="fibrillating",
            patient_id="SIM-007005",
            ward_id="CCU",
            ago=9 * _MINUTE,
            raised_ago=8 * _MINUTE,
            acts=(
                (8 * _MINUTE, verb.DELIVERED, _CHAT),
                (3 * _MINUTE, verb.ACKNOWLEDGED, {"actor": "dr-ward-3"}),
            ),
        ),
        Bed(
            story="first",
            patient_id=LONG_NAME,
            ward_id=LONG_WARD,
            ago=2 * _MINUTE,
            raised_ago=1.2 * _MINUTE,
        ),
        Bed(
            story="fibrillating",
            patient_id="SIM-007101",
            ward_id="Ward 3 North",
            ago=3 * _HOUR,
            raised_ago=2.4 * _HOUR,
            acts=((2.4 * _HOUR, verb.DELIVERY_FAILED, {**_CHAT, "reason": "the chat server answered 503"}),),
        ),
        Bed(
            story="fibrillating",
            patient_id="SIM-007105",
            ward_id="Ward 3 North",
            ago=_HOUR,
            raised_ago=0.7 * _HOUR,
            acts=(
                (0.7 * _HOUR, verb.DELIVERED, _CHAT),
                (0.2 * _HOUR, verb.ESCALATED, {"level": 1}),
                (0.2 * _HOUR, verb.DELIVERED, _PAGER),
            ),
        ),
        Bed(
            story="first",
            patient_id="SIM-007118",
            ward_id="Ward 3 North",
            ago=4 * _HOUR,
            raised_ago=3.8 * _HOUR,
            acts=(
                (3.8 * _HOUR, verb.DELIVERED, _CHAT),
                (3.5 * _HOUR, verb.ACKNOWLEDGED, {"actor": "night-charge-nurse"}),
                (3.1 * _HOUR, verb.ACCEPTED, {"actor": "dr-ward-3"}),
                (
                    1.0 * _HOUR,
                    verb.OUTCOME,
                    {"actor": "echo-lab", "outcome": Outcome.CONFIRMED, "reason": "E/e' 17"},
                ),
            ),
        ),
        Bed(
            story="riser",
            patient_id="SIM-007201",
            ward_id=LONG_WARD,
            ago=6 * _HOUR,
            raised_ago=5.9 * _HOUR,
            acts=(
                (5.9 * _HOUR, verb.DELIVERED, _CHAT),
                (
                    5.0 * _HOUR,
                    verb.REJECTED,
                    {"actor": "dr-geriatrics", "reason": "known-condition: HFpEF, in treatment since 2024"},
                ),
            ),
        ),
        Bed(
            story="fibrillating",
            patient_id="SIM-007205",
            ward_id=LONG_WARD,
            ago=2 * _HOUR,
            raised_ago=1.9 * _HOUR,
            acts=(
                (1.9 * _HOUR, verb.DELIVERED, _CHAT),
                (
                    1.5 * _HOUR,
                    verb.MUTED,
                    {
                        "actor": "dr-geriatrics",
                        "expires_at": now + 6 * _HOUR,
                        "reason": "echo booked for 15:00",
                    },
                ),
            ),
        ),
        Bed(
            story="riser",
            patient_id="SIM-007301",
            ward_id="Ward 3 North",
            ago=30 * _HOUR,
            raised_ago=29 * _HOUR,
            acts=(
                (29 * _HOUR, verb.DELIVERED, _CHAT),
                (28 * _HOUR, verb.ESCALATED, {"level": 1}),
                (5 * _HOUR, verb.EXPIRED, {}),
            ),
        ),
        Bed(
            story="first",
            patient_id="SIM-007318",
            ward_id="CCU",
            ago=50 * _HOUR,
            raised_ago=49 * _HOUR,
            acts=(
                (49 * _HOUR, verb.DELIVERED, _CHAT),
                (48 * _HOUR, verb.ACKNOWLEDGED, {"actor": "dr-ccu"}),
            ),
        ),
        Bed(
            story="fibrillating",
            patient_id="SIM-007401",
            ward_id="CCU",
            ago=20 * _HOUR,
            raised_ago=6 * _HOUR,
            acts=((6 * _HOUR, verb.LISTED, {"reason": "the ECG was 13 h old when it came"}),),
        ),
        Bed(
            story="first",
            patient_id=FELL,
            ward_id="CCU",
            ago=31 * _HOUR,
            raised_ago=30 * _HOUR,
            acts=((30 * _HOUR, verb.DELIVERED, _CHAT),),
        ),
        Bed(story="riser", patient_id="SIM-007501", ward_id="CCU", ago=6 * _MINUTE),
        Bed(story="calm", patient_id="SIM-007008", ward_id="CCU", ago=20 * _HOUR),
        Bed(story="failing", patient_id="SIM-007028", ward_id="CCU", ago=5 * _HOUR),
        Bed(story="never", patient_id="SIM-007030", ward_id="CCU", ago=40 * _HOUR),
        Bed(story="calm", patient_id="SIM-007108", ward_id="Ward 3 North", ago=75 * _HOUR),
    ]


def furnish(book: FakeBook, store: Ward, now: datetime) -> None:
    """Put patients, histories, strips, alerts and their lives in."""
    raised = {}
    for bed in _beds(now):
        alert = _admit(book, store, bed, now)
        if alert is None:
            continue
        raised[bed.patient_id] = alert
        for ago, verb, more in bed.acts:
            book.book.take_act(act(alert, verb, now - ago, **more))
    _mute(book, now)
    _move(store, "SIM-007105", "CCU")
    _close(book, raised["SIM-007318"], now)
    _close(book, raised[FELL], now)
    _step_up(book, store, raised["SIM-007001"], now)
    book.open_alarms += _alarms(now)


def _move(store: Ward, patient_id: str, ward_id: str) -> None:
    store.rows = [
        replace(row, ward_id=ward_id) if row.patient_id == patient_id else row for row in store.rows
    ]


def _mute(book: FakeBook, now: datetime) -> None:
    quiet = (
        (CareScope.WARD, LONG_WARD, 3 * _HOUR, "Drill of the pagers; the ward has a runner meanwhile."),
        (CareScope.PATIENT, LONG_NAME, 70 * _HOUR, "Comfort care agreed with the family."),
        (CareScope.SITE, "south", 19 * _HOUR, "Migration of the ECG archive: copies arrive out of order."),
    )
    for scope, subject, left, reason in quiet:
        by = By(actor="dr-geriatrics", origin="inbox")
        book.book.take_act(mute_subject(scope, subject, by, now - 2 * _HOUR, until=now + left, text=reason))


def _close(book: FakeBook, old: AlertRaised, now: datetime) -> None:
    ended = AlertClosed(
        alert_id=old.alert_id,
        patient_id=old.patient_id,
        ecg_id=old.ecg_id,
        acquired_at=now - 20 * _HOUR,
        reason=CloseReason.RETURNED_LOW,
        probability=0.31,
        policy_version=old.policy_version,
    )
    book.book.take_alert(ended, now - 20 * _HOUR)


def _admit(book: FakeBook, store: Ward, bed: Bed, now: datetime) -> AlertRaised | None:
    story = stories()[bed.story]
    risks, ecgs = story.risks, story.ecgs
    if bed.raised_ago is not None:  # The story ends with the ECG that raised the alert.
        raising = alerts_of(risks)[0].ecg_id
        end = next(i for i, risk in enumerate(risks) if risk.ecg_id == raising) + 1
        risks, ecgs = risks[:end], ecgs[:end]
    shift = now - bed.ago - risks[-1].acquired_at
    # One ECG, one patient: others who share the story have ECGs of their own.
    risks = [
        moved(
            risk,
            shift,
            patient_id=bed.patient_id,
            ward_id=bed.ward_id,
            ecg_id=str(uuid.uuid5(uuid.NAMESPACE_OID, bed.patient_id + risk.ecg_id)),
        )
        for risk in risks
    ]
    _remember(store, bed, risks, ecgs)
    if bed.raised_ago is None:
        return None
    raised = alerts_of(risks)[-1]
    book.take(raised, now - bed.raised_ago)
    return raised


def _remember(store: Ward, bed: Bed, risks: list[RiskAssessed], ecgs: list[EcgFeaturized]) -> None:
    points = [history_point(risk) for risk in risks]
    scored = [point for point in points if point.probability is not None]
    store.points += points
    store.rows.append(
        PatientRow(
            patient_id=bed.patient_id,
            identifiers=(bed.patient_id,),
            ward_id=bed.ward_id,
            site_id="north",
            age_years=ecgs[-1].age_years,
            sex=ecgs[-1].sex,
            last=points[-1],
            scored=scored[-1] if scored else None,
            previous=scored[-2] if len(scored) > 1 else None,
        )
    )
    for risk, ecg in zip(risks[-4:], ecgs[-4:], strict=True):
        if ecg.model_input_uv is not None:
            store.strips[risk.ecg_id] = Strip(
                ecg_id=risk.ecg_id,
                patient_id=bed.patient_id,
                acquired_at=risk.acquired_at,
                ward_id=bed.ward_id,
                site_id="north",
                sample_rate_hz=500,
                leads_uv=ecg.model_input_uv,
            )


def _step_up(book: FakeBook, store: Ward, base: AlertRaised, now: datetime) -> None:
    point = next(row.last for row in store.rows if row.patient_id == "SIM-007501")
    stepped = replace(
        base,
        alert_id=str(uuid.UUID(int=77)),
        kind=AlertKind.STEPPED_UP,
        patient_id="SIM-007501",
        ecg_id=point.ecg_id,
        acquired_at=point.acquired_at,
        probability=0.93,
        probability_low=0.88,
        probability_high=0.96,
        probability_before=0.71,
        change_text="Risk of the high-risk diastolic phenotype rose from 0.71 at the last alert to 0.93 "
        "within 3 days while already HIGH.",
    )
    book.take(stepped, now - 4 * _MINUTE)
    book.book.take_act(act(stepped, CareVerb.DELIVERED, now - 4 * _MINUTE, **_CHAT))


def _alarms(now: datetime) -> list[TechnicalAlarm]:
    return [
        TechnicalAlarm(
            alarm_id=str(uuid.UUID(int=7001)),
            kind=AlarmKind.DELIVERY_FAILED,
            priority=Priority.HIGH,
            source="chat",
            started_at=now - timedelta(minutes=140),
            message="An alert of Ward 3 North reached nobody: the chat server answers 503.",
            action_text="Call the ward. Then look at the chat server; deliveries are tried again.",
        ),
        TechnicalAlarm(
            alarm_id=str(uuid.UUID(int=7002)),
            kind=AlarmKind.FEED_SILENT,
            priority=Priority.MEDIUM,
            source="folder/muse-export/south",
            started_at=now - timedelta(hours=5),
            message="No ECG from muse-export for 5 h; it usually delivers every 40 minutes.",
            action_text="Check that the MUSE export runs and the share is mounted.",
        ),
    ]


def feeds(now: datetime) -> list[FeedHealth]:
    return [
        FeedHealth(
            feed="dicom",
            source="CART-3N",
            site_id="north",
            reported_at=now,
            n_received=1841,
            n_accepted=1802,
            n_repeated=31,
            n_quarantined=8,
            last_received_at=now - timedelta(minutes=3),
            refusals=(RefusalCount(code="NO_PATIENT", count=5), RefusalCount(code="NOT_AN_ECG", count=3)),
            rate_per_h=6.4,
            clock_skew_s=431.0,
            silent_after_s=7200.0,
        ),
        FeedHealth(
            feed="folder",
            source="muse-export",
            site_id="south",
            reported_at=now,
            n_received=911,
            n_accepted=911,
            n_repeated=0,
            n_quarantined=0,
            last_received_at=now - timedelta(hours=5),
            rate_per_h=0.9,
            clock_skew_s=2.0,
            silent_after_s=4800.0,
            silent_since=now - timedelta(hours=5),
        ),
        FeedHealth(
            feed="http",
            source="ehr-bridge",
            site_id="north",
            reported_at=now,
            n_received=2,
            n_accepted=2,
            n_repeated=0,
            n_quarantined=0,
            last_received_at=now - timedelta(minutes=50),
        ),
    ]
