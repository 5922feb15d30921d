"""Simulated patients whose ECGs went through the real pipeline: scored once a session, told often."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.cohorts.recorder import Fault
from models.cohorts.simulated import Course, SimulatedPatient
from models.manifest import Manifest
from models.predictor import Predictor
from schemas.alert import AlertRaised
from schemas.featurized import EcgFeaturized
from schemas.risk import RiskAssessed
from streams.alert import alert as decide_batch
from streams.featurize import featurize
from streams.infer import infer
from streams.patient_state import PatientState
from streams.policy import load_policy
from streams.stage import Received, utc_now

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


def moved(risk: RiskAssessed, by: timedelta, **changed: Any) -> RiskAssessed:
    """Give a score another time."""
    at = risk.acquired_at + by
    return replace(
        risk,
        acquired_at=at,
        published_at=at + timedelta(seconds=20),
        assessed_at=at + timedelta(seconds=22),
        **changed,
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
    risk = moved(story.risks[0], shift, patient_id=patient_id or f"SIM-9{number:05d}", ward_id=ward_id)
    raised = alerts_of([risk])[0]
    return replace(raised, **{"ecg_id": str(uuid.UUID(int=90_000 + number)), **changed})


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

#: What happened to an alert: how long ago, what, and more of the act.
