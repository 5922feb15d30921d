"""The cart at the bedside: electrodes, noise, sample rate, resolution, and what goes wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from models.cohorts.dipole import Array, leads_12

#: The heart is drawn at this rate and then resampled, so that a recording is the same one at any rate.
DRAWN_RATE_HZ: Final = 500.0
#: Drawn before and after the recording and cut off again, with the border effects of the resampling filter.
MARGIN_S: Final = 0.5

_N_ELECTRODES: Final = 9  # RA, LA, LL, V1–V6
#: Rows of the eight leads over the electrodes: I = LA − RA, II = LL − RA, V = V − (RA + LA + LL)/3.
_LEADS_OF_ELECTRODES: Final[Array] = np.vstack(
    [
        [[-1, 1, 0] + [0] * 6, [-1, 0, 1] + [0] * 6],
        np.hstack([np.full((6, 3), -1 / 3), np.eye(6)]),
    ]
)


class Fault(StrEnum):
    """What makes a recording unusable, or usable with care."""

    LEAD_OFF = "LEAD_OFF"
    NOISE = "NOISE"
    TOO_SHORT = "TOO_SHORT"
    PACED = "PACED"
    ARM_SWAP = "ARM_SWAP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """One cart.

    Attributes
    ----------
    uv_per_unit : float
        Microvolts per unit; the lowest bit of I and II is kept 0, so that the augmented leads are exact.
    mains_hz : float
        50 or 60.
    noise_uv : float
        Standard deviation of the electrodes' muscle noise.
    highpass_hz, lowpass_hz : float
        The cart's own filters, half power: a single pole, whose phase shift bends ST where it lies too high,
        and a Butterworth of order 4 without phase shift. 0 and infinity leave the signal as it is.
    """

    device_id: str = "SIM-CART-1"
    sample_rate_hz: float = 500.0
    uv_per_unit: float = 1.25
    mains_hz: float = 50.0
    noise_uv: float = 8.0
    duration_s: float = 10.0
    highpass_hz: float = 0.0
    lowpass_hz: float = float("inf")


#: Four makes of cart. The first three record the cohorts that are trained on; the fourth, with an ST-bending
#: filter, a low upper limit and more noise, is met for the first time in the external cohort.
RECORDERS: Final = (
    Recorder(
        device_id="SIM-CART-1", sample_rate_hz=500.0, uv_per_unit=1.25, highpass_hz=0.05, lowpass_hz=150.0
    ),
    Recorder(
        device_id="SIM-CART-2",
        sample_rate_hz=250.0,
        uv_per_unit=4.88,
        mains_hz=60.0,
        highpass_hz=0.05,
        lowpass_hz=100.0,
    ),
    Recorder(device_id="SIM-CART-3", sample_rate_hz=1000.0, uv_per_unit=1.0, noise_uv=6.0, highpass_hz=0.15),
    Recorder(
        device_id="SIM-CART-4",
        sample_rate_hz=400.0,
        uv_per_unit=2.5,
        mains_hz=60.0,
        noise_uv=12.0,
        highpass_hz=0.5,
        lowpass_hz=40.0,
    ),
)


def electrode_noise_mv(rng: np.random.Generator, recorder: Recorder, n_samples: int, rate_hz: float) -> Array:
    """Noise of the eight leads: muscle (15–100 Hz), breathing and wander, mains.

    Drawn for the nine electrodes and led off like the heart, so that it obeys Einthoven's law too.

    Returns
    -------
    numpy.ndarray
        float64, (8, n_samples), mV.
    """
    frequency_hz = np.fft.rfftfreq(n_samples, 1.0 / rate_hz)
    time_s = np.arange(n_samples) / rate_hz
    spectrum = np.fft.rfft(rng.standard_normal((_N_ELECTRODES, n_samples)), axis=1)
    muscle = np.fft.irfft(spectrum * ((frequency_hz > 15.0) & (frequency_hz < 100.0)), n_samples, axis=1)
    level_mv = recorder.noise_uv / 1000.0 * np.exp(rng.normal(0.0, 0.4, (_N_ELECTRODES, 1)))
    wander = np.zeros((_N_ELECTRODES, n_samples))
    for low_hz, high_hz, size_mv in ((0.05, 0.15, 0.10), (0.18, 0.33, 0.05)):
        phase = 2 * np.pi * (rng.uniform(low_hz, high_hz) * time_s + rng.random((_N_ELECTRODES, 1)))
        wander += size_mv * np.abs(rng.standard_normal((_N_ELECTRODES, 1))) * np.sin(phase)
    mains_mv = 0.006 * np.abs(rng.standard_normal((_N_ELECTRODES, 1)))
    mains = mains_mv * np.sin(2 * np.pi * (recorder.mains_hz * time_s + rng.random()))
    return _LEADS_OF_ELECTRODES @ (level_mv * muscle + wander + mains)


def filtered_mv(leads_mv: Array, recorder: Recorder, rate_hz: float) -> Array:
    """Leads after the cart's own filters: float64, (8, n_samples), mV."""
    n_samples = leads_mv.shape[1]
    frequency_hz = np.fft.rfftfreq(n_samples, 1.0 / rate_hz)
    low = 1.0 / np.sqrt(1.0 + (frequency_hz / recorder.lowpass_hz) ** 8)
    high = np.ones_like(frequency_hz, dtype=np.complex128)
    if recorder.highpass_hz > 0.0:
        high = 1j * frequency_hz / (1j * frequency_hz + recorder.highpass_hz)
    passed: Array = np.fft.irfft(np.fft.rfft(leads_mv, axis=1) * (low * high), n_samples, axis=1)
    return passed


