"""Where P, QRS and T begin and end, on the median beat and over all leads at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from models.beats import EIGHT_ROWS
from models.median_beat import BEFORE_R, MedianBeat
from schemas.featurized import MODEL_INPUT_RATE_HZ

Signal = npt.NDArray[np.float64]

_MS: Final = MODEL_INPUT_RATE_HZ / 1000.0

# QRS
_QRS_REACH: Final = round(150 * _MS)  # QRS ends lie within 150 ms of R, in the widest block
_STILL: Final = round(16 * _MS)  # outside the QRS the vector rests for at least 16 ms
_STILL_SHARE: Final = 0.06  # of the lead's fastest slope: below it rests
_STILL_FLOOR: Final = 0.03  # of the fastest slope of any lead
_STILL_NOISE: Final = 3.5  # standard errors of the median beat: √2 for a difference, and 2.5 σ of it
_QRS_TELLING: Final = 0.2  # of the fastest slope of any lead: slower leads do not tell where QRS ends

# T
_T_AFTER_J: Final = round(60 * _MS)  # no T peak within 60 ms of the QRS end
_T_LATEST: Final = round(560 * _MS)  # after QRS onset
_T_RR_SHARE: Final = (
    0.62  # of RR: a later hump is U or the next P (QT at 0.6 RR is QTc over 600 ms at 60/min)
)

_T_TELLING: Final = 0.3  # of the largest T: leads with less T do not tell where it ends

# P
_P_EARLIEST: Final = round(330 * _MS)  # before QRS onset: PR up to 300 ms
_P_LATEST: Final = round(40 * _MS)  # a P peak is at least 40 ms before QRS onset
_P_HALF: Final = round(80 * _MS)  # half the longest P wave, 160 ms
_P_SURE: Final = 5.0  # times the standard error of the median beat: f waves of AF average out below it
_P_SHARE: Final = 0.02  # of the largest QRS vector: less is a bump in the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Fiducials:
    """Samples of the median beat (500 Hz); None where a wave is absent."""

    qrs_onset: int
    qrs_end: int
    p_onset: int | None = None
    p_peak: int | None = None
    p_end: int | None = None
    t_peak: int | None = None
    t_end: int | None = None


def delineate(beat: MedianBeat, rr_ms: float | None) -> Fiducials | None:
    """Delineate one median beat; None when its QRS cannot be bounded.

    QRS ends are where the spatial velocity (root mean square slope over eight leads) falls under 5 and 6 % of
    its top for 10 ms. Waves end where the tangent of the steepest slope meets the baseline (Lepeschkin and
    Surawicz, 1952): P in its own direction in lead space, T in each lead that shows it, of which the second
    latest counts (the global QT is the longest one; the very latest may be an outlier).

    Parameters
    ----------
    beat : MedianBeat
    rr_ms : float or None
        Mean RR interval, which bounds the search for T; None with a single beat.
    """
    onset, end = _qrs_bounds(beat.mv.astype(np.float64), beat.spread_mv.astype(np.float64))
    if onset is None or end is None:
        return None
    leads = level_at_pq(beat.mv, onset).astype(np.float64)
    t_peak, t_end = _t_wave(leads, onset, end, rr_ms)
    p_onset, p_peak, p_end = _p_wave(leads[EIGHT_ROWS], beat, onset, t_end, rr_ms)
    return Fiducials(
        qrs_onset=onset, qrs_end=end, p_onset=p_onset, p_peak=p_peak, p_end=p_end, t_peak=t_peak, t_end=t_end
    )


def level_at_pq(mv: npt.NDArray[np.float32], qrs_onset: int) -> npt.NDArray[np.float32]:
    """Shift each lead so that the 16 ms before QRS onset are its zero."""
    pq = mv[:, max(qrs_onset - 8, 0) : max(qrs_onset, 1)]
    return np.asarray(mv - pq.mean(axis=1, keepdims=True))


def _lead_velocities(leads: Signal) -> Signal:
    """Absolute slope of each lead over 8 ms."""
    slope = np.zeros_like(leads)
    slope[:, 2:-2] = leads[:, 4:] - leads[:, :-4]
    return np.abs(slope)


def _qrs_bounds(leads: Signal, spread_mv: Signal) -> tuple[int | None, int | None]:
    """Second earliest onset and second latest end among the leads that have a QRS to speak of."""
    velocity = _lead_velocities(leads)
    near = slice(BEFORE_R - _QRS_REACH // 2, BEFORE_R + _QRS_REACH // 2)
    tops = velocity[:, near].max(axis=1)
    fastest = near.start + int(np.argmax((velocity[:, near] ** 2).sum(axis=0)))
    before, after = slice(fastest - _QRS_REACH, fastest), slice(fastest, fastest + _QRS_REACH)
    noise = _STILL_NOISE * np.median(spread_mv, axis=1)
    onsets, ends = [], []
    for row in np.flatnonzero(tops >= _QRS_TELLING * tops.max()):
        threshold = max(_STILL_SHARE * tops[row], _STILL_FLOOR * tops.max(), noise[row])
        onset = _last_still(velocity[row, before], threshold)
        end = _last_still(velocity[row, after][::-1], threshold)
        onsets += [] if onset is None else [before.start + onset]
        ends += [] if end is None else [after.stop - 1 - end]
    if not onsets or not ends:
        return None, None
    return sorted(onsets)[min(1, len(onsets) - 1)], sorted(ends)[max(len(ends) - 2, 0)]


def _last_still(velocity: Signal, threshold: float) -> int | None:
    """Last sample of the last stretch of at least 16 ms under the threshold; None without one."""
    still = (velocity < threshold).astype(np.float64)
    run = np.convolve(still, np.ones(_STILL), mode="valid") > _STILL - 0.5
    starts = np.flatnonzero(run)
    return None if starts.size == 0 else int(starts[-1]) + _STILL - 1


def _along_own_direction(eight: Signal, peak: int) -> Signal:
    """Projection of the beat on its vector at ``peak``, in which the wave stands upright, (550,) mV."""
    direction = eight[:, peak - 2 : peak + 3].mean(axis=1)
    return np.asarray(direction @ eight / (np.linalg.norm(direction) + 1e-9))


def _tangent_foot(wave: Signal, peak: int, stop: int, baseline_mv: float) -> int:
    """Where the steepest tangent between ``peak`` and ``stop`` (before or after it) meets the baseline."""
    step = 1 if stop > peak else -1
    walk = np.arange(peak, stop, step)
    slope = np.gradient(uniform_filter1d(wave, 5, mode="nearest"))[walk] * step
    steepest = int(np.argmin(slope))
    if slope[steepest] >= 0:
        return stop
    foot = walk[steepest] + step * (wave[walk[steepest]] - baseline_mv) / -slope[steepest]
    return round(float(min(max(foot, min(peak, stop)), max(peak, stop))))


def _t_wave(leads: Signal, onset: int, end: int, rr_ms: float | None) -> tuple[int | None, int | None]:
    longest = _T_LATEST if rr_ms is None else min(_T_LATEST, round(_T_RR_SHARE * rr_ms * _MS))
    first, last = end + _T_AFTER_J, min(onset + longest, leads.shape[1] - _T_AFTER_J)
    if last - first < _STILL:
        return None, None
    size = uniform_filter1d(np.sqrt((leads[EIGHT_ROWS] ** 2).mean(axis=0)), 10)
    peak = first + int(np.argmax(size[first:last]))
    heights = leads[:, peak]
    telling = np.flatnonzero(np.abs(heights) >= _T_TELLING * np.abs(heights).max())
    ends = sorted(_t_end(leads[row] * np.sign(heights[row]), peak) for row in telling)
    return peak, ends[max(len(ends) - 2, 0)]


def _t_end(wave: Signal, peak: int) -> int:
    reach = round(60 * _MS)
    own_peak = peak - reach // 2 + int(np.argmax(wave[peak - reach // 2 : peak + reach]))
    stop = min(own_peak + round(180 * _MS), len(wave) - 1)
    return _tangent_foot(wave, own_peak, stop, _lowest(wave[own_peak:stop]))


def _lowest(tail: Signal) -> float:
    """Baseline after a wave: at most the PQ level (0), and not above what the tail comes down to."""
    return max(0.0, float(tail.min()))


def _p_wave(
    eight: Signal, beat: MedianBeat, onset: int, t_end: int | None, rr_ms: float | None
) -> tuple[int | None, int | None, int | None]:
    first = onset - _P_EARLIEST
    if rr_ms is not None and t_end is not None:
        first = max(first, t_end - round(rr_ms * _MS))  # the T wave of the beat before ends here
    first, last = max(first, 0), onset - _P_LATEST
    if last - first < _P_HALF // 2:
        return None, None, None
    before = eight[:, first:onset] - np.median(eight[:, first:onset], axis=1, keepdims=True)
    size = uniform_filter1d(np.sqrt((before**2).mean(axis=0)), 10)
    peak = first + int(np.argmax(size[: last - first]))
    if peak - first < _STILL:
        return None, None, None  # highest where the search begins: the slope of the T wave before
    return _bounded_p(eight, beat, onset, first, peak)


def _bounded_p(
    eight: Signal, beat: MedianBeat, onset: int, first: int, peak: int
) -> tuple[int | None, int | None, int | None]:
    wave = _along_own_direction(eight, peak)
    start = max(peak - _P_HALF, first)
    foot = min(wave[start:peak].min(initial=0.0), wave[peak])
    height = float(wave[peak] - max(foot, 0.0))
    error = float(np.sqrt((beat.spread_mv[EIGHT_ROWS, peak].astype(np.float64) ** 2).mean()))
    qrs = float(np.sqrt((eight[:, onset : onset + _QRS_REACH] ** 2).sum(axis=0)).max())
    if height < _P_SURE * error or height < _P_SHARE * qrs:
        return None, None, None
    stop = min(peak + _P_HALF, onset)
    return (
        _tangent_foot(wave, peak, start, float(foot)),
        peak,
        _tangent_foot(wave, peak, stop, float(min(wave[peak:stop].min(), wave[peak]))),
    )
