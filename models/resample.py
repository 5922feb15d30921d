"""One pass through the spectrum: resample to 500 Hz, remove wander and mains, limit the band."""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES

DURATION_S: Final = MODEL_INPUT_SAMPLES / MODEL_INPUT_RATE_HZ

#: Half-amplitude frequency of the wander filter. Below the 0.67 Hz at which a filter without phase shift may
#: still cut an ST segment (AHA/ACC/HRS 2007, part I) and below ECGFounder's own 0.67 Hz, which can thus be
#: applied after it: what is left of 0.67 Hz here is 98 %. Breathing (0.15–0.35 Hz) goes.
WANDER_HZ: Final = 0.4

#: The band ends in a raised cosine from 50 to 100 Hz (half at 75 Hz). 100 Hz is the highest frequency that
#: every source from 200 Hz up still holds, so 250, 400, 500 and 1000 Hz give the same output.
FLAT_TO_HZ: Final = 50.0
BAND_END_HZ: Final = 100.0

#: Both mains are always notched: a detector would flip on noise, and the same ECG must give the same output.
#: Q 30 as in ECGFounder's preprocessing: ±0.8 Hz at half power.
MAINS_HZ: Final = (50.0, 60.0)
MAINS_Q: Final = 30.0

# Padding at each end: the impulse response of the wander filter has fallen below 1 % after 2 / 0.4 Hz / 2.
_MIN_PAD_S: Final = 2.0


def band_response(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Amplitude of the conditioned band at each frequency, 0 to 1; there is no phase shift."""
    f = np.maximum(frequency_hz, 1e-9)
    wander = 1.0 / (1.0 + (WANDER_HZ / f) ** 8)  # a Butterworth of order 4, forward and backward
    roll = np.clip((f - FLAT_TO_HZ) / (BAND_END_HZ - FLAT_TO_HZ), 0.0, 1.0)
    response = wander * 0.5 * (1.0 + np.cos(np.pi * roll))
    for mains in MAINS_HZ:
        detuning = MAINS_Q * (f / mains - mains / f)
        response = response * (detuning**2 / (1.0 + detuning**2))
    return np.asarray(response)


@lru_cache(maxsize=64)
def _lengths(sample_rate_hz: float) -> tuple[int, int, int]:
    """Count the samples taken, the padding before them and the transform, at the source's rate.

    The padding is chosen such that the transform lasts a whole number of output samples: among the lengths of
    up to half a second more, the one nearest to it (exactly, for every integer rate dividing 500 × n).
    """
    n_taken = round(DURATION_S * sample_rate_hz)
    shortest = n_taken + 2 * int(np.ceil(_MIN_PAD_S * sample_rate_hz))
    candidates = np.arange(shortest, shortest + int(sample_rate_hz / 2) + 1)
    out = candidates * MODEL_INPUT_RATE_HZ / sample_rate_hz
    residue = np.abs(out - np.round(out))
    smooth = np.array([scipy.fft.next_fast_len(int(n), real=True) == n for n in candidates])
    exact = smooth & (residue < 1e-9)
    chosen = candidates[exact][0] if exact.any() else candidates[int(np.argmin(np.round(residue, 9)))]
    return n_taken, int(np.ceil(_MIN_PAD_S * sample_rate_hz)), int(chosen)


def to_band_500_hz(rows: npt.NDArray[np.float32], sample_rate_hz: float) -> npt.NDArray[np.float32]:
    """Resample the first 10 s to 500 Hz within the conditioned band.

    The signal is levelled (the line through the medians of its first and last second), mirrored at both ends,
    and filtered and resampled in one Fourier transform: sample 0 stays at time 0, nothing is delayed.

    Parameters
    ----------
    rows : numpy.ndarray
        float32, (..., n_samples), any unit, finite; at least 10 s less one sample.
    sample_rate_hz : float

    Returns
    -------
    numpy.ndarray
        float32, (..., 5000), same unit.
    """
    n_taken, n_pad, n_fft = _lengths(float(sample_rate_hz))
    taken = _level(rows[..., :n_taken], sample_rate_hz)
    right = n_fft - n_pad - taken.shape[-1]
    widths = [(0, 0)] * (rows.ndim - 1) + [(n_pad, right)]
    spectrum = scipy.fft.rfft(np.pad(taken, widths, mode="symmetric"), axis=-1)
    n_out = round(n_fft * MODEL_INPUT_RATE_HZ / sample_rate_hz)
    frequency_hz = np.arange(spectrum.shape[-1]) * (sample_rate_hz / n_fft)
    n_kept = min(spectrum.shape[-1], int(np.searchsorted(frequency_hz, BAND_END_HZ)) + 1)
    start = n_pad * MODEL_INPUT_RATE_HZ / sample_rate_hz  # of the ECG, in output samples
    advance_s = (start - round(start)) / MODEL_INPUT_RATE_HZ
    turn = np.exp(2j * np.pi * frequency_hz[:n_kept] * advance_s)
    gain = band_response(frequency_hz[:n_kept]) * turn * (n_out / n_fft)
    limited = np.zeros((*spectrum.shape[:-1], n_out // 2 + 1), dtype=spectrum.dtype)
    limited[..., :n_kept] = spectrum[..., :n_kept] * gain.astype(np.complex64)
    padded = scipy.fft.irfft(limited, n=n_out, axis=-1)
    first = round(start)
    return np.asarray(padded[..., first : first + MODEL_INPUT_SAMPLES])


def _level(rows: npt.NDArray[np.float32], sample_rate_hz: float) -> npt.NDArray[np.float32]:
    n_second = round(sample_rate_hz)
    n = rows.shape[-1]
    first = np.median(rows[..., :n_second], axis=-1, keepdims=True)
    last = np.median(rows[..., -n_second:], axis=-1, keepdims=True)
    position = ((np.arange(n) - n_second / 2) / (n - n_second)).astype(np.float32)
    return np.asarray(rows - (first + (last - first) * position), dtype=np.float32)