def _lead_off(rng: np.random.Generator, leads_mv: Array) -> Array:
    out = leads_mv.copy()
    out[2 + int(rng.integers(6))] = 0.0  # one chest electrode
    return out


def _noise(rng: np.random.Generator, leads_mv: Array) -> Array:
    return leads_mv + _LEADS_OF_ELECTRODES @ rng.normal(0.0, 0.6, (_N_ELECTRODES, leads_mv.shape[1]))


def _too_short(rng: np.random.Generator, leads_mv: Array) -> Array:
    return leads_mv[:, : int(leads_mv.shape[1] * rng.uniform(0.2, 0.4))]


def _arm_swap(rng: np.random.Generator, leads_mv: Array) -> Array:
    out = leads_mv.copy()
    out[0], out[1] = -leads_mv[0], leads_mv[1] - leads_mv[0]  # I turns over, II and III change places
    return out


#: Pacing changes the heart, not the cart: see :mod:`models.cohorts.simulated`.
_SPOIL: Final[dict[Fault, Callable[[np.random.Generator, Array], Array]]] = {
    Fault.LEAD_OFF: _lead_off,
    Fault.NOISE: _noise,
    Fault.TOO_SHORT: _too_short,
    Fault.ARM_SWAP: _arm_swap,
}


def acquire(
    rng: np.random.Generator, leads_8_mv: Array, recorder: Recorder, fault: Fault | None
) -> npt.NDArray[np.int16]:
    """Record eight drawn leads the way the cart does.

    Parameters
    ----------
    leads_8_mv : numpy.ndarray
        float64, (8, n_samples), mV at :data:`DRAWN_RATE_HZ`, with :data:`MARGIN_S` on both sides.

    Returns
    -------
    numpy.ndarray
        int16, (12, duration × rate), units of ``recorder.uv_per_unit`` µV; read-only. III, aVR, aVL and
        aVF are exact sums of I and II.
    """
    noisy_mv = leads_8_mv + electrode_noise_mv(rng, recorder, leads_8_mv.shape[1], DRAWN_RATE_HZ)
    noisy_mv = filtered_mv(noisy_mv, recorder, DRAWN_RATE_HZ)
    ratio = Fraction(recorder.sample_rate_hz / DRAWN_RATE_HZ).limit_denominator(1000)
    sampled_mv = resample_poly(noisy_mv, ratio.numerator, ratio.denominator, axis=1)
    first = round(MARGIN_S * recorder.sample_rate_hz)
    sampled_mv = sampled_mv[:, first : first + round(recorder.duration_s * recorder.sample_rate_hz)]
    if fault in _SPOIL:
        sampled_mv = _SPOIL[fault](rng, sampled_mv)
    units = sampled_mv * 1000.0 / recorder.uv_per_unit
    units[:2] = 2.0 * np.round(units[:2] / 2.0)
    samples = leads_12(np.round(np.clip(units, -15000, 15000)).astype(np.int16)).astype(np.int16)
    samples.setflags(write=False)
    return samples
