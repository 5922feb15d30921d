"""Decimal numbers to whole counts, exactly wherever that is possible."""

from typing import Final

import numpy as np
import numpy.typing as npt

from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Decimals that are kept: of millivolts, 10⁻⁶ is a nanovolt, a thousandth of what any cart resolves.
_MOST_DECIMALS: Final = 6

#: Largest whole number that a double holds exactly.
_EXACT: Final = 2.0**53

#: A number within this of a whole one, relative to its size, was written as a decimal that is.
_SAME: Final = 1e-12


def whole_counts(decimals: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], float]:
    """Write decimals as whole counts of one step.

    The step is the coarsest that writes all of them exactly: 1 for whole numbers, 4.88 for multiples of 4.88;
    where six decimals do not write them, they are rounded there.

    Returns
    -------
    counts : numpy.ndarray
        int64, in the shape of ``decimals``.
    step : float
        ``decimals`` = ``counts`` · ``step``.

    Raises
    ------
    FeedRefusedError
        When one is not finite or too large to be counted.

    >>> counts, step = whole_counts(np.array([4.88, -9.76, 0.0]))
    >>> counts.tolist(), step
    ([1, -2, 0], 4.88)
    """
    peak = float(np.abs(decimals).max(initial=0.0))
    if not peak < _EXACT / 10**_MOST_DECIMALS:
        raise FeedRefusedError(
            "its samples are no voltages: they are beyond all numbers; export it with its calibration",
            RefusalReason.IMPLAUSIBLE_AMPLITUDE,
        )
    n_decimals = next((n for n in range(_MOST_DECIMALS) if _is_whole(decimals * 10**n)), _MOST_DECIMALS)
    counts = np.rint(decimals * 10**n_decimals).astype(np.int64)
    # Whole numbers stay as they are: their common factor is no scale, it is chance.
    common = int(np.gcd.reduce(counts, axis=None)) if n_decimals and counts.size else 1
    return counts // (common or 1), (common or 1) / 10**n_decimals


def _is_whole(numbers: npt.NDArray[np.float64]) -> bool:
    off = np.abs(numbers - np.rint(numbers))
    return bool((off <= _SAME * np.maximum(np.abs(numbers), 1.0)).all())
