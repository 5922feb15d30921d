"""Choose one penalty for each group of inputs, by cross-validation, on a stated grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.training.logistic import Array, LogisticRegression

#: Twice through the groups: the second time each knows what the others have settled on.
_SWEEPS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """One fold: patients to fit on, and patients to judge on.

    Attributes
    ----------
    judged : numpy.ndarray
        float64, (n, n_inputs).
    label : numpy.ndarray
        float64, (n,), 0 or 1, of those to judge on.
    """

    fitted: LogisticRegression
    judged: Array
    label: Array


def choose_penalties(
    pieces: Sequence[Pieces], groups: Sequence[str], grid: Sequence[float]
) -> dict[str, float]:
    """Choose the penalties of the least log-loss: first one for all groups, then each group's in turn.

    Parameters
    ----------
    groups : sequence of str
        (n_inputs,), the group of each input.
    grid : sequence of float
        Positive; of equal losses the larger penalty is chosen.

    Returns
    -------
    dict of str to float
        By group.
    """
    names = list(dict.fromkeys(groups))
    loss = _loss_of(pieces, groups)
    falling = sorted(grid, reverse=True)
    chosen = min((dict.fromkeys(names, penalty) for penalty in falling), key=loss)
    for _ in range(_SWEEPS if len(names) > 1 else 0):
        for name in names:
            chosen = min((chosen | {name: penalty} for penalty in falling), key=loss)
    return chosen


def _loss_of(pieces: Sequence[Pieces], groups: Sequence[str]) -> Callable[[dict[str, float]], float]:
    """Log-loss on those judged, summed over folds; what was asked before is remembered."""
    known: dict[tuple[float, ...], float] = {}
    last: list[Array | None] = [None] * len(pieces)

    def loss(by_group: dict[str, float]) -> float:
        key = tuple(by_group.values())
        if key not in known:
            penalty = np.array([by_group[group] for group in groups])
            total = 0.0
            for i, piece in enumerate(pieces):
                last[i] = theta = piece.fitted.fit(penalty, last[i])
                log_odds = piece.judged @ theta[:-1] + theta[-1]
                total += float(np.sum(np.logaddexp(0.0, log_odds) - piece.label * log_odds))
            known[key] = total
        return known[key]

    return loss
