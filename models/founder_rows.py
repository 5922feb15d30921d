"""ECGFounder's preprocessing on the CPU: compiled loops and one transform, a few ECGs at a time, in threads.

A piece of four ECGs stays in a core's own cache from the first step to the last, and every step runs on the
thread that took the piece: threads wait for each other nowhere, so a busy machine slows them, and no more.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from models.compiling import compiled
from models.rank_window import medians_of_rows
from models.zero_phase import ZeroPhase

_Float32s = npt.NDArray[np.float32]

#: 4 ECGs × 12 leads × 5000 samples × 4 bytes = 0.9 MiB.
_ECGS_OF_A_PIECE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recipe:
    """What is done to an ECG.

    Attributes
    ----------
    chain : ZeroPhase
        The filters.
    leads : numpy.ndarray
        float32, (n_leads, n_given): weights of the leads wanted over those given, and of units.
    median_width : int
        Samples of the running median, odd.
    tiny : float
        Added to the deviation.
    """

    chain: ZeroPhase
    leads: _Float32s
    median_width: int
    tiny: float


def preprocess(ecgs: npt.NDArray[Any], recipe: Recipe, n_threads: int) -> _Float32s:
    """Filter, combine leads, take the running median off, z-score.

    Parameters
    ----------
    ecgs : numpy.ndarray
        int16 or float32, (B, n_given, n). NaN counts as 0.
    n_threads : int
        Threads that share the pieces.

    Returns
    -------
    numpy.ndarray
        float32, (B, n_leads, n). Each ECG depends on itself alone; one with infinities is NaN throughout.
    """
    normalised = np.empty((len(ecgs), len(recipe.leads), ecgs.shape[-1]), np.float32)

    def run(first: int) -> None:
        piece = slice(first, first + _ECGS_OF_A_PIECE)
        with np.errstate(invalid="ignore", over="ignore"):  # infinities become NaN, as promised
            _preprocess_piece(ecgs[piece], recipe, normalised[piece])

    firsts = range(0, len(ecgs), _ECGS_OF_A_PIECE)
    n_threads = min(n_threads, len(firsts))
    if n_threads < 2:
        for first in firsts:
            run(first)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, firsts))
    return normalised


def _preprocess_piece(ecgs: npt.NDArray[Any], recipe: Recipe, normalised: _Float32s) -> None:
    chain, n = recipe.chain, ecgs.shape[-1]
    rows = ecgs.astype(np.float32, order="C").reshape(-1, n)  # (B × n_given, n)
    weights = np.empty((len(rows), len(chain.ends)), np.float32)
    _take_line_off(rows, chain.line, chain.weigh, weights)
    spectrum = scipy.fft.rfft(rows)
    spectrum *= chain.response
    band = scipy.fft.irfft(spectrum, n=n, overwrite_x=True)
    _add_ends(band, weights, chain.ends)
    _combine(band.reshape(ecgs.shape), recipe.leads, normalised)
    medians = np.empty_like(normalised)
    medians_of_rows(normalised.reshape(-1, n), medians.reshape(-1, n), recipe.median_width // 2)
    _score(normalised, medians, recipe.tiny)


@compiled
def _take_line_off(rows: _Float32s, line: _Float32s, weigh: _Float32s, weights: _Float32s) -> None:
    """Set NaN to 0, take the line from first to last sample off, and weigh what is at the ends."""
    n = rows.shape[1]
    for r in range(len(rows)):
        row = rows[r]
        start = np.float32(0.0) if np.isnan(row[0]) else row[0]
        for t in range(n):
            row[t] = (np.float32(0.0) if np.isnan(row[t]) else row[t]) - start
        rise = row[n - 1]
        for t in range(n):  # not in one with the above: large offsets must cancel first
            row[t] -= rise * line[t]
        for k in range(len(weigh)):
            total = np.float32(0.0)
            for t in range(n):
                total += row[t] * weigh[k, t]
            weights[r, k] = total
        weights[r, len(weigh)] = rise


@compiled
def _add_ends(rows: _Float32s, weights: _Float32s, ends: _Float32s) -> None:
    for r in range(len(rows)):
        for k in range(len(ends)):
            for t in range(rows.shape[1]):
                rows[r, t] += weights[r, k] * ends[k, t]


@compiled
def _combine(ecgs: _Float32s, leads: _Float32s, combined: _Float32s) -> None:
    for b in range(len(ecgs)):
        for i in range(len(leads)):
            combined[b, i] = np.float32(0.0)
            for j in range(ecgs.shape[1]):
                if leads[i, j] != 0.0:
                    for t in range(ecgs.shape[2]):
                        combined[b, i, t] += leads[i, j] * ecgs[b, j, t]


@compiled
def _score(ecgs: _Float32s, medians: _Float32s, tiny: float) -> None:
    """Take the medians off and z-score each ECG as a whole, in place."""
    for b in range(len(ecgs)):
        ecg, level = ecgs[b].reshape(-1), medians[b].reshape(-1)  # (n_leads × n,)
        total = 0.0
        for t in range(len(ecg)):
            ecg[t] -= level[t]
            total += ecg[t]
        mean = total / len(ecg)
        squares = 0.0
        for t in range(len(ecg)):
            squares += (ecg[t] - mean) ** 2
        scale = 1.0 / (np.sqrt(squares / len(ecg)) + tiny)
        for t in range(len(ecg)):
            ecg[t] = (ecg[t] - mean) * scale
