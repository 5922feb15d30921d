"""A hospital to look at: simulated patients through the real pipeline, and the life of their alerts so far.

Twelve alerts in all states and severities, a patient in atrial fibrillation, gaps and ECGs that could not be
scored, names that are too long; served by the read API on fakes of its ports.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from care_api import FakeBook, FakeStore

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.cohorts.recorder import Fault
from models.cohorts.simulated import Course, SimulatedPatient
from models.manifest import Manifest
from models.predictor import Predictor
from schemas.alert import (
    AlarmKind,
    AlertClosed,
    AlertKind,
    AlertRaised,
    CloseReason,
    Priority,
    TechnicalAlarm,
)
from schemas.audit import CareAction, CareVerb, Outcome
from schemas.featurized import EcgFeaturized
from schemas.feed import FeedHealth, RefusalCount
from schemas.identity import action_id
from schemas.risk import RiskAssessed
from streams.alert import alert as decide_batch
from streams.featurize import featurize
from streams.history import history_point
from streams.infer import infer
from streams.patient_state import PatientState
from streams.policy import load_policy
from streams.stage import Received, utc_now
from streams.waveform import Strip
from streams.worklist import Order, PatientRow

LONG_WARD = "Geriatrics and rehabilitation, building 7, second floor"
LONG_NAME = "NORTH-HOSPITAL-PSEUDONYM-0f3a9c77d1b24e0c8a55"
BORN = datetime(2026, 3, 20, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, eq=False)
class Story:
    """One simulated patient's ECGs, scored: what became of them, the newest alert last."""

    risks: list[RiskAssessed]
    ecgs: list[EcgFeaturized]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """How a story goes: days before the end on which ECGs are recorded, those that fail, and the course."""

    seed: int
    days: Sequence[float]
    start: float
    end: float
    rise_from: float = 40.0
    rise_days: float = 21.0
    faults: dict[float, Fault] = field(default_factory=dict)


PLOTS = {
    "riser": Plot(
        seed=7001,
        days=(96, 93, 90, 86, 83, 45, 42, 38, 35, 30, 27, 24, 20, 17, 14, 11, 8, 6, 4, 2, 0.5),
        start=0.05,
        end=1.4,
        rise_from=10.0,
        rise_days=8.0,
        faults={90: Fault.LEAD_OFF, 30: Fault.NOISE, 6: Fault.TOO_SHORT},
    ),
    "fibrillating": Plot(seed=7005, days=(30, 24, 18, 12, 7, 3, 1), start=0.2, end=1.2, rise_from=20.0),
    "first": Plot(seed=7018, days=(0.2,), start=1.1, end=1.1),
    "calm": Plot(seed=7008, days=(60, 40, 20, 10, 3), start=0.05, end=0.05),
    "failing": Plot(
        seed=7028,
        days=(25, 15, 5, 0.6),
        start=0.1,
        end=0.1,
        faults={0.6: Fault.LEAD_OFF},
    ),
    "never": Plot(seed=7030, days=(2,), start=0.4, end=0.4, faults={2: Fault.PACED}),
}


@cache
def stories() -> dict[str, Story]:
    """Record, featurize and score all patients, once a session."""
    predictor = Predictor(load_bundle(DEFAULT_BUNDLE), batch_sizes=(8,))
    return {name: _told(plot, predictor) for name, plot in PLOTS.items()}


@cache
def manifest() -> Manifest:
    return load_bundle(DEFAULT_BUNDLE).manifest


def _told(plot: Plot, predictor: Predictor) -> Story:
    course = Course(
        start=plot.start,
        end=plot.end,
        onset=BORN - timedelta(days=plot.rise_from),
        rise=timedelta(days=plot.rise_days),
    )
    patient = SimulatedPatient(seed=plot.seed, course=course)
    recorded = [
        Received(
            record=patient.record(BORN - timedelta(days=days), fault=plot.faults.get(days)),
            published_at=BORN - timedelta(days=days) + timedelta(seconds=20),
        )
        for days in plot.days
    ]
    featurized = [each for each in featurize(recorded) if isinstance(each, EcgFeaturized)]
    batch = [Received(record=each, published_at=each.published_at) for each in featurized]
    risks = infer(batch, predictor, utc_now)
    return Story(risks=[each for each in risks if isinstance(each, RiskAssessed)], ecgs=featurized)


def _moved(risk: RiskAssessed, by: timedelta, **changed: Any) -> RiskAssessed:
    at = risk.acquired_at + by
    return replace(
        risk,
        acquired_at=at,
        published_at=at + timedelta(seconds=20),
        assessed_at=at + timedelta(seconds=22),
        **changed,
    )


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


def alerts_of(risks: Sequence[RiskAssessed]) -> list[AlertRaised]:
    """Decide a patient's assessments by the shipped policy."""
    states: dict[str, PatientState] = {}
    batch = [Received(record=risk, published_at=risk.published_at) for risk in risks]
    decisions = decide_batch(batch, states, load_policy())
    return [each for decision in decisions for each in decision.alerts if isinstance(each, AlertRaised)]


def new_alert(number: int, *, patient_id: str = "", ward_id: str = "CCU", **changed: Any) -> AlertRaised:
    """Give an alert about one more patient, from an ECG of a minute ago."""
    story = stories()["first"]
    at = utc_now() - timedelta(seconds=40)
    shift = at - story.risks[0].acquired_at
    risk = _moved(story.risks[0], shift, patient_id=patient_id or f"SIM-9{number:05d}", ward_id=ward_id)
    raised = alerts_of([risk])[0]
    return replace(raised, **{"ecg_id": str(uuid.UUID(int=90_000 + number)), **changed})


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
            acts=((0.7 * _HOUR, verb.DELIVERED, _CHAT),),
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
            ago=7 * _HOUR,
            raised_ago=6 * _HOUR,
            acts=((6 * _HOUR, verb.LISTED, {"reason": "the ECG was 13 h old when it came"}),),
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
    old = raised["SIM-007318"]
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
    _step_up(book, store, raised["SIM-007001"], now)
    book.open_alarms += _alarms(now)


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
        _moved(
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
