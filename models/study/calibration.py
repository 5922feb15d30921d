"""Does a probability mean what it says: slope, intercept, Brier score, binned curve.

Sources: Cox, Biometrika 45 (1958) 562, for slope and intercept; Van Calster et al., BMC Med. 17 (2019) 230,
for what each of them says; Brier, Mon. Weather Rev. 78 (1950) 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from models.study.estimate import BoolArray, Estimate, FloatArray, share_interval
from models.study.regression import design, logistic

Rows = npt.NDArray[np.integer]

#: Bins of equal numbers: of 1 000 people each holds 100, whose share has an interval of ± 0.1 at most.
N_BINS: Final = 10
#: A probability of exactly 0 or 1 has no log-odds; beyond this it is taken as this.
_NEAREST: Final = 1e-6
#: So many cohorts drawn from the probabilities themselves say what error chance alone makes.
_N_CHANCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """People of similar probability: how many, what they were told, and what came of them."""

    n: int
    mean_probability: float
    observed: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How well probabilities are calibrated.

    Attributes
    ----------
    slope : Estimate or None
        1 is right; below, probabilities are too extreme, above, too timid. None where it has no maximum.
    intercept : Estimate or None
        Calibration in the large, log-odds: 0 is right; below, probabilities are too high on the whole.
    brier, scaled_brier : float
        Mean squared error; and the share of it that the cohort's prevalence told to everybody would have left
        and the model takes away, 1 at best and below 0 where it does harm.
    expected_error, expected_error_by_chance : float
        Mean distance of the bins from the diagonal, weighted by their people; and its mean in cohorts whose
        outcomes are drawn from the probabilities themselves, so calibrated perfectly. It is never 0.
    """

    slope: Estimate | None
    intercept: Estimate | None
    brier: float
    scaled_brier: float
    expected_error: float
    expected_error_by_chance: float
    bins: tuple[CalibrationBin, ...]


def calibration(
    label: FloatArray, probability: FloatArray, *, n_bins: int = N_BINS, seed: int = 0
) -> Calibration:
    """Judge probabilities, (n,), against labels, (n,) 0 or 1; bins by quantile, intervals of Wilson."""
    log_odds = logit(np.clip(probability, _NEAREST, 1 - _NEAREST))
    sloped = logistic(design(log_odds), label)
    shifted = logistic(np.ones((len(label), 1)), label, offset=log_odds)
    brier = float(np.mean((probability - label) ** 2))
    spread = float(label.mean() * (1 - label.mean()))
    members = np.array_split(np.argsort(probability, kind="stable"), min(n_bins, len(label)))
    chance = np.random.default_rng(seed).random((_N_CHANCE, len(label))) < probability
    return Calibration(
        slope=sloped.difference(1) if sloped else None,
        intercept=shifted.difference(0) if shifted else None,
        brier=brier,
        scaled_brier=1 - brier / spread if spread else float("nan"),
        expected_error=float(_expected_error(members, label[None], probability)[0]),
        expected_error_by_chance=float(_expected_error(members, chance, probability).mean()),
        bins=tuple(
            CalibrationBin(
                n=len(rows),
                mean_probability=float(probability[rows].mean()),
                observed=share_interval(int(label[rows].sum()), len(rows)),
            )
            for rows in members
        ),
    )


def _expected_error(
    members: Sequence[Rows], labels: FloatArray | BoolArray, probability: FloatArray
) -> FloatArray:
    """Of several sets of labels, (k, n), the expected calibration error; (k,)."""
    gaps = [len(rows) * np.abs(labels[:, rows].mean(axis=1) - probability[rows].mean()) for rows in members]
    return np.asarray(np.sum(gaps, axis=0) / len(probability))
