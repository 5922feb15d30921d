"""Intervals, axes and voltages of the median beat, as a cart prints them."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from models.delineation import Fiducials, delineate, level_at_pq
from models.median_beat import median_beat
from schemas.featurized import MODEL_INPUT_RATE_HZ, Measurements
from schemas.leads import LEADS_12

#: Which leads each measurement is read from, where it is not all of them.
READ_FROM: Final[dict[str, tuple[str, ...]]] = {
    "p_axis_deg": ("I", "aVF"),
    "qrs_axis_deg": ("I", "aVF"),
    "t_axis_deg": ("I", "aVF"),
    "r_avl_mv": ("aVL",),
    "s_v1_mv": ("V1",),
    "s_v3_mv": ("V3",),
    "r_v5_mv": ("V5",),
    "r_v6_mv": ("V6",),
    "p_terminal_v1_mv_ms": ("V1",),
    "t_v5_mv": ("V5",),
    "st_v5_mv": ("V5",),
}

_MS_PER_SAMPLE: Final = 1000.0 / MODEL_INPUT_RATE_HZ
_ROW: Final = {lead: row for row, lead in enumerate(LEADS_12)}
#: ST is read 60 ms after the J point (where stress and ward monitors read it).
_ST_AFTER_J: Final = round(60 / _MS_PER_SAMPLE)
#: Where int16 µV end; no heart shows a tenth of it, and what does has a wrong unit.
_MOST_MV: Final = 33.0
#: Rates outside 15–300 a minute are misdetections.
_RR_RANGE_MS: Final = (200.0, 4000.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredBeat:
    """What the median beat of one ECG tells, and the beat.

    Attributes
    ----------
    mv : numpy.ndarray or None
        float32, (12, 550), mV at 500 Hz; R at :data:`models.median_beat.BEFORE_R`; 0 is the PQ level, or as
        the recording has it where the QRS could not be bounded. None when no whole beat lies in the ECG.
    """

    measurements: Measurements
    mv: npt.NDArray[np.float32] | None


def measure(mv: npt.NDArray[np.float32], r_peaks: list[npt.NDArray[np.int64]]) -> list[Measurements]:
    """Measure each ECG of a conditioned batch: :func:`measure_beats` without the beats."""
    return [measured.measurements for measured in measure_beats(mv, r_peaks)]


def measure_beats(mv: npt.NDArray[np.float32], r_peaks: list[npt.NDArray[np.int64]]) -> list[MeasuredBeat]:
    """Measure the median beat of each ECG of a conditioned batch.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV at 500 Hz.
    r_peaks : list of numpy.ndarray
        One array of rising sample indices for each ECG.

    Returns
    -------
    list of MeasuredBeat
        In the order of the batch; a field is None where its wave is absent or too few beats were found. Heart
        rate is the mean of the beat-to-beat rates (as Philips carts state it), QTc is Fridericia's
        ``qt / (RR in s) ** (1/3)`` (Bazett over-corrects above 90 beats a minute) of the mean RR, depths of S
        waves are positive.
    """
    return [_measure_one(ecg, peaks) for ecg, peaks in zip(mv, r_peaks, strict=True)]


def _measure_one(mv: npt.NDArray[np.float32], peaks: npt.NDArray[np.int64]) -> MeasuredBeat:
    rr_ms = np.diff(peaks) * _MS_PER_SAMPLE
    rr_ms = rr_ms[(rr_ms >= _RR_RANGE_MS[0]) & (rr_ms <= _RR_RANGE_MS[1])]
    rate = float(np.mean(60000.0 / rr_ms)) if rr_ms.size else None
    rr_sd = float(np.std(rr_ms)) if rr_ms.size > 1 else None
    rhythm = Measurements(heart_rate_bpm=_rounded(rate), rr_sd_ms=_rounded(rr_sd))
    beat = median_beat(mv, peaks)
    marks = None if beat is None else delineate(beat, None if rate is None else float(np.median(rr_ms)))
    if beat is None or marks is None:
        return MeasuredBeat(measurements=rhythm, mv=None if beat is None else beat.mv)
    leads = level_at_pq(beat.mv, marks.qrs_onset)
    mean_rr_ms = float(np.mean(rr_ms)) if rr_ms.size else None
    return MeasuredBeat(measurements=_with_waves(rhythm, leads, marks, mean_rr_ms), mv=leads)


def _with_waves(
    rhythm: Measurements, leads: npt.NDArray[np.float32], marks: Fiducials, mean_rr_ms: float | None
) -> Measurements:
    qt_ms = _span_ms(marks.qrs_onset, marks.t_end)
    return replace(
        rhythm,
        pr_ms=_span_ms(marks.p_onset, marks.qrs_onset),
        p_duration_ms=_span_ms(marks.p_onset, marks.p_end),
        qrs_ms=_span_ms(marks.qrs_onset, marks.qrs_end),
        qt_ms=qt_ms,
        qtc_ms=_rounded(fridericia_ms(qt_ms, mean_rr_ms)),
        **_axes(leads, marks),
        **_voltages(leads, marks),
    )


def fridericia_ms(qt_ms: float | None, rr_ms: float | None) -> float | None:
    """QT at 60 beats a minute by Fridericia (1920): ``qt / (RR in s) ** (1/3)``; None without either.

    RR is the mean interval. The mean of beat-to-beat rates is no substitute: short intervals weigh more in
    it, and QTc would come out too long, in atrial fibrillation by 5–20 ms.

    Examples
    --------
    >>> round(fridericia_ms(352.0, 60000.0 / 84.0))
    394
    """
    if qt_ms is None or rr_ms is None:
        return None
    return float(qt_ms / math.cbrt(rr_ms / 1000.0))


def without_leads(measured: Measurements, leads: Collection[str]) -> Measurements:
    """Leave out what was read from leads without a signal: a voltage of nothing is not 0.

    Intervals stay: they come from all leads together.

    Examples
    --------
    >>> without_leads(Measurements(qrs_ms=90.0, r_v5_mv=0.0), {"V5"}).r_v5_mv is None
    True
    """
    dead = set(leads)
    return replace(measured, **{name: None for name, of in READ_FROM.items() if dead.intersection(of)})


def axis_deg(area_i: float, area_avf: float) -> float | None:
    """Frontal axis of a wave from its net areas in I and aVF, degrees in (−180, 180]; None without any.

    aVF is an augmented lead, 2/√3 times smaller than a bipolar one at the same angle.

    Examples
    --------
    >>> axis_deg(1.0, 0.0), axis_deg(0.0, 1.0), axis_deg(-1.0, 0.0)
    (0.0, 90.0, 180.0)
    """
    if math.hypot(area_i, area_avf) < 1e-9:
        return None
    degrees = round(math.degrees(math.atan2(2.0 / math.sqrt(3.0) * area_avf, area_i)), 1)
    return 180.0 if degrees <= -180.0 else degrees + 0.0  # −0.0 is 0.0


def _axes(leads: npt.NDArray[np.float32], marks: Fiducials) -> dict[str, float | None]:
    return {
        "p_axis_deg": _wave_axis(leads, marks.p_onset, marks.p_end, chord=True),
        "qrs_axis_deg": _wave_axis(leads, marks.qrs_onset, marks.qrs_end, chord=False),
        "t_axis_deg": _t_axis(leads, marks),
    }


def _wave_axis(
    leads: npt.NDArray[np.float32], start: int | None, stop: int | None, *, chord: bool
) -> float | None:
    if start is None or stop is None or stop - start < 2:
        return None
    wave = leads[[_ROW["I"], _ROW["aVF"]], start : stop + 1].astype(np.float64)
    if chord:  # P rides on the end of the T–P segment: measure from the line between its ends
        wave = wave - np.linspace(wave[:, 0], wave[:, -1], wave.shape[1]).T
    area_i, area_avf = wave.sum(axis=1)
    return axis_deg(float(area_i), float(area_avf))


def _t_axis(leads: npt.NDArray[np.float32], marks: Fiducials) -> float | None:
    if marks.t_peak is None or marks.t_end is None:
        return None
    return _wave_axis(leads, 2 * marks.t_peak - marks.t_end, marks.t_end, chord=False)


def _voltages(leads: npt.NDArray[np.float32], marks: Fiducials) -> dict[str, float | None]:
    qrs = leads[:, marks.qrs_onset : marks.qrs_end + 1]
    st = leads[_ROW["V5"], min(marks.qrs_end + _ST_AFTER_J, leads.shape[1] - 1)]
    return {
        "r_avl_mv": _voltage(max(float(qrs[_ROW["aVL"]].max()), 0.0)),
        "s_v1_mv": _voltage(max(-float(qrs[_ROW["V1"]].min()), 0.0)),
        "s_v3_mv": _voltage(max(-float(qrs[_ROW["V3"]].min()), 0.0)),
        "r_v5_mv": _voltage(max(float(qrs[_ROW["V5"]].max()), 0.0)),
        "r_v6_mv": _voltage(max(float(qrs[_ROW["V6"]].max()), 0.0)),
        "p_terminal_v1_mv_ms": _p_terminal_v1(leads[_ROW["V1"]], marks),
        "t_v5_mv": None if marks.t_peak is None else _t_height(leads[_ROW["V5"]], marks.t_peak),
        "st_v5_mv": _voltage(float(st)),
    }


def _p_terminal_v1(v1: npt.NDArray[np.float32], marks: Fiducials) -> float | None:
    """Depth × duration of what is negative in P's second half in V1 (Morris, 1964); positive, or 0."""
    if marks.p_onset is None or marks.p_peak is None or marks.p_end is None:
        return None
    p = v1[marks.p_onset : marks.p_end + 1].astype(np.float64)
    p = p - p[0]
    below = p[len(p) // 2 :]
    below = below[below < 0]
    if below.size and -below.min() > _MOST_MV:
        return None
    return _rounded(float(-below.min() * below.size * _MS_PER_SAMPLE), 2) if below.size else 0.0


def _t_height(v5: npt.NDArray[np.float32], t_peak: int) -> float | None:
    near = v5[max(t_peak - 20, 0) : t_peak + 21]  # ± 40 ms: leads peak at slightly different times
    return _voltage(float(near[int(np.argmax(np.abs(near)))]))


def _span_ms(start: int | None, stop: int | None) -> float | None:
    return None if start is None or stop is None else (stop - start) * _MS_PER_SAMPLE


def _voltage(mv: float) -> float | None:
    return _rounded(mv, 3) if abs(mv) <= _MOST_MV else None


def _rounded(number: float | None, digits: int = 1) -> float | None:
    return None if number is None else round(number, digits)
