"""The median of a recording's dominant beats: one clean P–QRS–T of twelve leads."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.beats import EIGHT_ROWS
from schemas.featurized import MODEL_INPUT_RATE_HZ

_MS: Final = MODEL_INPUT_RATE_HZ / 1000.0

#: The beat reaches from 400 ms before R (a PR of 300 ms and its P wave) to 700 ms after it (a QT of 650 ms).
BEFORE_R: Final = round(400 * _MS)
AFTER_R: Final = round(700 * _MS)
#: Beats are compared by QRS and ST-T up to 300 ms after R, which the next beat does not reach up to 150/min.
_COMPARED: Final = slice(BEFORE_R - round(100 * _MS), BEFORE_R + round(300 * _MS))
#: Beats alike by 0.85 in all leads together are of one kind; an ectopic is near 0 or below.
_ALIKE: Final = 0.85
#: R peaks are placed by lead II alone; within 20 ms each beat is shifted to where all leads agree best.
_SHIFTS: Final = range(-round(20 * _MS), round(20 * _MS) + 1)
_ALIGNED: Final = slice(BEFORE_R - round(60 * _MS), BEFORE_R + round(60 * _MS))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MedianBeat:
    """Median beat of one ECG.

    Attributes
    ----------
    mv : numpy.ndarray
        float32, (12, 550), mV at 500 Hz; sample :data:`BEFORE_R` is R.
    spread_mv : numpy.ndarray
        float32, (12, 550), mV; how far the beats lie from it (standard error of the median).
    n_beats : int
        Beats of the dominant kind that it was made of.
    """

    mv: npt.NDArray[np.float32]
    spread_mv: npt.NDArray[np.float32]
    n_beats: int


def median_beat(mv: npt.NDArray[np.float32], r_peaks: npt.NDArray[np.int64]) -> MedianBeat | None:
    """Median of the dominant beats of one ECG; None when no whole beat lies within it.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (12, 5000), mV, conditioned.
    r_peaks : numpy.ndarray
        int64, rising sample indices.
    """
    margin = _SHIFTS[-1]
    whole = r_peaks[(r_peaks >= BEFORE_R + margin) & (r_peaks < mv.shape[1] - AFTER_R - margin)]
    if whole.size == 0:
        return None
    dominant = whole[_dominant_kind(_cut(mv, whole))]
    beats = _cut(mv, dominant + _shifts_to_agree(mv, dominant))  # (n_beats, 12, 550)
    median = _median(beats)
    deviation = np.abs(beats - median).mean(axis=0)
    # For normal noise σ is 1.2533 mean absolute deviations, and the standard error of a median 1.2533 σ/√n.
    spread = 1.2533**2 * deviation / np.sqrt(len(beats))
    return MedianBeat(mv=median, spread_mv=spread.astype(np.float32), n_beats=len(beats))


def _median(beats: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Median over beats, (n_beats, 12, 550) → (12, 550); ten times as fast on a short axis as numpy's."""
    ranked = np.sort(np.ascontiguousarray(np.moveaxis(beats, 0, -1)), axis=-1)  # (12, 550, n_beats)
    n = ranked.shape[-1]
    return np.asarray((ranked[..., (n - 1) // 2] + ranked[..., n // 2]) / 2)


def _cut(mv: npt.NDArray[np.float32], peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    window = peaks[:, None] + np.arange(-BEFORE_R, AFTER_R)  # (n_beats, 550)
    return np.ascontiguousarray(mv[:, window].swapaxes(0, 1))  # (12, n_beats, 550) → (n_beats, 12, 550)


def _dominant_kind(beats: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    compared = beats[:, EIGHT_ROWS, _COMPARED].astype(np.float64)
    compared = (compared - compared.mean(axis=-1, keepdims=True)).reshape(len(beats), -1)
    compared /= np.linalg.norm(compared, axis=1, keepdims=True) + 1e-9
    likeness = compared @ compared.T
    alike = likeness >= _ALIKE
    seed = int(np.argmax(alike.sum(axis=1) + likeness.mean(axis=1)))
    kind: npt.NDArray[np.bool_] = alike[seed] | (np.arange(len(beats)) == seed)
    return kind


def _shifts_to_agree(mv: npt.NDArray[np.float32], peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    template = _cut(mv, peaks).mean(axis=0)[EIGHT_ROWS, _ALIGNED]  # (8, n)
    offsets = np.arange(_ALIGNED.start - BEFORE_R, _ALIGNED.stop - BEFORE_R)
    window = peaks[:, None, None] + np.asarray(_SHIFTS)[None, :, None] + offsets  # (n_beats, n_shifts, n)
    distance = sum(((mv[row][window] - template[i]) ** 2).sum(axis=-1) for i, row in enumerate(EIGHT_ROWS))
    best = np.argmin(np.asarray(distance), axis=1)
    shifts: npt.NDArray[np.int64] = np.asarray(_SHIFTS, dtype=np.int64)[best]
    return shifts
