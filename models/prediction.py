"""One ECG's answer: rounded, so that the batch an ECG happened to be scored in cannot change a decision."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from models.features import PARTS
from models.motion_measurements import MOTION_COLUMNS, N_VELOCITIES
from models.scorer import RowLayout
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS, Contribution, Motion

#: Ends of the interval as quantiles of the heads: 90 % between them.
INTERVAL_QUANTILES: Final = (0.05, 0.95)
#: Finer than any decision needs, coarser than what padding and batch mates move (1e-6).
DECIMALS: Final = 4
#: Of times in ms: interpolated places of a curve move by 1e-4 ms.
_DECIMALS_MS: Final = 1

_DEVIATIONS: Final = tuple(name.replace("_cm_s", "_sd_cm_s") for name in MOTION_COLUMNS[:N_VELOCITIES])

Row = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The model's answer to one ECG.

    Attributes
    ----------
    probability, probability_low, probability_high : float
        Calibrated probability of the high-risk phenotype, with its 90 % interval; 4 decimals.
    contributions : tuple of Contribution
        Log-odds by part against the reference population, largest first.
    motion : Motion or None
        Synthetic tissue Doppler; None for an ECG without a median beat.
    """

    probability: float
    probability_low: float
    probability_high: float
    contributions: tuple[Contribution, ...]
    motion: Motion | None = None


def prediction_of(row: Row, layout: RowLayout) -> Prediction:
    """Make one row of the scorer a prediction."""
    log_odds = row[layout.log_odds]
    middle = float(log_odds.mean())
    low, high = np.quantile(log_odds, INTERVAL_QUANTILES)
    parts = [
        Contribution(name=name, log_odds=round(float(moved), DECIMALS))
        for name, moved in zip(PARTS, row[layout.contributions], strict=True)
    ]
    return Prediction(
        probability=_probability(middle),
        probability_low=_probability(min(float(low), middle)),
        probability_high=_probability(max(float(high), middle)),
        contributions=tuple(sorted(parts, key=lambda part: -abs(part.log_odds))),
        motion=_motion(row[layout.curves], row[layout.motion], row[layout.deviation]),
    )


def _probability(log_odds: float) -> float:
    return round(float(expit(log_odds)), DECIMALS)


def _motion(curves: Row, measured: Row, deviation: Row) -> Motion | None:
    if not np.isfinite(curves).all():
        return None
    numbers = dict(zip(MOTION_COLUMNS, measured, strict=True))
    # What is absent has no uncertainty either.
    stated = np.where(np.isfinite(measured[:N_VELOCITIES]), deviation, np.nan)
    numbers |= dict(zip(_DEVIATIONS, stated, strict=True))
    return Motion(
        velocities_cm_s=curves.round(DECIMALS).astype(np.float32).reshape(MOTION_WALLS, MOTION_SAMPLES),
        **{name: _rounded(name, number) for name, number in numbers.items()},
    )


def _rounded(name: str, number: float) -> float | None:
    decimals = _DECIMALS_MS if name.endswith("_ms") else DECIMALS
    return round(float(number), decimals) if np.isfinite(number) else None
