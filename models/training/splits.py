"""Splits by patient: whoever is in one part with one ECG is in it with all.

Which part that is follows from a hash of seed and patient, and from who else is there; never from the order
of rows.
"""

from hashlib import sha256

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError

Keys = npt.NDArray[np.str_]


def patient_folds(
    patient_keys: Keys, k: int, seed: int, strata: npt.NDArray[np.floating] | None = None
) -> npt.NDArray[np.int64]:
    """Deal patients into ``k`` folds of equal size.

    Parameters
    ----------
    patient_keys : numpy.ndarray
        str, (n,): the patient of each row.
    strata : numpy.ndarray, optional
        (n,): e.g. the label, of which each fold shall hold the same share; a patient counts with the highest
        of all rows, NaN is a stratum of its own.

    Returns
    -------
    numpy.ndarray
        int64, (n,): the fold of each row, 0 to k − 1. Numbers of patients, in all and of each stratum, differ
        by at most one between folds.

    Raises
    ------
    ConfigurationError
        When there are fewer patients than folds, or fewer than two folds.
    """
    patients, of_row = _patients(patient_keys)
    if not 2 <= k <= len(patients):
        raise ConfigurationError(f"{len(patients)} patients cannot be dealt into {k} folds of at least one")
    levels = np.zeros(len(patients)) if strata is None else _highest(strata, of_row, len(patients))
    # Dealt stratum by stratum without a break, so that no fold is the first of each.
    order = sorted(range(len(patients)), key=lambda i: (levels[i], _hash(seed, str(patients[i]))))
    folds = np.empty(len(patients), dtype=np.int64)
    folds[order] = np.arange(len(patients)) % k
    dealt: npt.NDArray[np.int64] = folds[of_row]
    return dealt


def holdout(patient_keys: Keys, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose patients to be kept out of training.

    Parameters
    ----------
    share : float
        Of the patients, above 0 and below 1; at least one is kept out, and one is not.

    Returns
    -------
    numpy.ndarray
        bool, (n,): True where the row's patient is kept out. Of two shares the larger holds the smaller.

    Raises
    ------
    ConfigurationError
        When there are fewer than two patients, or the share is none.
    """
    patients, of_row = _patients(patient_keys)
    if len(patients) < 2 or not 0.0 < share < 1.0:
        raise ConfigurationError(f"of {len(patients)} patients a share of {share:g} cannot be kept out")
    n_out = min(max(round(share * len(patients)), 1), len(patients) - 1)
    order = sorted(range(len(patients)), key=lambda i: _hash(seed, str(patients[i])))
    is_out = np.zeros(len(patients), dtype=np.bool_)
    is_out[order[:n_out]] = True
    chosen: npt.NDArray[np.bool_] = is_out[of_row]
    return chosen


def _patients(patient_keys: Keys) -> tuple[Keys, npt.NDArray[np.intp]]:
    patients, of_row = np.unique(patient_keys, return_inverse=True)
    return patients, of_row.reshape(-1)


def _highest(
    strata: npt.NDArray[np.floating], of_row: npt.NDArray[np.intp], n: int
) -> npt.NDArray[np.floating]:
    levels = np.full(n, -np.inf)
    np.maximum.at(levels, of_row, np.where(np.isnan(strata), -np.inf, strata))
    return levels


def _hash(seed: int, patient: str) -> bytes:
    return sha256(f"{seed}\n{patient}".encode()).digest()
