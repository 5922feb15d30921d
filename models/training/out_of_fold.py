"""What a procedure says of patients it has not seen, each in the fold that was left out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from models.heads_plan import HeadsPlan
from models.progress import Progress, silent
from models.training.heads import Rows, fit_ensemble, row_patients
from models.training.logistic import Array
from models.training.splits import Keys, patient_folds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutOfFold:
    """Out-of-fold answers, row by row.

    Attributes
    ----------
    log_odds, probability : numpy.ndarray
        float64, (n,), calibrated.
    fold : numpy.ndarray
        int64, (n,): the fold the row was left out in.
    penalties : tuple of dict of str to float
        What each fold chose, by group of inputs.
    """

    log_odds: Array
    probability: Array
    fold: Rows
    penalties: tuple[dict[str, float], ...]


def out_of_fold(
    embedding: npt.NDArray[np.float32],
    motion: npt.NDArray[np.float32],
    features: npt.NDArray[np.float32],
    label: npt.NDArray[np.floating],
    plan: HeadsPlan,
    seed: int,
    groups: Keys | None = None,
    n_folds: int = 10,
    progress: Progress = silent,
) -> OutOfFold:
    """Judge a plan by cross-validation over patients.

    Standardisation, choice of penalties and calibration happen anew within each fold's patients, as
    :func:`models.training.heads.fit_ensemble` does them. The same seed and patients give the same folds
    whatever the plan, so that answers of two plans are paired.

    Parameters
    ----------
    embedding, motion, features, label, groups : numpy.ndarray
        As :func:`models.training.heads.fit_ensemble` takes them.
    """
    patients = row_patients(groups, len(label))
    fold = patient_folds(patients, n_folds, seed, label)
    log_odds = np.zeros(len(label))
    penalties = []
    for k in range(n_folds):
        progress("cross-validate", k / n_folds)
        train = fold != k
        fitted = fit_ensemble(
            embedding[train], motion[train], features[train], label[train], plan, seed + k, patients[train]
        )
        log_odds[~train] = fitted.log_odds(embedding[~train], motion[~train], features[~train])
        penalties.append(fitted.penalties)
    return OutOfFold(log_odds=log_odds, probability=expit(log_odds), fold=fold, penalties=tuple(penalties))
