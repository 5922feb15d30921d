"""Draw the eight leads of one recording: rhythm, beats, and what electrodes make of them."""

from typing import Final

import numpy as np

from models.cohorts.dipole import LEAD_VECTORS, Array, Wave, wave_train
from models.cohorts.physiology import Processes, Traits, is_fibrillating, waves
from models.cohorts.recorder import DRAWN_RATE_HZ, MARGIN_S
from models.cohorts.rhythm import fibrillation_r_times_s, fibrillation_waves, sinus_r_times_s

_FIBRILLATION_XYZ_MV: Final = (0.03, 0.06, -0.05)


def draw_leads_mv(
    rng: np.random.Generator, traits: Traits, state: Processes, duration_s: float, is_paced: bool
) -> Array:
    """Draw the eight leads without the cart.

    Returns
    -------
    numpy.ndarray
        float64, (8, n_samples), mV at :data:`DRAWN_RATE_HZ`, with :data:`MARGIN_S` before and after.
    """
    span_s = duration_s + 2 * MARGIN_S
    n_samples = round(span_s * DRAWN_RATE_HZ)
    fibrillating = is_fibrillating(traits, state)
    rate_bpm = float(
        np.clip(rng.normal(70.0 + 8.0 * max(state.relaxation, 0.0) + 14.0 * fibrillating, 9.0), 46, 125)
    )
    r_times_s = (
        fibrillation_r_times_s(rng, span_s, rate_bpm)
        if fibrillating
        else sinus_r_times_s(rng, span_s, rate_bpm, rr_sd_ms=float(rng.uniform(8.0, 35.0)))
    )
    beat = waves(traits, state, rng.standard_normal(10))
    if is_paced:
        beat, fibrillating = _paced(beat), False
    vcg_mv = _vectorcardiogram(rng, beat, r_times_s, fibrillating, n_samples)
    seen = LEAD_VECTORS * (
        1.0 + 0.04 * rng.standard_normal(LEAD_VECTORS.shape)
    )  # electrodes never sit the same
    return seen @ vcg_mv


def _vectorcardiogram(
    rng: np.random.Generator, beat: tuple[Wave, ...], r_times_s: Array, fibrillating: bool, n_samples: int
) -> Array:
    rr_s = np.diff(r_times_s, prepend=2 * r_times_s[0] - r_times_s[1])
    repolarise = (
        np.clip(rr_s / 0.857, 0.5, 1.6) ** 0.4
    )  # 0.857 s is 70 a minute; between Bazett and Fridericia
    vcg_mv = np.zeros((3, n_samples))
    for wave in beat:
        if wave.atrial and fibrillating:
            continue
        gains = 1.0 + 0.04 * rng.standard_normal(r_times_s.size)
        stretches = repolarise if wave.at_ms > 100.0 else np.ones(r_times_s.size)
        train = wave_train(wave, r_times_s, gains, stretches, n_samples, DRAWN_RATE_HZ)
        vcg_mv += np.array(wave.xyz_mv)[:, None] * train  # (3, 1) × (n_samples,)
    if fibrillating:
        f_waves = fibrillation_waves(rng, n_samples, DRAWN_RATE_HZ)
        vcg_mv += np.array(_FIBRILLATION_XYZ_MV)[:, None] * f_waves
    return vcg_mv


def _paced(beat: tuple[Wave, ...]) -> tuple[Wave, ...]:
    spike = Wave(name="pacing spike", at_ms=-75.0, sigma_ms=1.2, xyz_mv=(1.2, -1.6, -0.6))
    wide = (
        Wave(name="paced QRS", at_ms=0.0, sigma_ms=34.0, xyz_mv=(1.0, -1.1, 0.9)),
        Wave(name="paced T", at_ms=260.0, sigma_ms=48.0, xyz_mv=(-0.35, 0.40, -0.45)),
    )
    return (spike, *wide)
