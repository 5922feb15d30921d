"""One assessment: what ``infer`` publishes to ``ecg.risk.v1``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from schemas.featurized import Measurements, Quality, StageTiming
from schemas.recorded import Sex, Urgency


class Phenotype(StrEnum):
    """The answer of one assessment. NOT_SCORED is never a zero risk."""

    NOT_SCORED = "NOT_SCORED"
    LOW = "LOW"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """How much one part moved the log-odds, against the bundle's reference population."""

    name: str
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """Synthetic mitral annular velocities over one normalised cycle, and their measurements.

    Attributes
    ----------
    velocities_cm_s : numpy.ndarray
        float32, (2, 128), cm/s; septal, lateral; read-only.
    a_prime_*_cm_s : float or None
        None in atrial fibrillation, never 0.
    """

    velocities_cm_s: npt.NDArray[np.float32]
    s_prime_septal_cm_s: float | None = None
    s_prime_lateral_cm_s: float | None = None
    e_prime_septal_cm_s: float | None = None
    e_prime_lateral_cm_s: float | None = None
    a_prime_septal_cm_s: float | None = None
    a_prime_lateral_cm_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskAssessed:
    """One assessment of one ECG by one bundle; its identity is (ecg_id, bundle_version).

    Attributes
    ----------
    published_at : datetime
        UTC; Kafka timestamp of the EcgRecorded.
    assessed_at : datetime
        UTC; when the score was computed.
    phenotype : Phenotype
        HIGH when ``probability`` is at or above the bundle's threshold.
    not_scored_reasons : tuple of str
        Why there is no score; empty exactly when there is one.
    probability, probability_low, probability_high : float or None
        Calibrated probability of the high-risk phenotype with its 90 % interval, rounded to 4 decimals so
        that the batch an ECG happened to be scored in cannot change a decision; None when not scored.
    rhythm_strip_uv : numpy.ndarray or None
        int16, (1250,), µV; lead II, 10 s at 125 Hz, for the reader of an alert; read-only.
    bundle_version, bundle_sha256 : str
        Which model said so.
    not_for_text : str
        What that model must not be used for, from its manifest.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    published_at: datetime
    assessed_at: datetime
    phenotype: Phenotype
    bundle_version: str
    bundle_sha256: str
    quality: Quality
    measurements: Measurements
    not_for_text: str = ""
    not_scored_reasons: tuple[str, ...] = ()
    probability: float | None = None
    probability_low: float | None = None
    probability_high: float | None = None
    contributions: tuple[Contribution, ...] = ()
    motion: Motion | None = None
    rhythm_strip_uv: npt.NDArray[np.int16] | None = None
    site_id: str = ""
    ward_id: str = ""
    device_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    urgency: Urgency = Urgency.ROUTINE
    timings: tuple[StageTiming, ...] = ()
