import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from ops.ledger import Ledger
from ops.percentiles import percentile
from ops.topic_reader import Seen
from schemas.errors import PoisonError
from schemas.featurized import Measurements, Quality
from schemas.recorded import EcgRecorded
from schemas.risk import Phenotype, RiskAssessed
from streams.dead_letters import ERROR_CODE, OFFSET, PARTITION
from streams.message import Message
from streams.topology import ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, dead_letter_topic

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def uuid_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def ecg(ecg_id: str) -> EcgRecorded:
    samples = np.zeros((12, 5000), dtype=np.int16)
    return EcgRecorded(
        ecg_id=uuid_of(ecg_id),
        patient_id="P1",
        acquired_at=T0,
        sample_rate_hz=500.0,
        lead_names=("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"),
        uv_per_unit=1.0,
        samples=samples,
    )


def risk(ecg_id: str, probability: float | None) -> RiskAssessed:
    scored = probability is not None
    return RiskAssessed(
        ecg_id=uuid_of(ecg_id),
        patient_id="P1",
        acquired_at=T0,
        published_at=T0,
        assessed_at=T0,
        phenotype=Phenotype.LOW if scored else Phenotype.NOT_SCORED,
        bundle_version="b",
        bundle_sha256="0" * 64,
        quality=Quality(acceptable=scored, score=1.0, reasons=() if scored else ("FLAT:V1",)),
        measurements=Measurements(),
        not_scored_reasons=() if scored else ("FLAT:V1", "FLAT:V2"),
        probability=probability,
    )


def seen(topic: str, record: object, offset: int = 0, headers: dict[str, str] | None = None) -> Seen:
    message = Message(
        topic=topic,
        partition=0,
        offset=offset,
        key=None,
        value=None,
        headers=tuple((name, text.encode()) for name, text in (headers or {}).items()),
        timestamp=T0 + timedelta(milliseconds=70),
    )
    return Seen(message=message, record=record)


def dead(record: object, source: str = ECG_RECORDED, offset: int = 0) -> Seen:
    headers = {ERROR_CODE: "TOO_BAD", PARTITION: "0", OFFSET: str(offset)}
    return seen(dead_letter_topic(source), record, headers=headers)


def test_counts_close_when_each_ecg_ended_once() -> None:
    ledger = Ledger()
    for n in range(3):
        ledger.enter(seen(ECG_RECORDED, ecg(f"e{n}"), n))
    ledger.enter(seen(ECG_RECORDED, PoisonError("noise"), 3))
    assert ledger.open_count == 4
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(seen(ECG_RISK, risk("e1", None)))
    ledger.enter(dead(ecg("e2")))
    assert not ledger.closes
    ledger.enter(dead(PoisonError("noise"), offset=3))

    assert ledger.closes
    assert (ledger.scored, ledger.not_scored_total, ledger.dead.total()) == (1, 1, 2)
    assert ledger.not_scored == {"FLAT": 1}
    assert ledger.risk_ms == [70.0, 70.0]


def test_repeats_count_once() -> None:
    ledger = Ledger()
    assert ledger.enter(seen(ECG_RECORDED, ecg("e0"), 0))
    assert not ledger.enter(seen(ECG_RECORDED, ecg("e0"), 1))
    assert ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    assert not ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    assert ledger.closes
    assert (ledger.messages_in, ledger.scored) == (2, 1)


def test_a_lost_ecg_keeps_the_counts_open() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    assert (ledger.open_count, ledger.closes) == (1, False)


def test_an_ecg_scored_and_dead_does_not_close() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(dead(ecg("e0"), ECG_FEATURIZED))
    assert not ledger.closes


def test_a_score_of_an_ecg_nobody_published_does_not_close() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RISK, risk("e9", 0.2)))
    assert (ledger.open_count, ledger.closes) == (0, False)


def test_two_different_answers_to_one_ecg_do_not_close() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(seen(ECG_RISK, replace(risk("e0", 0.2), probability=0.3)))
    assert not ledger.closes


def test_an_assessment_that_history_or_alert_could_not_take_does_not_close() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(dead(risk("e0", 0.2), ECG_RISK))
    assert not ledger.closes


def test_a_percentile_is_an_observation() -> None:
    observed = [float(n) for n in range(1, 101)]
    assert (percentile(observed, 50), percentile(observed, 99)) == (50.0, 99.0)
    assert percentile([7.0], 99) == 7.0
    assert percentile([], 50) is None


def test_an_ecg_scored_again_in_another_batch_may_differ_by_rounding_alone() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2001)))
    assert ledger.closes
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2004)))
    assert not ledger.closes


def test_an_ecg_scored_once_and_once_not_does_not_close() -> None:
    ledger = Ledger()
    ledger.enter(seen(ECG_RECORDED, ecg("e0")))
    ledger.enter(seen(ECG_RISK, risk("e0", 0.2)))
    ledger.enter(seen(ECG_RISK, risk("e0", None)))
    assert not ledger.closes
