"""One ECG made ready for scoring: what ``featurize`` publishes to ``ecg.featurized.v1``."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from schemas.recorded import Sex, Urgency

#: Sample rate, length and leads of the model input. Fixed by the bundle's input contract: ECGFounder and our
#: encoders are trained on 10 s at 500 Hz; changing any of them means a new topic version.
MODEL_INPUT_RATE_HZ = 500
MODEL_INPUT_SAMPLES = 5000  # 10 s × 500 Hz
MODEL_INPUT_LEADS = 8  # I, II, V1–V6


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Measurements of the median beat; None where the feature is absent (PR in atrial fibrillation).

    Intervals in ms, axes in degrees (−180, 180], voltages in mV.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """What one stage cost this ECG: waiting in the stage's queue, and the work of its batch."""

    stage: str
    queue_ms: float
    work_ms: float
    batch_size: int


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
    r_peaks: tuple[int, ...] = ()
    site_id: str = ""
    ward_id: str = ""
    device_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    has_pacemaker: bool | None = None
    urgency: Urgency = Urgency.ROUTINE
    timings: tuple[StageTiming, ...] = ()
