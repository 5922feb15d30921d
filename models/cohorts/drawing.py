"""Draw the eight leads of one recording: rhythm, beats, and what electrodes make of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.cohorts.beat_waves import paced_waves, pr_ms, waves
from models.cohorts.dipole import LEAD_VECTORS, Array, Wave, wave_train
from models.cohorts.heart import N_VOICES, HeartState, Traits
from models.cohorts.recorder import DRAWN_RATE_HZ, MARGIN_S
from models.cohorts.rhythm import fibrillation_r_times_s, fibrillation_waves, sinus_r_times_s
from schemas.leads import LEADS_8

_FIBRILLATION_XYZ_MV: Final = (0.03, 0.06, -0.05)
_FIRST_CHEST_ROW: Final = LEADS_8.index("V1")
#: How far chest electrodes are placed from where they belong, as a share of the way to the next one, and
#: upward or downward as a share of the lead's strength; 2–3 cm are common (Wenger and Kligfield, 1996).
_SIDEWAYS_SD: Final = 0.10
_UPWARD_SD: Final = 0.08


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rhythm:
    """How the heart beats during one recording.

    Attributes
    ----------
    r_times_s : numpy.ndarray
        float64, (n_beats,), seconds from :data:`MARGIN_S` before the recording.
    rr_ms, pr_ms : float
        Mean cycle length, and onset of P to onset of QRS; the latter without meaning in fibrillation.
    """

    r_times_s: Array
    rr_ms: float
    pr_ms: float
    beat: tuple[Wave, ...]
    is_fibrillating: bool


def draw_rhythm(
    rng: np.random.Generator, traits: Traits, state: HeartState, duration_s: float, is_paced: bool
) -> Rhythm:
    """Draw when the heart beats and what a beat looks like: the part that ECG and echo share."""
    span_s = duration_s + 2 * MARGIN_S
    fibrillating = state.is_fibrillating
    rate_bpm = float(
        np.clip(rng.normal(70.0 + 8.0 * max(state.relaxation, 0.0) + 14.0 * fibrillating, 9.0), 46, 125)
    )
    r_times_s = (
        fibrillation_r_times_s(rng, span_s, rate_bpm)
        if fibrillating
        else sinus_r_times_s(rng, span_s, rate_bpm, rr_sd_ms=float(rng.uniform(8.0, 35.0)))
    )
    jitter = rng.standard_normal(N_VOICES)
    beat = waves(traits, state, jitter)
    return Rhythm(
        r_times_s=r_times_s,
        rr_ms=60000.0 / rate_bpm,
        pr_ms=pr_ms(traits, state, jitter),
        beat=paced_waves() if is_paced else beat,
        is_fibrillating=fibrillating and not is_paced,
    )


def draw_leads_mv(rng: np.random.Generator, rhythm: Rhythm, duration_s: float) -> Array:
    """Draw the eight leads without the cart.

    Returns
    -------
    numpy.ndarray
        float64, (8, n_samples), mV at :data:`DRAWN_RATE_HZ`, with :data:`MARGIN_S` before and after.
    """
    n_samples = round((duration_s + 2 * MARGIN_S) * DRAWN_RATE_HZ)
    return _placed_electrodes(rng) @ _vectorcardiogram(rng, rhythm, n_samples)


def _placed_electrodes(rng: np.random.Generator) -> Array:
    """Lead vectors of electrodes that never sit the same, the chest's somewhat off: float64, (8, 3)."""
    seen: Array = LEAD_VECTORS * (1.0 + 0.04 * rng.standard_normal(LEAD_VECTORS.shape))
    chest = seen[_FIRST_CHEST_ROW:]
    beside = np.vstack([chest[1:], chest[-1:]])
    chest += _SIDEWAYS_SD * rng.standard_normal((len(chest), 1)) * (beside - chest)
    chest[:, 1] += (
        _UPWARD_SD * rng.standard_normal() * np.linalg.norm(chest, axis=1)
    )  # all too high, or too low
    return seen


def _vectorcardiogram(rng: np.random.Generator, rhythm: Rhythm, n_samples: int) -> Array:
    r_times_s = rhythm.r_times_s
    rr_s = np.diff(r_times_s, prepend=2 * r_times_s[0] - r_times_s[1])
    repolarise = (
        np.clip(rr_s / 0.857, 0.5, 1.6) ** 0.4
    )  # 0.857 s is 70 a minute; between Bazett and Fridericia
    vcg_mv = np.zeros((3, n_samples))
    for wave in rhythm.beat:
        if wave.atrial and rhythm.is_fibrillating:
            continue
        gains = 1.0 + 0.04 * rng.standard_normal(r_times_s.size)
        stretches = repolarise if wave.at_ms > 100.0 else np.ones(r_times_s.size)
        train = wave_train(wave, r_times_s, gains, stretches, n_samples, DRAWN_RATE_HZ)
        vcg_mv += np.array(wave.xyz_mv)[:, None] * train  # (3, 1) × (n_samples,)
    if rhythm.is_fibrillating:
        f_waves = fibrillation_waves(rng, n_samples, DRAWN_RATE_HZ)
        vcg_mv += np.array(_FIBRILLATION_XYZ_MV)[:, None] * f_waves
    return vcg_mv
