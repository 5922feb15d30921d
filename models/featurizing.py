"""From conditioned ECGs to what the model is given: one function for the stream and for every cohort."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.beats import r_peaks
from models.measurements import MeasuredBeat, measure_beats
from models.signal import eight_leads_uv, model_input_uv
from schemas.featurized import MEDIAN_BEAT_SAMPLES, Measurements
from schemas.leads import LEADS_12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeaturizedArrays:
    """A batch of ECGs as the model is given them; row i of everything is ECG i.

    Attributes
    ----------
    inputs_uv : numpy.ndarray
        int16, (n, 8, 5000), µV; see :func:`models.signal.model_input_uv`.
    beats_uv : numpy.ndarray
        int16, (n, 8, 550), µV: the median beat (:class:`models.measurements.MeasuredBeat`); all 0 where the
        ECG has no whole one.
    measurements : list of Measurements
    r_peaks : list of numpy.ndarray
        int64, rising sample indices at 500 Hz.
    """

    inputs_uv: npt.NDArray[np.int16]
    beats_uv: npt.NDArray[np.int16]
    measurements: list[Measurements]
    r_peaks: list[npt.NDArray[np.int64]]


def featurize_arrays(mv: npt.NDArray[np.float32]) -> FeaturizedArrays:
    """Find the beats of conditioned ECGs, measure them, and bring both to the model's inputs.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n, 12, 5000), mV, of :func:`models.signal.condition`; n may be 0.

    Notes
    -----
    Each ECG's rows depend on that ECG alone, bit for bit, whatever else is in the batch.
    """
    peaks = r_peaks(mv)
    measured = measure_beats(mv, peaks)
    return FeaturizedArrays(
        inputs_uv=model_input_uv(mv),
        beats_uv=_beats_uv(measured),
        measurements=[each.measurements for each in measured],
        r_peaks=peaks,
    )


def _beats_uv(measured: list[MeasuredBeat]) -> npt.NDArray[np.int16]:
    beats_mv = np.zeros((len(measured), len(LEADS_12), MEDIAN_BEAT_SAMPLES), dtype=np.float32)
    for row, each in zip(beats_mv, measured, strict=True):
        if each.mv is not None:
            row[:] = each.mv
    return eight_leads_uv(beats_mv)
