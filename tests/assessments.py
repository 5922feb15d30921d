"""Assessments of one patient, written as short as a test wants to read them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from schemas.featurized import EcgFeaturized, Measurements, Quality
from schemas.risk import Motion, Phenotype, RiskAssessed

#: Hour zero of every test.
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def nth_ecg_id(number: int) -> str:
    """Give ECGs ids whose order is their number's."""
    return str(uuid.UUID(int=number))


def assessed(
    number: int,
    probability: float | None,
    *,
    hour: float | None = None,
    patient_id: str = "P-1",
    bundle_version: str = "b1",
    reasons: Sequence[str] = ("LEAD_OFF:V3",),
    measurements: Measurements | None = None,
    motion: Motion | None = None,
    interval: tuple[float, float] | None = None,
) -> RiskAssessed:
    """Assess the ``number``-th ECG, acquired at ``hour`` (else hour ``number``); None is not scored."""
    acquired_at = START + timedelta(hours=number if hour is None else hour)
    scored = probability is not None
    phenotype = Phenotype.HIGH if scored and probability >= 0.5 else Phenotype.LOW
    return RiskAssessed(
        ecg_id=nth_ecg_id(number),
        patient_id=patient_id,
        acquired_at=acquired_at,
        published_at=acquired_at + timedelta(seconds=5),
        assessed_at=acquired_at + timedelta(seconds=6),
        phenotype=phenotype if scored else Phenotype.NOT_SCORED,
        bundle_version=bundle_version,
        bundle_sha256="0" * 64,
        quality=Quality(acceptable=scored, score=0.9 if scored else 0.1),
        measurements=measurements or Measurements(heart_rate_bpm=71.3, qrs_ms=92.0),
        not_for_text="Not for treatment decisions.",
        not_scored_reasons=() if scored else tuple(reasons),
        probability=probability,
        probability_low=interval[0] if interval else None,
        probability_high=interval[1] if interval else None,
        motion=motion,
        ward_id="W1",
    )


def moving(e_prime_cm_s: float, e_over_a: float | None = 0.9) -> Motion:
    """Motion whose mean e' this is; without a ratio there is no a', as in atrial fibrillation."""
    return Motion(
        velocities_cm_s=np.full((2, 128), e_prime_cm_s, np.float32),
        e_prime_septal_cm_s=e_prime_cm_s - 1.0,
        e_prime_lateral_cm_s=e_prime_cm_s + 1.0,
        e_over_a=e_over_a,
    )


def featurized(
    number: int, *, hour: float | None = None, patient_id: str = "P-1", acceptable: bool = True
) -> EcgFeaturized:
    """Featurize the ``number``-th ECG, acquired at ``hour`` (else hour ``number``): noise of its own."""
    acquired_at = START + timedelta(hours=number if hour is None else hour)
    samples = np.random.default_rng(number).integers(-500, 500, (8, 5000), np.int16)
    return EcgFeaturized(
        ecg_id=nth_ecg_id(number),
        patient_id=patient_id,
        acquired_at=acquired_at,
        published_at=acquired_at + timedelta(seconds=5),
        quality=Quality(acceptable=acceptable, score=0.9 if acceptable else 0.1),
        measurements=Measurements(),
        model_input_uv=samples if acceptable else None,
        ward_id="W1",
        site_id="S",
    )
