"""ECGs whose amplitudes have no unit (z-scored sources): taken, and judged, by their shape.

- Each is scaled such that the middle one of its leads has a standard deviation of 0.15 mV; real recordings
  have 0.12–0.22 mV. Every voltage among its features is missing.
- ``CLIPPED`` and ``AMPLITUDE_IMPLAUSIBLE`` are not held against it: the first is what a publisher's cutting
  of extreme values looks like, and would leave out just the hearts with the largest voltages.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from models.features import COLUMN_NAMES
from models.quality import Reason

#: Standard deviation given to the middle lead, µV.
UNITLESS_UV: Final = 150.0
#: What these sources are not judged by.
WAIVED: Final = (Reason.CLIPPED, Reason.AMPLITUDE_IMPLAUSIBLE)

_VOLTAGES: Final = frozenset(i for i, name in enumerate(COLUMN_NAMES) if name.endswith(("_mv", "_mv_ms")))


def scale_uv_per_unit(samples: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """µV to take one unit of each ECG for.

    Parameters
    ----------
    samples : numpy.ndarray
        (n_ecgs, n_rows, n_samples); NaN and infinite samples count as 0.

    Returns
    -------
    numpy.ndarray
        float64, (n_ecgs,); of an ECG without any signal, one that leaves it without.

    Examples
    --------
    >>> scale_uv_per_unit(np.array([[[-2.0, 2.0], [-1.0, 1.0], [-3.0, 3.0]]]))
    array([75.])
    """
    units = np.nan_to_num(np.asarray(samples, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    deviation = np.median(units.std(axis=-1), axis=-1)
    return np.asarray(UNITLESS_UV / np.where(deviation > 0, deviation, 1.0), dtype=np.float64)


def without_voltages(features: list[float]) -> list[float]:
    """Feature row (:data:`models.features.COLUMNS`) whose voltages are missing."""
    return [float("nan") if i in _VOLTAGES else feature for i, feature in enumerate(features)]
