"""How far two bundles agree on the same ECGs."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from schemas.risk import Phenotype, RiskAssessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two bundles' answers to the same ECGs, second against first.

    Attributes
    ----------
    n : int
        ECGs both were asked about.
    n_scored : int
        ECGs both scored; all below is of these. None is what cannot be computed of so few.
    only_first_scored, only_second_scored : int
        ECGs one of them did not score.
    agreement : float or None
        Share with the same phenotype.
    mean_difference, mean_absolute_difference, max_absolute_difference : float or None
        Of the probability, second less first.
    to_high, to_low : int
        ECGs LOW by the first and HIGH by the second, and the other way round.
    correlation : float or None
        Pearson's, of the probabilities.
    """

    n: int
    n_scored: int
    only_first_scored: int
    only_second_scored: int
    agreement: float | None
    mean_difference: float | None
    mean_absolute_difference: float | None
    max_absolute_difference: float | None
    to_high: int
    to_low: int
    correlation: float | None


def compare_assessments(pairs: Iterable[tuple[RiskAssessed, RiskAssessed]]) -> Agreement:
    """Compare two bundles' assessments.

    Parameters
    ----------
    pairs : iterable of tuple of RiskAssessed
        Of one ECG each: what the first bundle said, and what the second did.

    Raises
    ------
    ValueError
        When a pair is not of one ECG.
    """
    paired = list(pairs)
    for first, second in paired:
        if first.ecg_id != second.ecg_id:
            raise ValueError("the assessments of a pair are of different ECGs")
    scored = [
        (first, second, first.probability, second.probability)
        for first, second in paired
        if first.probability is not None and second.probability is not None
    ]
    probabilities = np.array([(one, other) for _, _, one, other in scored]).reshape(len(scored), 2)
    difference = probabilities[:, 1] - probabilities[:, 0]
    changes = [(first.phenotype, second.phenotype) for first, second, _, _ in scored]
    some = bool(scored)
    return Agreement(
        n=len(paired),
        n_scored=len(scored),
        only_first_scored=_scored_by_one(paired),
        only_second_scored=_scored_by_one((second, first) for first, second in paired),
        agreement=sum(one is other for one, other in changes) / len(scored) if some else None,
        mean_difference=float(difference.mean()) if some else None,
        mean_absolute_difference=float(np.abs(difference).mean()) if some else None,
        max_absolute_difference=float(np.abs(difference).max()) if some else None,
        to_high=changes.count((Phenotype.LOW, Phenotype.HIGH)),
        to_low=changes.count((Phenotype.HIGH, Phenotype.LOW)),
        correlation=_correlation(probabilities),
    )


def _scored_by_one(pairs: Iterable[tuple[RiskAssessed, RiskAssessed]]) -> int:
    return sum(one.probability is not None and other.probability is None for one, other in pairs)


def _correlation(probabilities: np.ndarray) -> float | None:
    if len(probabilities) < 2 or not (probabilities.std(axis=0) > 0.0).all():
        return None
    return float(np.corrcoef(probabilities.T)[0, 1])
