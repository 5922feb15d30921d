"""Whether a loaded bundle computes: one built-in ECG, scored alone and among others, must give one answer."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle, BundleError
from models.prediction import Prediction
from models.predictor import Predictor
from schemas.errors import DiastoleError
from schemas.featurized import (
    MEDIAN_BEAT_R,
    MEDIAN_BEAT_SAMPLES,
    MODEL_INPUT_LEADS,
    MODEL_INPUT_RATE_HZ,
    MODEL_INPUT_SAMPLES,
    EcgFeaturized,
    Measurements,
    Quality,
)
from schemas.recorded import Sex

#: Batch mates may move a probability across the border between two numbers of 4 decimals, and no further.
_ROUNDED: Final = 1.5e-4

_WHEN: Final = datetime(2025, 1, 1, tzinfo=UTC)
_RR_SAMPLES: Final = 420  # 71 beats a minute
_FIRST_R: Final = 250
#: P, Q, R, S and T of an ordinary beat: place after R in ms, width in ms, and µV in I, II, V1–V6.
_WAVES: Final = (
    (-160.0, 25.0, (60, 120, 40, 60, 60, 60, 60, 60)),
    (-22.0, 8.0, (-60, -60, 0, 0, 0, -80, -100, -100)),
    (0.0, 11.0, (700, 1000, 200, 350, 700, 1100, 1200, 1000)),
    (22.0, 10.0, (-100, -150, -900, -1300, -900, -500, -250, -120)),
    (260.0, 45.0, (200, 300, -50, 300, 400, 380, 320, 250)),
)


def self_test_ecg() -> EcgFeaturized:
    """Draw the built-in ECG: an ordinary sinus rhythm at 71 a minute, of nobody."""
    beats = np.arange(_FIRST_R, MODEL_INPUT_SAMPLES - MEDIAN_BEAT_SAMPLES // 2, _RR_SAMPLES)
    strip = np.sum([_beat_uv(MODEL_INPUT_SAMPLES, int(at)) for at in beats], axis=0)
    return EcgFeaturized(
        ecg_id="00000000-0000-5000-8000-000000000000",
        patient_id="SELF-TEST",
        acquired_at=_WHEN,
        published_at=_WHEN,
        quality=Quality(acceptable=True, score=1.0),
        measurements=Measurements(
            heart_rate_bpm=60.0 * MODEL_INPUT_RATE_HZ / _RR_SAMPLES, rr_sd_ms=15.0, pr_ms=165.0, qrs_ms=90.0
        ),
        model_input_uv=np.rint(strip).astype(np.int16),
        median_beat_uv=np.rint(_beat_uv(MEDIAN_BEAT_SAMPLES, MEDIAN_BEAT_R)).astype(np.int16),
        age_years=60.0,
        sex=Sex.FEMALE,
    )


def self_test(bundle: Bundle) -> Prediction:
    """Score the built-in ECG on the CPU: alone, alone again, and among others.

    Raises
    ------
    BundleError
        When the answers differ, or are none that a record may hold.
    """
    ecg = self_test_ecg()
    predictor = Predictor(bundle, device="cpu", batch_sizes=(1, 4))
    try:
        (once,), (again,) = predictor.predict([ecg]), predictor.predict([ecg])
        together = predictor.predict([ecg, ecg, ecg])
    except DiastoleError as error:
        raise BundleError(f"the bundle does not give a valid answer: {error}; train it anew") from error
    moved = max(abs(each.probability - once.probability) for each in together)
    if once.probability != again.probability or once.contributions != again.contributions or moved > _ROUNDED:
        raise BundleError("the bundle gives the same ECG two answers: this machine does not compute reliably")
    return once


def _beat_uv(n_samples: int, r_at: int) -> npt.NDArray[np.float64]:
    """One beat: float64, (8, n_samples), µV."""
    after_r_ms = (np.arange(n_samples) - r_at) * 1000.0 / MODEL_INPUT_RATE_HZ
    beat = np.zeros((MODEL_INPUT_LEADS, n_samples))
    for at_ms, width_ms, size_uv in _WAVES:
        beat += np.outer(size_uv, np.exp(-0.5 * ((after_r_ms - at_ms) / width_ms) ** 2))
    return beat
