"""When the simulated heart beats, and what its atria do when they fibrillate."""

import numpy as np

from models.cohorts.dipole import Array


def sinus_r_times_s(rng: np.random.Generator, duration_s: float, rate_bpm: float, rr_sd_ms: float) -> Array:
    """Sinus rhythm: a steady interval, moved by breathing and by chance.

    Returns
    -------
    numpy.ndarray
        float64, (n_beats,), seconds; from before 0 to past ``duration_s``, so that no border beat is missing.
    """
    n_beats = int(duration_s * rate_bpm / 60.0) + 6
    breaths = np.sin(2 * np.pi * (0.25 * 60.0 / rate_bpm * np.arange(n_beats) + rng.random()))
    rr_s = 60.0 / rate_bpm + rr_sd_ms / 1000.0 * (breaths + 0.5 * rng.standard_normal(n_beats))
    return _from_intervals(rng, np.maximum(rr_s, 0.3))


def fibrillation_r_times_s(rng: np.random.Generator, duration_s: float, rate_bpm: float) -> Array:
    """Atrial fibrillation: intervals without memory, coefficient of variation about 0.2."""
    n_beats = int(duration_s * rate_bpm / 60.0 * 1.6) + 6
    rr_s = 60.0 / rate_bpm * rng.gamma(25.0, 1.0 / 25.0, n_beats)  # gamma of shape k varies by 1/√k = 0.2
    return _from_intervals(rng, np.maximum(rr_s, 0.3))


def fibrillation_waves(rng: np.random.Generator, n_samples: int, rate_hz: float) -> Array:
    """Fibrillatory waves, 4–8 Hz, relative to their peak.

    Returns
    -------
    numpy.ndarray
        float64, (n_samples,).
    """
    time_s = np.arange(n_samples) / rate_hz
    drift = np.cumsum(rng.standard_normal(n_samples)) / np.sqrt(rate_hz)
    phase = 2 * np.pi * rng.uniform(5.0, 7.0) * time_s + 1.5 * drift
    wave: Array = (np.sin(phase) + 0.4 * np.sin(2 * phase + rng.uniform(0, 2 * np.pi))) / 1.4
    return wave


def _from_intervals(rng: np.random.Generator, rr_s: Array) -> Array:
    starts: Array = np.cumsum(rr_s) - rr_s[0] * (1.0 + rng.random())
    return starts
