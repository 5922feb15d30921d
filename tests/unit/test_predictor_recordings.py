"""The same heart gives the same answer, however it was recorded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.cohorts.recorder import Recorder
from models.cohorts.simulated import Course, SimulatedPatient
from models.cohorts.simulated_cohorts import development
from models.predictor import Prediction, Predictor
from models.training.judge import auc
from schemas.featurized import EcgFeaturized
from schemas.recorded import EcgRecorded, Sex
from streams.featurize import featurize
from streams.stage import Received

AT = datetime(2026, 3, 1, tzinfo=UTC)
NEAR = 0.02


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(load_bundle(DEFAULT_BUNDLE))


@pytest.fixture(scope="module")
def patients() -> list[SimulatedPatient]:
    return [SimulatedPatient(seed=s, course=Course(start=s / 24, end=s / 24)) for s in range(24)]


def predict(predictor: Predictor, ecgs: Sequence[EcgRecorded]) -> list[Prediction]:
    featurized = featurize([Received(record=ecg, published_at=AT) for ecg in ecgs])
    ready = [f for f in featurized if isinstance(f, EcgFeaturized) and f.quality.acceptable]
    assert len(ready) == len(ecgs)
    return predictor.predict(ready)


def probabilities(predictor: Predictor, ecgs: Sequence[EcgRecorded]) -> np.ndarray:
    return np.array([p.probability for p in predict(predictor, ecgs)])


@pytest.mark.parametrize("rate", [250.0, 400.0, 1000.0])
def test_rate_does_not_move_the_probability(
    predictor: Predictor, patients: list[SimulatedPatient], rate: float
) -> None:
    at_500 = probabilities(predictor, [p.record(AT) for p in patients])
    at_rate = probabilities(
        predictor, [p.record(AT, recorder=Recorder(sample_rate_hz=rate)) for p in patients]
    )
    assert np.abs(at_500 - at_rate).max() < NEAR
    assert at_500.max() - at_500.min() > 0.5


def test_unit_does_not_move_the_probability(predictor: Predictor, patients: list[SimulatedPatient]) -> None:
    fine = probabilities(predictor, [p.record(AT, recorder=Recorder(uv_per_unit=1.0)) for p in patients])
    coarse = probabilities(predictor, [p.record(AT, recorder=Recorder(uv_per_unit=4.88)) for p in patients])
    assert np.abs(fine - coarse).max() < NEAR


def test_order_and_spelling_of_leads_do_not_move_the_probability(
    predictor: Predictor, patients: list[SimulatedPatient]
) -> None:
    order = np.random.default_rng(0).permutation(12)
    straight = [p.record(AT) for p in patients]
    shuffled = [
        replace(
            e,
            samples=e.samples[order],
            lead_names=tuple(f"MDC_ECG_LEAD_{e.lead_names[i].upper()}" for i in order),
        )
        for e in straight
    ]
    assert (probabilities(predictor, straight) == probabilities(predictor, shuffled)).all()


def test_severity_raises_the_probability(predictor: Predictor) -> None:
    people = [SimulatedPatient(seed=5000 + i, course=Course(start=0, end=0)) for i in range(40)]
    by_severity = [
        probabilities(predictor, [p.record(AT, severity=s) for p in people]) for s in (0.05, 0.35, 0.65, 0.95)
    ]
    means = [float(p.mean()) for p in by_severity]
    assert means == sorted(means)
    assert means[-1] - means[0] > 0.5
    assert (by_severity[-1] > by_severity[0]).mean() > 0.95


def test_shipped_bundle_tells_fresh_simulated_patients_apart(predictor: Predictor) -> None:
    fresh = development(n=300, seed=77)
    label = np.array([fresh[i].outcomes["is_high_risk"] for i in range(len(fresh))])
    found = probabilities(predictor, [fresh.recorded(i) for i in range(len(fresh))])
    assert 0.78 < auc(label, found) < 0.97
    assert abs(found.mean() - label.mean()) < 0.1


def test_real_ecg_gives_a_finite_answer_at_any_rate(predictor: Predictor, shared_ecg: Path) -> None:
    record = wfdb.rdrecord(str(shared_ecg / "wfdb" / "s0010_re"), sampto=10000)
    names = tuple(record.sig_name[:12])
    answers = []
    for step in (1, 2, 4):
        uv = np.rint(_decimated(record.p_signal[:, :12].T, step) * 1000.0).astype(np.int16)
        answers.append(_real(uv, names, 1000.0 / step))
    found = probabilities(predictor, answers)
    assert np.isfinite(found).all()
    assert np.ptp(found) < NEAR


def _decimated(mv: np.ndarray, step: int) -> np.ndarray:
    spectrum = np.fft.rfft(mv, axis=1)[:, : 10000 // step // 2 + 1]
    return np.fft.irfft(spectrum, n=10000 // step, axis=1) / step


def _real(uv: np.ndarray, names: tuple[str, ...], rate: float) -> EcgRecorded:
    return EcgRecorded(
        ecg_id="00000000-0000-5000-8000-000000000001",
        patient_id="P1",
        acquired_at=AT,
        sample_rate_hz=rate,
        lead_names=names,
        uv_per_unit=1.0,
        samples=uv,
        age_years=81.0,
        sex=Sex.FEMALE,
    )
