"""Lawful records of every topic that one of our processes reads: what hostile messages are made of."""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from models.cohorts.simulated import Course, SimulatedPatient
from schemas.alert import (
    AlarmKind,
    AlertClosed,
    AlertKind,
    AlertRaised,
    CloseReason,
    Priority,
    TechnicalAlarm,
)
from schemas.audit import CareAction, CareVerb
from schemas.featurized import EcgFeaturized, Measurements, Quality
from schemas.feed import FeedHealth, RefusalCount
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct, QuarantineVerb
from schemas.recorded import EcgRecorded
from schemas.risk import Contribution, Phenotype, RiskAssessed
from streams.featurize import featurize
from streams.patient_state import PatientState, Score
from streams.stage import Received
from streams.topology import (
    ALERT_STATE,
    CARE_AUDIT,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_QUARANTINE,
    ECG_RECORDED,
    ECG_RISK,
    FEED_HEALTH,
    PATIENT_LINK,
)
from streams.transition import RiskState

#: Hour zero: in the past, so that no ECG is dated ahead of its publication.
START: Final = datetime(2025, 6, 1, 8, tzinfo=UTC)

#: Patients whom hostile messages are about; few, so that they meet each other's state.
N_PATIENTS: Final = 40

#: 1.2 s: such an ECG is answered as too short, and costs a tenth of a whole one.
_SHORT_SAMPLES: Final = 600
_SHORT_ODDS: Final = 0.7
_N_WAVEFORMS: Final = 4

Record = object
_Make = Callable[[random.Random], Record]


def new_id(chance: random.Random) -> str:
    """Draw a UUID."""
    return str(uuid.UUID(int=chance.getrandbits(128)))


def patient(chance: random.Random, among: int = N_PATIENTS) -> str:
    """Draw one of few patients."""
    return f"hostile-{chance.randrange(among)}"


def moment(chance: random.Random) -> datetime:
    """Draw a time of the half year after :data:`START`, to the millisecond, which is all Avro carries."""
    return START + timedelta(milliseconds=chance.randrange(180 * 24 * 3600 * 1000))


@cache
def _waveform(number: int) -> EcgRecorded:
    severity = (number + 0.5) / _N_WAVEFORMS
    simulated = SimulatedPatient(seed=500 + number, course=Course(start=severity, end=severity))
    return simulated.record(START)


@cache
def _featured(number: int) -> EcgFeaturized:
    (made,) = featurize([Received(record=_waveform(number), published_at=START)])
    if not isinstance(made, EcgFeaturized):
        raise made
    return made


def sound_ecg(chance: random.Random, patient_id: str) -> EcgRecorded:
    """Draw a whole ECG of a patient."""
    drawn = _waveform(chance.randrange(_N_WAVEFORMS))
    return replace(drawn, ecg_id=new_id(chance), patient_id=patient_id, acquired_at=moment(chance))


def _recorded(chance: random.Random) -> EcgRecorded:
    whole = sound_ecg(chance, patient(chance))
    if chance.random() < _SHORT_ODDS:
        return replace(whole, samples=whole.samples[:, :_SHORT_SAMPLES].copy())
    return whole


def _featurized(chance: random.Random) -> EcgFeaturized:
    drawn = replace(
        _featured(chance.randrange(_N_WAVEFORMS)),
        ecg_id=new_id(chance),
        patient_id=patient(chance),
        acquired_at=moment(chance),
    )
    if chance.random() < _SHORT_ODDS:
        bad = Quality(acceptable=False, score=0.1, reasons=("TOO_SHORT",))
        return replace(drawn, quality=bad, model_input_uv=None, median_beat_uv=None, r_peaks=())
    return drawn


def _assessed(chance: random.Random) -> RiskAssessed:
    acquired_at, probability = moment(chance), round(chance.random(), 4)
    is_scored = chance.random() < 0.8
    return RiskAssessed(
        ecg_id=new_id(chance),
        patient_id=patient(chance),
        acquired_at=acquired_at,
        published_at=acquired_at,
        assessed_at=acquired_at + timedelta(seconds=1),
        phenotype=(Phenotype.HIGH if probability >= 0.5 else Phenotype.LOW)
        if is_scored
        else Phenotype.NOT_SCORED,
        bundle_version="hostile-1",
        bundle_sha256="0" * 64,
        quality=Quality(acceptable=is_scored, score=0.7),
        measurements=Measurements(heart_rate_bpm=71.0, qrs_ms=92.0, t_axis_deg=40.0),
        not_scored_reasons=() if is_scored else ("LEAD_OFF:V3",),
        probability=probability if is_scored else None,
        probability_low=round(probability / 2, 4) if is_scored else None,
        probability_high=round((probability + 1) / 2, 4) if is_scored else None,
        contributions=(Contribution(name="qrs_ms", log_odds=0.25),),
        ward_id="W1",
    )


