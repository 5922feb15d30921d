"""From the latent state of a simulated heart to what an ECG shows, and to what an echo would find.

Both sides come from the same latent processes and from nothing else of each other: the label is a nonlinear
rule on the echo side with its own measurement noise, so no reading of the ECG can be perfect. The sizes of
the effects are ours, chosen so that an ideal reader of the ECG reaches an AUC of roughly 0.9.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.cohorts.dipole import Array, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What stays with a person: demographics, habitus and how disease would show in them.

    ``leaning`` is how much more (or less) than the severity each process is developed: hypertrophy,
    atrial remodelling, impaired relaxation, conduction. ``voice`` are the person's own deviations of the ECG.
    """

    age_years: float
    is_male: bool
    voltage_gain: float
    leaning: tuple[float, float, float, float]
    voice: tuple[float, ...]
    fibrillation_draw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The latent processes at one moment, 0 healthy to about 1 severe."""

    hypertrophy: float
    atrial: float
    relaxation: float
    conduction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What an echocardiogram of the same moment would have measured, with its own noise."""

    e_prime_cm_s: float
    e_over_e_prime: float
    tr_velocity_m_s: float
    la_volume_index_ml_m2: float
    lv_mass_index_g_m2: float

    @property
    def is_high_risk(self) -> bool:
        """The nonlinear, geometry-informed rule the cohort is labelled by.

        Two of four findings of the 2025 ASE guideline, or one of them in a left ventricle that is
        hypertrophied beyond 115 g/m² with a dilated atrium. In the guideline three are of the first step (e',
        E/e', TR velocity), and LAVI > 34 mL/m² is one of the second, asked when those disagree; here all
        count alike. The rule is the simulation's own and no reading of the guideline.
        """
        findings = (
            (self.e_prime_cm_s <= 6.5)
            + (self.e_over_e_prime >= 14.0)
            + (self.tr_velocity_m_s >= 2.8)
            + (self.la_volume_index_ml_m2 > 34.0)
        )
        remodelled = self.lv_mass_index_g_m2 > 115.0 and self.la_volume_index_ml_m2 > 34.0
        return findings >= 2 or (findings == 1 and remodelled)


_N_VOICES: Final = 10


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draw one adult: age 25–95, mean 62."""
    return Traits(
        age_years=float(np.clip(rng.normal(62.0, 15.0), 25.0, 95.0)),
        is_male=bool(rng.random() < 0.5),
        voltage_gain=float(np.exp(rng.normal(0.0, 0.16))),
        leaning=tuple(rng.normal(0.0, 0.18, 4)),
        voice=tuple(rng.normal(0.0, 1.0, _N_VOICES)),
        fibrillation_draw=float(rng.random()),
    )


def processes(traits: Traits, severity: float) -> Processes:
    """Latent processes of a person at a severity; age adds a little to each."""
    ageing = 0.004 * (traits.age_years - 60.0)
    levels = [float(np.clip(severity + lean + ageing, -0.1, 1.3)) for lean in traits.leaning]
    return Processes(hypertrophy=levels[0], atrial=levels[1], relaxation=levels[2], conduction=levels[3])


def draw_echo(rng: np.random.Generator, traits: Traits, state: Processes) -> Echo:
    """Measure the heart by echo; e' falls about 1 cm/s a decade of age (see Kagiyama, JACC 2020)."""
    e_prime = 11.5 - 0.07 * (traits.age_years - 50.0) - 4.5 * state.relaxation + rng.normal(0.0, 1.2)
    filling = state.relaxation * (0.4 + 0.6 * state.atrial)  # pressure rises when both have gone far
    return Echo(
        e_prime_cm_s=float(max(e_prime, 2.5)),
        e_over_e_prime=float(7.5 + 11.0 * filling + rng.normal(0.0, 2.0)),
        tr_velocity_m_s=float(2.25 + 0.75 * filling + rng.normal(0.0, 0.24)),
        la_volume_index_ml_m2=float(24.0 + 17.0 * state.atrial + rng.normal(0.0, 5.0)),
        lv_mass_index_g_m2=float(
            78.0 + 55.0 * state.hypertrophy + 8.0 * traits.is_male + rng.normal(0.0, 13.0)
        ),
    )


def is_fibrillating(traits: Traits, state: Processes) -> bool:
    """Whether the atria fibrillate: about 1 % of healthy hearts and 20 % of those most remodelled."""
    return traits.fibrillation_draw < 0.01 + 0.19 * max(state.atrial, 0.0) ** 2


