"""The heart as one moving dipole: waves in space, summed over beats, seen by eight leads.

Frame of Frank: x to the left, y to the feet, z to the back. A wave is a Gaussian in time and a vector in
space; QRS, P and T are a few of them each. Which leads see what is then physics, not choice: Einthoven's law
holds because III is never drawn, only computed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.leads import DERIVED_FROM_I_II, LEADS_8, LEADS_12

Array = npt.NDArray[np.float64]

#: What each of :data:`schemas.leads.LEADS_8` sees of (x, y, z).
#: Dower, Machado, Osborne 1980, J Electrocardiol 13:111.
LEAD_VECTORS: Final[Array] = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

#: Standard deviations after which a Gaussian is cut off; e^(-4²/2) is 0.03 % of the peak, below 1 µV.
_REACH_SIGMA: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One Gaussian wave of the dipole.

    Attributes
    ----------
    at_ms : float
        Time of its peak, from the R peak of its beat.
    sigma_ms : float
        Standard deviation in time.
    xyz_mv : tuple of float
        Peak of the dipole in the frame of Frank, mV.
    atrial : bool
        Whether it is missing when the atria fibrillate.
    """

    name: str
    at_ms: float
    sigma_ms: float
    xyz_mv: tuple[float, float, float]
    atrial: bool = False


def wave_train(
    wave: Wave, r_times_s: Array, gains: Array, stretches: Array, n_samples: int, rate_hz: float
) -> Array:
    """Sum one wave over all beats.

    Parameters
    ----------
    r_times_s, gains, stretches : numpy.ndarray
        float64, (n_beats,): R peaks in seconds from sample 0, relative size of the wave in each beat, and the
        factor on ``at_ms`` (1 but for repolarisation, which follows the heart rate).

    Returns
    -------
    numpy.ndarray
        float64, (n_samples,), relative to ``wave.xyz_mv``. Beats outside the window contribute their tails.
    """
    centres = (r_times_s + wave.at_ms * stretches / 1000.0) * rate_hz  # (beats,), samples
    sigma = wave.sigma_ms / 1000.0 * rate_hz
    half = int(np.ceil(_REACH_SIGMA * sigma)) + 1
    index = np.round(centres)[:, None].astype(np.int64) + np.arange(-half, half + 1)  # (beats, window)
    shape = gains[:, None] * np.exp(-0.5 * ((index - centres[:, None]) / sigma) ** 2)
    inside = (index >= 0) & (index < n_samples)
    train: Array = np.bincount(index[inside], weights=shape[inside], minlength=n_samples).astype(np.float64)
    return train


def leads_12(leads_8: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Complete eight leads to twelve.

    Parameters
    ----------
    leads_8 : numpy.ndarray
        (8, n_samples), any unit. Of integers, I and II must be even: the augmented leads
        are then exact halves.

    Returns
    -------
    numpy.ndarray
        (12, n_samples), the same type, in the order of :data:`schemas.leads.LEADS_12`.
    """
    rows = dict(zip(LEADS_8, leads_8, strict=True))
    lead_i, lead_ii = rows["I"], rows["II"]
    for name, (of_i, of_ii) in DERIVED_FROM_I_II.items():
        rows[name] = (of_i * lead_i + of_ii * lead_ii).astype(leads_8.dtype)
    return np.stack([rows[name] for name in LEADS_12])
