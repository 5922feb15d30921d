"""Waves of one beat: what the state of the heart does to the ECG, beside the person's own voice.

What is known to change (signs and rough sizes; the sizes are ours): a remodelled left atrium lengthens P and
deepens its terminal force in V1 (Morris 1964); hypertrophy raises voltages and, late, strains ST and T;
impaired relaxation goes with flatter T and longer QT; conduction disease widens QRS and turns the axis left;
age lowers T and turns the axis left.
"""

from typing import Final

import numpy as np

from models.cohorts.dipole import Array, Wave
from models.cohorts.heart import Block, HeartState, Traits

#: How much of a voice differs between two recordings of the same person.
_RECORDING_SHARE: Final = 0.25


def waves(traits: Traits, state: HeartState, jitter: Array) -> tuple[Wave, ...]:
    """Waves of one beat of this person in this state.

    Parameters
    ----------
    jitter : numpy.ndarray
        float64, (N_VOICES,), standard normal: how this recording differs from the person's mean.
    """
    voice = _heard(traits, jitter)
    return (*_p_waves(voice, state), *_qrs_waves(traits, voice, state), *_t_waves(traits, voice, state))


def paced_waves() -> tuple[Wave, ...]:
    """Waves of one beat paced from the right ventricle: a spike, a wide QRS and a T against it, no P."""
    return (
        Wave(name="pacing spike", at_ms=-75.0, sigma_ms=1.2, xyz_mv=(1.2, -1.6, -0.6)),
        Wave(name="paced QRS", at_ms=0.0, sigma_ms=34.0, xyz_mv=(1.0, -1.1, 0.9)),
        Wave(name="paced T", at_ms=260.0, sigma_ms=48.0, xyz_mv=(-0.35, 0.40, -0.45)),
    )


def pr_ms(traits: Traits, state: HeartState, jitter: Array) -> float:
    """Onset of P to onset of QRS, ms; same arguments as :func:`waves`."""
    return _pr_ms(_heard(traits, jitter), state)


def _heard(traits: Traits, jitter: Array) -> Array:
    voice: Array = np.array(traits.voice) + _RECORDING_SHARE * jitter
    return voice


def _pr_ms(voice: Array, state: HeartState) -> float:
    return float(150.0 + 16.0 * state.atrial + 8.0 * state.conduction + 17.0 * voice[0])


def _p_waves(voice: Array, state: HeartState) -> tuple[Wave, ...]:
    atrial = state.atrial
    lag_ms = 26.0 + 8.0 * atrial + 6.0 * voice[1]  # left atrium after right: the P grows longer
    left_mv = 0.034 + 0.042 * atrial + 0.021 * voice[2]  # and its terminal part in V1 deeper
    right_at_ms = -_pr_ms(voice, state)  # P begins 40 ms before its peak, and QRS as long before R
    size = 1.0 + 0.18 * voice[3]
    right = (0.045 * size, 0.090 * size, -0.030 * size)
    left = (0.060 * size, 0.075 * size, left_mv)
    return (
        Wave(name="P right", at_ms=right_at_ms, sigma_ms=17.0 + 2.0 * atrial, xyz_mv=right, atrial=True),
        Wave(
            name="P left",
            at_ms=right_at_ms + lag_ms,
            sigma_ms=17.0 + 4.0 * atrial + 1.5 * voice[4],
            xyz_mv=left,
            atrial=True,
        ),
    )


def _qrs_waves(traits: Traits, voice: Array, state: HeartState) -> tuple[Wave, ...]:
    size = traits.voltage_gain * (1.0 + 0.06 * traits.is_male) * (1.0 + 0.40 * state.hypertrophy)
    wide = 0.86 + 0.10 * state.conduction + 0.02 * traits.is_male + 0.075 * voice[5]
    ageing = 0.25 * (traits.age_years - 60.0)
    tilt = np.deg2rad(
        38.0 - 20.0 * state.conduction - ageing + 17.0 * voice[6]
    )  # frontal axis, 0 to the left
    back = 0.30 + 0.06 * state.hypertrophy + 0.16 * voice[7]
    main_mv = 1.15 * size
    narrow = (
        Wave(name="Q", at_ms=-24.0 * wide, sigma_ms=7.5 * wide, xyz_mv=(-0.14 * size, -0.04, -0.26 * size)),
        Wave(
            name="R",
            at_ms=0.0,
            sigma_ms=10.5 * wide,
            xyz_mv=(main_mv * np.cos(tilt), main_mv * np.sin(tilt), main_mv * back),
        ),
        Wave(name="R late", at_ms=15.0 * wide, sigma_ms=9.5 * wide, xyz_mv=(0.20 * size, 0.02, 0.62 * size)),
        Wave(
            name="S",
            at_ms=33.0 * wide,
            sigma_ms=8.5 * wide,
            xyz_mv=(-0.10 * size, (-0.20 + 0.10 * voice[8]) * size, 0.16 * size),
        ),
    )
    return (*narrow, *_block_waves(state.block, size))


def _block_waves(block: Block, size: float) -> tuple[Wave, ...]:
    """Late forces of the ventricle activated last: to the right and front, or to the left and back."""
    match block:
        case Block.RIGHT:
            late = (-0.42 * size, 0.02 * size, -0.52 * size)
            return (Wave(name="RBBB", at_ms=58.0, sigma_ms=15.0, xyz_mv=late),)
        case Block.LEFT:
            late = (0.62 * size, -0.05 * size, 0.55 * size)
            return (Wave(name="LBBB", at_ms=52.0, sigma_ms=19.0, xyz_mv=late),)
        case Block.NONE:
            return ()


def _t_waves(traits: Traits, voice: Array, state: HeartState) -> tuple[Wave, ...]:
    ageing = 0.004 * (traits.age_years - 60.0)
    flat = 1.0 - 0.46 * state.relaxation - 0.10 * state.hypertrophy - ageing + 0.26 * voice[9]
    strain = max(state.hypertrophy - 0.60, 0.0)  # ST depression and a turned T, late in hypertrophy
    strain += 0.35 * (state.block is Block.LEFT)  # and in left bundle-branch block, by the altered activation
    long_ms = 285.0 + 15.0 * state.relaxation + 10.0 * (not traits.is_male) + 13.0 * voice[10]
    size = traits.voltage_gain * (0.9 + 0.2 * traits.is_male)
    x, y, z = np.array([0.26 * flat - 0.24 * strain, 0.17 * flat, -0.20 * flat - 0.06 * strain]) * size
    z += 0.05 * voice[11] * size
    early = (0.45 * x, 0.45 * y, 0.45 * z)  # a slow rise before the steeper fall
    st_mv = 0.02 - 0.11 * strain + 0.012 * voice[12]
    return (
        Wave(name="ST", at_ms=130.0, sigma_ms=42.0, xyz_mv=(st_mv, 0.5 * st_mv, -0.03 - 0.05 * strain)),
        Wave(name="T early", at_ms=long_ms - 62.0, sigma_ms=42.0, xyz_mv=early),
        Wave(name="T", at_ms=long_ms, sigma_ms=31.0, xyz_mv=(float(x), float(y), float(z))),
    )
