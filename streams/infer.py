"""infer: featurized ECGs in, one assessment each out; what may not be scored says why."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy.signal import decimate

from models.manifest import Eligibility, Manifest
from models.predictor import Prediction
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.leads import LEADS_8
from schemas.risk import Phenotype, RiskAssessed
from streams.stage import Received, UtcClock, require_same_length

PACED: Final = "PACED"
QUALITY: Final = "QUALITY"

STRIP_LEAD: Final = "II"
#: 500 Hz over 4 is the 125 Hz of the rhythm strip.
_STRIP_STEP: Final = 4


class Scores(Protocol):
    """What infer needs of a predictor; :class:`models.predictor.Predictor` is one."""

    @property
    def manifest(self) -> Manifest:
        """Manifest of the bundle that scores."""

    def predict(self, ecgs: Sequence[EcgFeaturized]) -> list[Prediction]:
        """Score ECGs, one prediction each, in order."""


def infer(
    batch: Sequence[Received[EcgFeaturized]], predictor: Scores, now: UtcClock
) -> list[RiskAssessed | PoisonError]:
    """Assess a batch.

    Returns
    -------
    list of RiskAssessed or PoisonError
        One for each ECG, in order. The same ECG gives the same answer on replay, whatever else is in the
        batch; only ``assessed_at`` moves.

    Raises
    ------
    RetriableError
        When the device has no memory for a single ECG; the whole batch is to be tried again.
    FatalError
        When the device failed: this process cannot score any more.
    """
    manifest = predictor.manifest
    reasons = [not_scored_reasons(received.record, manifest.eligibility) for received in batch]
    eligible = [received.record for received, why in zip(batch, reasons, strict=True) if not why]
    predictions = predictor.predict(eligible)
    require_same_length("predict", len(eligible), predictions)
    remaining = iter(predictions)
    return [
        _assessed(received.record, why, None if why else next(remaining), manifest, now)
        for received, why in zip(batch, reasons, strict=True)
    ]


def not_scored_reasons(ecg: EcgFeaturized, eligibility: Eligibility) -> tuple[str, ...]:
    """Why an ECG may not be scored; empty when it may.

    An unknown age or pacemaker is no reason, nor is a missing median beat: the ensemble does without motion.
    """
    reasons: list[str] = []
    if ecg.age_years is not None and ecg.age_years < eligibility.min_age_years:
        reasons.append(f"AGE_UNDER_{eligibility.min_age_years:g}")
    if ecg.has_pacemaker and not eligibility.paced_allowed:
        reasons.append(PACED)
    if not ecg.quality.acceptable or ecg.model_input_uv is None:
        reasons.extend(ecg.quality.reasons or (QUALITY,))
    return tuple(dict.fromkeys(reasons))


def rhythm_strip_uv(model_input_uv: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Lead II at 125 Hz, filtered before decimation, without delay.

    Parameters
    ----------
    model_input_uv : numpy.ndarray
        int16, (8, 5000), µV.

    Returns
    -------
    numpy.ndarray
        int16, (1250,), µV; read-only.
    """
    lead = model_input_uv[LEADS_8.index(STRIP_LEAD)].astype(np.float64)
    strip = np.clip(np.rint(decimate(lead, _STRIP_STEP, zero_phase=True)), -32768, 32767).astype(np.int16)
    strip.flags.writeable = False
    return np.asarray(strip)


def _assessed(
    ecg: EcgFeaturized,
    reasons: tuple[str, ...],
    prediction: Prediction | None,
    manifest: Manifest,
    now: UtcClock,
) -> RiskAssessed:
    return RiskAssessed(
        ecg_id=ecg.ecg_id,
        patient_id=ecg.patient_id,
        acquired_at=ecg.acquired_at,
        published_at=ecg.published_at,
        assessed_at=now(),
        phenotype=_phenotype(prediction, manifest),
        bundle_version=manifest.bundle_version,
        bundle_sha256=manifest.sha256,
        quality=ecg.quality,
        measurements=ecg.measurements,
        not_for_text=manifest.not_for_text,
        not_scored_reasons=reasons,
        probability=None if prediction is None else prediction.probability,
        probability_low=None if prediction is None else prediction.probability_low,
        probability_high=None if prediction is None else prediction.probability_high,
        contributions=prediction.contributions if prediction else (),
        motion=prediction.motion if prediction else None,
        rhythm_strip_uv=None if ecg.model_input_uv is None else rhythm_strip_uv(ecg.model_input_uv),
        site_id=ecg.site_id,
        ward_id=ecg.ward_id,
        device_id=ecg.device_id,
        age_years=ecg.age_years,
        sex=ecg.sex,
        urgency=ecg.urgency,
        timings=ecg.timings,
    )


def _phenotype(prediction: Prediction | None, manifest: Manifest) -> Phenotype:
    if prediction is None:
        return Phenotype.NOT_SCORED
    is_high = prediction.probability >= manifest.threshold.probability
    return Phenotype.HIGH if is_high else Phenotype.LOW
