"""One assessment: what ``infer`` publishes to ``ecg.risk.v1``."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from schemas.featurized import Measurements, Quality, StageTiming
from schemas.invariants import (
    MAX_AGE_YEARS,
    MAX_TEXT_CHARS,
    freeze_array,
    require,
    require_codes,
    require_number,
    require_patient,
    require_text,
    require_texts,
    require_utc,
    require_uuid,
)
from schemas.recorded import Sex, Urgency

#: Velocities of two walls over one cycle, normalised to this many samples: the shape the motion head yields.
MOTION_WALLS = 2  # septal, lateral
MOTION_SAMPLES = 128

#: Durations and standard deviations are what cannot be negative, however odd a curve is.
_NEVER_NEGATIVE = ("_ms", "_sd_cm_s", "performance_index")

RHYTHM_STRIP_SAMPLES = 1250  # 10 s × 125 Hz


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

    def __post_init__(self) -> None:
        """Refuse a part without a name or a finite number; raises InvalidRecordError."""
        require_text("contributions.name", self.name, min_chars=1)
        require_number("contributions.log_odds", self.log_odds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """Synthetic mitral annular velocities over one normalised cycle, and their measurements.

    Peaks are magnitudes; None where a wave is absent. Names are those of
    :data:`models.motion_measurements.MOTION_COLUMNS`, and ``*_sd_cm_s`` their standard deviations.

    Attributes
    ----------
    velocities_cm_s : numpy.ndarray
        float32, (2, 128), cm/s; septal, lateral, from R to the next R, towards the apex positive; read-only.
    a_prime_*, e_over_a : float or None
        None in atrial fibrillation, never 0.
    e_over_a : float or None
        Mean e' over mean a' of both walls.
    displacement_*_mm : float or None
        Systolic displacement: the s' wave integrated over ejection.
    ivct_ms, ivrt_ms, ejection_ms : float or None
        Isovolumic contraction and relaxation time, and ejection time.
    performance_index : float or None
        Tei's index: (ivct_ms + ivrt_ms) / ejection_ms.
    """

    velocities_cm_s: npt.NDArray[np.float32]
    s_prime_septal_cm_s: float | None = None
    s_prime_lateral_cm_s: float | None = None
    e_prime_septal_cm_s: float | None = None
    e_prime_lateral_cm_s: float | None = None
    a_prime_septal_cm_s: float | None = None
    a_prime_lateral_cm_s: float | None = None
    e_over_a: float | None = None
    displacement_septal_mm: float | None = None
    displacement_lateral_mm: float | None = None
    ivct_ms: float | None = None
    ivrt_ms: float | None = None
    ejection_ms: float | None = None
    performance_index: float | None = None
    s_prime_septal_sd_cm_s: float | None = None
    e_prime_septal_sd_cm_s: float | None = None
    a_prime_septal_sd_cm_s: float | None = None
    s_prime_lateral_sd_cm_s: float | None = None
    e_prime_lateral_sd_cm_s: float | None = None
    a_prime_lateral_sd_cm_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse curves of another shape or with gaps, and NaN; raises InvalidRecordError."""
        freeze_array(self, "velocities_cm_s", np.float32, (MOTION_WALLS, MOTION_SAMPLES))
        require(bool(np.isfinite(self.velocities_cm_s).all()), "velocities_cm_s", "must be finite")
        for field in Motion.__slots__[1:]:
            least = 0.0 if field.endswith(_NEVER_NEGATIVE) else -math.inf
            require_number(field, getattr(self, field), low=least)

    @property
    def e_prime_cm_s(self) -> float | None:
        """Mean of septal and lateral e', cm/s, as a trend is read; None without both."""
        if self.e_prime_septal_cm_s is None or self.e_prime_lateral_cm_s is None:
            return None
        return (self.e_prime_septal_cm_s + self.e_prime_lateral_cm_s) / 2


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

    def __post_init__(self) -> None:
        """Refuse an assessment that contradicts itself; raises InvalidRecordError."""
        require_uuid("ecg_id", self.ecg_id)
        require_patient(self.patient_id)
        for field in ("acquired_at", "published_at", "assessed_at"):
            require_utc(field, getattr(self, field))
        require_texts(self, ("bundle_version", "bundle_sha256", "site_id", "ward_id", "device_id"))
        require_text("not_for_text", self.not_for_text, MAX_TEXT_CHARS)
        require_number("age_years", self.age_years, 0, MAX_AGE_YEARS)
        require_interval(self.probability, self.probability_low, self.probability_high)
        freeze_array(self, "rhythm_strip_uv", np.int16, (RHYTHM_STRIP_SAMPLES,))
        _require_answer(self)


def require_interval(probability: float | None, low: float | None, high: float | None) -> None:
    """Refuse a probability outside 0 to 1, or an interval that does not hold it.

    Raises
    ------
    InvalidRecordError
        Also when only one end of the interval is there, or an interval without a probability.
    """
    require_number("probability", probability, 0, 1)
    require((low is None) == (high is None), "probability_low, probability_high", "must come together")
    if low is None or high is None:
        return
    require(probability is not None, "probability_low, probability_high", "must come with a probability")
    require_number("probability_low", low, 0, 1 if probability is None else probability)
    require_number("probability_high", high, probability or 0, 1)


def _require_answer(risk: RiskAssessed) -> None:
    require_codes("not_scored_reasons", risk.not_scored_reasons)
    scored = risk.phenotype is not Phenotype.NOT_SCORED
    require(scored == (risk.probability is not None), "probability", "must be there exactly when scored")
    require(
        scored == (not risk.not_scored_reasons), "not_scored_reasons", "must be there exactly when not scored"
    )
