"""One ECG made ready for scoring: what ``featurize`` publishes to ``ecg.featurized.v1``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.invariants import (
    MAX_AGE_YEARS,
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

#: Sample rate, length and leads of the model input. Fixed by the bundle's input contract: ECGFounder and our
#: encoders are trained on 10 s at 500 Hz; changing any of them means a new topic version.
MODEL_INPUT_RATE_HZ = 500
MODEL_INPUT_SAMPLES = 5000  # 10 s × 500 Hz
MODEL_INPUT_LEADS = 8  # I, II, V1–V6

#: The median beat of the same leads: 400 ms before R to 700 ms after it. Fixed for the same reason.
MEDIAN_BEAT_SAMPLES = 550  # 1.1 s × 500 Hz
MEDIAN_BEAT_R = 200  # 400 ms × 500 Hz


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Whether the waveform can be scored, and if not, why.

    Attributes
    ----------
    acceptable : bool
        False when any blocking reason is present.
    score : float
        0 (unusable) to 1 (clean).
    reasons : tuple of str
        Codes as defined in :mod:`models.quality`, blocking or not, e.g. ``LEAD_OFF``, ``TOO_SHORT``.
        Where a reason is about one lead it is written ``LEAD_OFF:V3``.
    """

    acceptable: bool
    score: float
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a score outside 0 to 1; raises InvalidRecordError."""
        require_number("quality.score", self.score, 0, 1)
        require_codes("quality.reasons", self.reasons)


#: Bounds of a measurement by the end of its name, far wider than any ECG: what lies outside is a fault of
#: whoever wrote it, and would break the arithmetic of whoever reads it.
MEASUREMENT_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "_bpm": (0, 1000),
    "_mv_ms": (-100_000, 100_000),  # 100 mV for a second
    "_ms": (0, 10_000),  # the ECG is 10 s long
    "_deg": (-180, 180),
    "_mv": (-100, 100),  # int16 µV end at 33 mV
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Measurements of the median beat; None where the feature is absent (PR in atrial fibrillation).

    Intervals in ms, axes in degrees (−180, 180], voltages in mV; all within :data:`MEASUREMENT_BOUNDS`.
    """

    heart_rate_bpm: float | None = None
    rr_sd_ms: float | None = None
    pr_ms: float | None = None
    p_duration_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    p_axis_deg: float | None = None
    qrs_axis_deg: float | None = None
    t_axis_deg: float | None = None
    r_avl_mv: float | None = None
    s_v1_mv: float | None = None
    s_v3_mv: float | None = None
    r_v5_mv: float | None = None
    r_v6_mv: float | None = None
    p_terminal_v1_mv_ms: float | None = None
    t_v5_mv: float | None = None
    st_v5_mv: float | None = None

    def __post_init__(self) -> None:
        """Refuse NaN (an absent feature is None) and what no ECG can show; raises InvalidRecordError."""
        for field in Measurements.__slots__:
            ending = next(ending for ending in MEASUREMENT_BOUNDS if field.endswith(ending))
            require_number(field, getattr(self, field), *MEASUREMENT_BOUNDS[ending])


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """What one stage cost this ECG: waiting in the stage's queue, and the work of its batch."""

    stage: str
    queue_ms: float
    work_ms: float
    batch_size: int

    def __post_init__(self) -> None:
        """Refuse negative times and empty batches; raises InvalidRecordError."""
        require_text("timings.stage", self.stage, min_chars=1)
        require_number("timings.queue_ms", self.queue_ms, low=0)
        require_number("timings.work_ms", self.work_ms, low=0)
        require(self.batch_size >= 1, "timings.batch_size", "must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EcgFeaturized:
    """One ECG featurized; identity and demographics are carried over from EcgRecorded.

    Attributes
    ----------
    published_at : datetime
        UTC; the Kafka timestamp of the EcgRecorded, from which end-to-end latency is counted.
    model_input_uv : numpy.ndarray or None
        int16, (8, 5000), µV, leads :data:`schemas.leads.LEADS_8` at 500 Hz; read-only. None when the quality
        is not acceptable.
    median_beat_uv : numpy.ndarray or None
        int16, (8, 550), µV, the same leads and rate, R at sample 200, 0 at the PQ level; read-only. None when
        the quality is not acceptable, or no whole beat was found.
    r_peaks : tuple of int
        Sample indices at 500 Hz within the model input.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    published_at: datetime
    quality: Quality
    measurements: Measurements
    model_input_uv: npt.NDArray[np.int16] | None
    median_beat_uv: npt.NDArray[np.int16] | None = None
    r_peaks: tuple[int, ...] = ()
    site_id: str = ""
    ward_id: str = ""
    device_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    has_pacemaker: bool | None = None
    urgency: Urgency = Urgency.ROUTINE
    timings: tuple[StageTiming, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be a featurized ECG; raises InvalidRecordError."""
        require_uuid("ecg_id", self.ecg_id)
        require_patient(self.patient_id)
        require_utc("acquired_at", self.acquired_at)
        require_utc("published_at", self.published_at)
        require_number("age_years", self.age_years, 0, MAX_AGE_YEARS)
        require_texts(self, ("site_id", "ward_id", "device_id"))
        freeze_array(self, "model_input_uv", np.int16, (MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES))
        freeze_array(self, "median_beat_uv", np.int16, (MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES))
        has_input = self.model_input_uv is not None
        require(
            has_input == self.quality.acceptable,
            "model_input_uv",
            "must be there when quality is acceptable only",
        )
        lawful = self.median_beat_uv is None or has_input
        require(lawful, "median_beat_uv", "must be there when quality is acceptable only")
        inside = not self.r_peaks or (min(self.r_peaks) >= 0 and max(self.r_peaks) < MODEL_INPUT_SAMPLES)
        require(inside, "r_peaks", "must lie within the model input")