def waves(traits: Traits, state: Processes, jitter: Array) -> tuple[Wave, ...]:
    """Waves of one beat of this person in this state.

    Parameters
    ----------
    jitter : numpy.ndarray
        float64, (10,), standard normal: how this recording differs from the person's mean.
    """
    voice = np.array(traits.voice) + 0.25 * jitter
    return (*_p_waves(voice, state), *_qrs_waves(traits, voice, state), *_t_waves(traits, voice, state))


def _p_waves(voice: Array, state: Processes) -> tuple[Wave, ...]:
    pr_ms = 152.0 + 18.0 * state.atrial + 14.0 * voice[0]
    lag_ms = 25.0 + 8.0 * state.atrial + 3.0 * voice[1]  # left atrium after right: the P grows longer
    left_mv = 0.030 + 0.055 * state.atrial + 0.009 * voice[2]  # and its terminal part in V1 deeper
    right_at_ms = -pr_ms  # P begins 40 ms before its peak, and QRS as long before R
    return (
        Wave(
            name="P right",
            at_ms=right_at_ms,
            sigma_ms=17.0 + 4.0 * state.atrial,
            xyz_mv=(0.045, 0.090, -0.030),
            atrial=True,
        ),
        Wave(
            name="P left",
            at_ms=right_at_ms + lag_ms,
            sigma_ms=17.0 + 6.0 * state.atrial,
            xyz_mv=(0.060, 0.075, left_mv),
            atrial=True,
        ),
    )


def _qrs_waves(traits: Traits, voice: Array, state: Processes) -> tuple[Wave, ...]:
    size = traits.voltage_gain * (1.0 + 0.06 * traits.is_male) * (1.0 + 0.55 * state.hypertrophy)
    wide = 0.84 + 0.17 * state.conduction + 0.05 * voice[3]
    tilt = np.deg2rad(38.0 - 38.0 * state.conduction + 15.0 * voice[4])  # frontal axis, 0 is to the left
    back = 0.30 + 0.15 * voice[5]
    main_mv = 1.15 * size
    terminal = np.array([-0.10, -0.20 + 0.10 * voice[6], 0.16]) * size
    return (
        Wave(name="Q", at_ms=-24.0 * wide, sigma_ms=7.5 * wide, xyz_mv=(-0.14 * size, -0.04, -0.26 * size)),
        Wave(
            name="R",
            at_ms=0.0,
            sigma_ms=10.5 * wide,
            xyz_mv=(main_mv * np.cos(tilt), main_mv * np.sin(tilt), main_mv * back),
        ),
        Wave(name="R late", at_ms=15.0 * wide, sigma_ms=9.5 * wide, xyz_mv=(0.20 * size, 0.02, 0.62 * size)),
        Wave(
            name="S", at_ms=33.0 * wide, sigma_ms=8.5 * wide, xyz_mv=(terminal[0], terminal[1], terminal[2])
        ),
    )


def _t_waves(traits: Traits, voice: Array, state: Processes) -> tuple[Wave, ...]:
    flat = 1.0 - 0.75 * state.relaxation - 0.15 * state.hypertrophy + 0.22 * voice[7]
    strain = max(state.hypertrophy - 0.55, 0.0)  # ST depression and a turned T, late in hypertrophy
    long_ms = 285.0 + 24.0 * state.relaxation + 10.0 * (not traits.is_male) + 11.0 * voice[8]
    size = traits.voltage_gain * (0.9 + 0.2 * traits.is_male)
    t_mv = np.array([0.26 * flat - 0.30 * strain, 0.17 * flat, -0.20 * flat - 0.08 * strain]) * size
    t_xyz = (float(t_mv[0]), float(t_mv[1]), float(t_mv[2]))
    early = (0.45 * t_xyz[0], 0.45 * t_xyz[1], 0.45 * t_xyz[2])  # a slow rise before the steeper fall
    st_mv = 0.02 - 0.14 * strain + 0.008 * voice[9]
    return (
        Wave(name="ST", at_ms=130.0, sigma_ms=42.0, xyz_mv=(st_mv, 0.5 * st_mv, -0.03 - 0.05 * strain)),
        Wave(name="T early", at_ms=long_ms - 62.0, sigma_ms=42.0, xyz_mv=early),
        Wave(name="T", at_ms=long_ms, sigma_ms=31.0, xyz_mv=t_xyz),
    )
