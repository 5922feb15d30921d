"""The ROC curve at evenly spaced false-positive rates: small enough to keep, fine enough to draw."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.estimate import FloatArray

_N_POINTS: Final = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class RocCurve:
    """Sensitivity against 1 − specificity."""

    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]


def roc_curve(label: FloatArray, score: FloatArray, n_points: int = _N_POINTS) -> RocCurve:
    """Take sensitivity at ``n_points`` false-positive rates from 0 to 1; ties give a slope, as in the AUC.

    >>> roc_curve(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.4]), 3).true_positive
    (0.5, 1.0, 1.0)
    """
    distinct, at = np.unique(-score, return_inverse=True)
    true, false = (
        np.concatenate([[0.0], np.cumsum(np.bincount(at, own, len(distinct))) / own.sum()])
        for own in (label, 1.0 - label)
    )
    grid = np.linspace(0.0, 1.0, n_points)
    # Where the curve is vertical its upper end counts; between two points of it lies a straight line.
    upper = np.searchsorted(false, grid, side="right") - 1
    nearest = np.minimum(upper + 1, len(false) - 1)
    run = false[nearest] - false[upper]
    share = np.divide(grid - false[upper], run, out=np.zeros(n_points), where=run > 0)
    found = true[upper] + share * (true[nearest] - true[upper])
    return RocCurve(false_positive=tuple(grid.tolist()), true_positive=tuple(found.tolist()))
