"""The simulated truth of tissue Doppler: annular velocities of two sites over one cycle, from R to R.

A velocity curve is a sum of lobes in real time: a short isovolumic spike, s' upward in ejection, a notch in
isovolumic relaxation, e' downward in early and a' downward in late diastole. Where they stand and how large
they are follows from the latent state of the heart (:mod:`models.cohorts.heart`), never from ECG samples.
Ranges of adults: e' septal 7–13, lateral 10–16, a' 7–12, s' 6–10 cm/s; e' falls about 1 cm/s a decade
(Nagueh et al., JASE 2016 and 2025; Kagiyama et al., JACC 2020).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.heart import HeartState, Traits
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS

#: Lateral over septal velocities in the mean.
_LATERAL: Final = {"s": 1.12, "e": 1.30, "a": 1.05}
#: A lobe is a raised cosine to this power: rounder than a half sine, zero slope at both ends.
_POWER: Final = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Velocities:
    """Peak velocities (magnitudes, cm/s; septal, lateral) and times (ms from R) of one person at one moment.

    ``a_prime_cm_s`` is None in atrial fibrillation: there is no late wave.
    """

    s_prime_cm_s: tuple[float, float]
    e_prime_cm_s: tuple[float, float]
    a_prime_cm_s: tuple[float, float] | None
    rr_ms: float
    s_onset_ms: float
    s_end_ms: float
    e_onset_ms: float
    e_duration_ms: float
    a_onset_ms: float

    @property
    def e_prime_mean_cm_s(self) -> float:
        """Mean of both sites."""
        return (self.e_prime_cm_s[0] + self.e_prime_cm_s[1]) / 2.0


def draw_velocities(
    rng: np.random.Generator, traits: Traits, state: HeartState, rr_ms: float, pr_ms: float
) -> Velocities:
    """Draw what tissue Doppler would show, with the beat-to-beat variation of a recording.

    Parameters
    ----------
    rr_ms : float
        Cycle length, ms.
    pr_ms : float
        P onset to QRS onset, ms: the late wave follows the P wave.
    """
    voice, jitter = np.array(traits.echo_voice), rng.standard_normal(6)
    years = traits.age_years - 60.0
    septal_e = 9.7 - 0.040 * years - 4.6 * state.relaxation + 0.6 * voice[0] + 0.3 * jitter[0]
    septal_s = 8.0 - 1.4 * state.hypertrophy - 1.2 * state.relaxation + 0.7 * voice[1] + 0.3 * jitter[1]
    failing = max(state.filling - 0.45, 0.0)  # the atrium pumps harder first, and fails against pressure
    septal_a = 8.8 + 0.02 * years + 1.3 * state.relaxation - 5.5 * failing + 0.8 * voice[2] + 0.35 * jitter[2]
    wall = 1.0 + 0.06 * voice[3:5]  # how this person's lateral wall differs from the mean one
    ejection_ms = 300.0 - 0.11 * (860.0 - rr_ms) - 22.0 * max(state.filling, 0.0) + 8.0 * jitter[3]
    s_onset_ms = 62.0 + 26.0 * max(state.conduction, 0.0) + 10.0 * state.relaxation + 4.0 * jitter[4]
    ivrt_ms = 72.0 + 52.0 * state.relaxation - 70.0 * failing + 5.0 * jitter[5]
    s_end_ms = s_onset_ms + ejection_ms
    return Velocities(
        s_prime_cm_s=_sites(septal_s, "s", wall[0], 3.0),
        e_prime_cm_s=_sites(septal_e, "e", wall[1], 2.5),
        a_prime_cm_s=None if state.is_fibrillating else _sites(septal_a, "a", wall[0], 3.0),
        rr_ms=rr_ms,
        s_onset_ms=s_onset_ms,
        s_end_ms=s_end_ms,
        e_onset_ms=s_end_ms + max(ivrt_ms, 35.0),
        e_duration_ms=165.0 + 30.0 * state.relaxation + 6.0 * voice[5],
        a_onset_ms=rr_ms - pr_ms + 38.0 + 25.0 * max(state.atrial, 0.0),
    )


def velocity_curves(velocities: Velocities) -> npt.NDArray[np.float32]:
    """Draw the curves.

    Returns
    -------
    numpy.ndarray
        float32, (2, 128), cm/s; septal, lateral; sample i is at i/128 of the cycle from R.
    """
    v = velocities
    at_ms = np.arange(MOTION_SAMPLES) * v.rr_ms / MOTION_SAMPLES
    a_onset_ms = min(v.a_onset_ms, v.rr_ms - 70.0)
    a_shape = _lobe(at_ms, a_onset_ms, v.rr_ms + 8.0 - a_onset_ms)
    # At high rates filling ends where the next atrial beat begins: early and late wave run into each other.
    e_shape = _lobe(at_ms, v.e_onset_ms, min(v.e_duration_ms, max(v.rr_ms - v.e_onset_ms - 40.0, 90.0)))
    s_shape = _lobe(at_ms, v.s_onset_ms, v.s_end_ms - v.s_onset_ms, skew=0.42)
    spike = _lobe(at_ms, 12.0, v.s_onset_ms - 14.0)
    notch = _lobe(at_ms, v.s_end_ms, v.e_onset_ms - v.s_end_ms)
    curves = np.zeros((MOTION_WALLS, MOTION_SAMPLES))
    for wall in range(MOTION_WALLS):
        late = v.a_prime_cm_s[wall] if v.a_prime_cm_s else 0.0
        curves[wall] = v.s_prime_cm_s[wall] * (s_shape + 0.32 * spike + 0.10 * notch)
        curves[wall] -= np.maximum(v.e_prime_cm_s[wall] * e_shape, late * a_shape)
    return curves.astype(np.float32)


def _sites(septal: float, wave: str, wall: float, floor: float) -> tuple[float, float]:
    septal = max(septal, floor)
    return float(septal), float(max(septal * _LATERAL[wave] * wall, floor))


def _lobe(
    at_ms: npt.NDArray[np.float64], onset_ms: float, duration_ms: float, skew: float = 0.5
) -> npt.NDArray[np.float64]:
    """Draw a raised cosine from onset for a duration, its peak at the share ``skew`` of it; 0 elsewhere."""
    u = np.clip((at_ms - onset_ms) / duration_ms, 0.0, 1.0)
    phase = np.where(u < skew, 0.5 * u / skew, 0.5 + 0.5 * (u - skew) / (1.0 - skew))
    lobe: npt.NDArray[np.float64] = (0.5 - 0.5 * np.cos(2.0 * np.pi * phase)) ** _POWER
    return lobe
