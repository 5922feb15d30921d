"""R peaks from all leads at once: where the heart's electrical vector moves fastest."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from schemas.featurized import MODEL_INPUT_RATE_HZ
from schemas.leads import LEADS_8, LEADS_12

#: Rows of the eight independent leads among the twelve.
EIGHT_ROWS: Final = [LEADS_12.index(lead) for lead in LEADS_8]
_MS: Final = MODEL_INPUT_RATE_HZ / 1000.0

#: Slope is the difference of two adjacent means of 20 ms: half a QRS limb of 40 ms, strongest at 25 Hz / 2.
_LIMB: Final = round(20 * _MS)
#: Energy is gathered over 100 ms, the width of a normal QRS, so that a complex is one hill.
_QRS: Final = round(100 * _MS)
#: No second QRS within 200 ms: the refractory period of the ventricle (Pan and Tompkins, 1985).
_REFRACTORY: Final = round(200 * _MS)
#: Within 360 ms a hill under half of the one before is its T wave (Pan and Tompkins, 1985).
_T_WAVE: Final = round(360 * _MS)
_WINDOW: Final = round(2000 * _MS)
#: A hill is a beat from 0.4 of the typical one.
_FRACTION: Final = 0.4
#: Half of the widest QRS that is looked for, 160 ms (a left bundle branch block).
_HALF_WIDE_QRS: Final = round(80 * _MS)
#: Lead II has an R wave when its top is at least a quarter of its largest deflection and of the mean lead's.
_R_SHARE: Final = 0.25


def slope_energy(mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Root mean square slope over the eight independent leads, each lead in its own scale.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV, conditioned.

    Returns
    -------
    numpy.ndarray
        float32, (n_ecgs, 5000).
    """
    mean = uniform_filter1d(mv[:, EIGHT_ROWS], _LIMB, axis=-1, mode="nearest")
    slope = np.zeros_like(mean)
    half = _LIMB // 2
    slope[..., half:-half] = mean[..., 2 * half :] - mean[..., : -2 * half]
    energy = slope * slope
    scale = np.percentile(energy[..., ::5], 98, axis=-1, keepdims=True) + 1e-9
    total = uniform_filter1d((energy / scale).mean(axis=1), _QRS, axis=-1, mode="constant")
    covered = uniform_filter1d(np.ones(mv.shape[-1], np.float32), _QRS, mode="constant")
    return np.asarray(np.sqrt(np.maximum(total, 0.0) / covered), dtype=np.float32)


def r_peaks(mv: npt.NDArray[np.float32]) -> list[npt.NDArray[np.int64]]:
    """R peaks of each ECG: where the hill of slope energy has its largest deflection.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV, conditioned.

    Returns
    -------
    list of numpy.ndarray
        int64, sample indices at 500 Hz in rising order; empty without any QRS.
    """
    energy = slope_energy(mv)
    tops = (energy == maximum_filter1d(energy, _REFRACTORY, axis=-1)) & (energy > 0)
    size_mv = np.sqrt((mv[:, EIGHT_ROWS] ** 2).mean(axis=1))  # (n_ecgs, 5000)
    return [
        _to_deflection(_choose(np.flatnonzero(top), hills), ii, size)
        for top, hills, ii, size in zip(tops, energy, mv[:, LEADS_12.index("II")], size_mv, strict=True)
    ]


def _choose(tops: npt.NDArray[np.int64], energy: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Hills that are beats: high enough, not the T wave of the one before, none forgotten in a long gap."""
    if tops.size == 0:
        return tops
    threshold = _FRACTION * _typical_height(energy)
    beats = _without_t_waves(tops[energy[tops] >= threshold], energy)
    return _search_back(beats, tops, energy, threshold / 2)


def _typical_height(energy: npt.NDArray[np.float32]) -> float:
    """Median of the highest hill of each 2 s: at 30 beats a minute and more, each holds a QRS."""
    return float(np.median(energy.reshape(-1, _WINDOW).max(axis=1)))


def _without_t_waves(tops: npt.NDArray[np.int64], energy: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    kept: list[int] = []
    for top in tops.tolist():
        if kept and top - kept[-1] < _REFRACTORY:
            if energy[top] > energy[kept[-1]]:
                kept[-1] = top
        elif not kept or top - kept[-1] > _T_WAVE or energy[top] >= energy[kept[-1]] / 2:
            kept.append(top)
    return np.asarray(kept, dtype=np.int64)


def _search_back(
    beats: npt.NDArray[np.int64],
    tops: npt.NDArray[np.int64],
    energy: npt.NDArray[np.float32],
    threshold: float,
) -> npt.NDArray[np.int64]:
    """Fill gaps of more than 1.66 median RR with their highest hill, if it is half as high as was asked."""
    if beats.size < 3:
        return beats
    longest = 1.66 * float(np.median(np.diff(beats)))
    added: list[int] = []
    for before, after in zip(beats[:-1].tolist(), beats[1:].tolist(), strict=True):
        inside = tops[(tops > before + _T_WAVE) & (tops < after - _REFRACTORY)]
        if after - before > longest and inside.size:
            highest = int(inside[np.argmax(energy[inside])])
            added += [highest] if energy[highest] >= threshold else []
    return np.sort(np.concatenate([beats, np.asarray(added, dtype=np.int64)]))


def _to_deflection(
    beats: npt.NDArray[np.int64], ii_mv: npt.NDArray[np.float32], size_mv: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Move each beat from its hill's top to the R wave of lead II, or to the largest vector without one."""
    peaks = [_fiducial(max(beat - _HALF_WIDE_QRS, 0), beat, ii_mv, size_mv) for beat in beats.tolist()]
    return np.unique(np.asarray(peaks, dtype=np.int64))


def _fiducial(first: int, beat: int, ii_mv: npt.NDArray[np.float32], size_mv: npt.NDArray[np.float32]) -> int:
    window = slice(first, beat + _HALF_WIDE_QRS + 1)
    ii, size = ii_mv[window], size_mv[window]
    r_mv = float(ii.max())
    if r_mv >= _R_SHARE * float(np.abs(ii).max()) and r_mv >= _R_SHARE * float(size.max()):
        return first + int(np.argmax(ii))
    return first + int(np.argmax(size))