def _linked(chance: random.Random) -> PatientLinked:
    prior, surviving = chance.sample(range(N_PATIENTS), 2)
    return PatientLinked(
        prior_patient_id=f"merged-{prior}",
        surviving_patient_id=f"merged-{surviving}",
        linked_at=moment(chance),
        origin="adt-a40",
        actor="hostile",
        is_undone=chance.random() < 0.5,
    )


def _alert(chance: random.Random) -> Record:
    kind = chance.choice((AlertRaised, AlertRaised, AlertClosed, TechnicalAlarm))
    at, who = moment(chance), patient(chance)
    if kind is AlertClosed:
        return AlertClosed(
            alert_id=new_id(chance),
            patient_id=who,
            ecg_id=new_id(chance),
            acquired_at=at,
            reason=CloseReason.RETURNED_LOW,
            probability=0.2,
            policy_version="hostile-1",
            ward_id="W1",
        )
    if kind is TechnicalAlarm:
        return TechnicalAlarm(
            alarm_id=new_id(chance),
            kind=chance.choice(list(AlarmKind)),
            priority=chance.choice(list(Priority)),
            source=chance.choice(("infer", "deliver:nothing", "book:care.audit.v1:0:7", "feed")),
            started_at=at,
            message="said by nobody",
            action_text="do nothing",
            ended_at=at if chance.random() < 0.5 else None,
        )
    ecg_id = new_id(chance)
    return AlertRaised(
        alert_id=new_id(chance),
        kind=AlertKind.ENTERED_HIGH,
        patient_id=who,
        episode_ecg_id=ecg_id,
        ecg_id=ecg_id,
        acquired_at=at,
        assessed_at=at,
        published_at=at,
        first_seen=True,
        probability=0.8,
        probability_low=0.7,
        probability_high=0.9,
        policy_version="hostile-1",
        bundle_version="hostile-1",
        bundle_sha256="0" * 64,
        change_text="said by nobody",
        not_for_text="",
        quality=Quality(acceptable=True, score=0.9),
        measurements=Measurements(heart_rate_bpm=80.0),
        ward_id="W1",
    )


def _act(chance: random.Random) -> CareAction:
    return CareAction(
        action_id=new_id(chance),
        alert_id=new_id(chance),
        verb=chance.choice(list(CareVerb)),
        actor="hostile",
        acted_at=moment(chance),
        origin="api",
        reason="said by nobody",
        level=chance.randrange(3),
    )


def _health(chance: random.Random) -> FeedHealth:
    return FeedHealth(
        feed="mllp",
        source=f"cart-{chance.randrange(8)}",
        site_id="S1",
        reported_at=moment(chance),
        n_received=3,
        n_accepted=2,
        n_repeated=0,
        n_quarantined=1,
        refusals=(RefusalCount(code="NO_PATIENT", count=1),),
        rate_per_h=1.5,
        clock_skew_s=-4.0,
        gaps_s=(60.0, 90.0),
        silent_after_s=3600.0,
    )


def _quarantined(chance: random.Random) -> Record:
    quarantine_id = new_id(chance)
    if chance.random() < 0.5:
        return QuarantineAct(
            act_id=new_id(chance),
            quarantine_id=quarantine_id,
            verb=chance.choice(list(QuarantineVerb)),
            actor="hostile",
            acted_at=moment(chance),
            origin="command",
        )
    return EcgQuarantined(
        quarantine_id=quarantine_id,
        received_at=moment(chance),
        code="NO_PATIENT",
        reason="names no patient",
        feed="mllp",
        source="cart-1",
        site_id="S1",
        source_format="",
        n_bytes=100,
        pieces=(Piece(partition=0, offset=chance.randrange(9)),),
        is_sealed=False,
    )


#: How a record of each topic of Avro is drawn.
MAKERS: Final[Mapping[str, _Make]] = {
    ECG_RECORDED: _recorded,
    ECG_FEATURIZED: _featurized,
    ECG_RISK: _assessed,
    PATIENT_LINK: _linked,
    ECG_ALERT: _alert,
    CARE_AUDIT: _act,
    FEED_HEALTH: _health,
    ECG_QUARANTINE: _quarantined,
}


def state_bytes(chance: random.Random) -> bytes:
    """Draw what the alert stage keeps of a patient on :data:`streams.topology.ALERT_STATE`."""
    at, ecg_id = moment(chance), new_id(chance)
    score = Score(ecg_id=ecg_id, acquired_at=at, probability=0.3, bundle_version="hostile-1")
    return PatientState(risk_state=RiskState.LOW, newest=score, recent=(score,)).to_bytes()


#: Every topic that hostile messages go to; dead letters are what messages of these become.
READ_TOPICS: Final = (*MAKERS, ALERT_STATE)
