"""Area under the ROC curve with DeLong's variance, and the paired test of two scores on the same rows.

Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837, by midranks in O(n log n) as Sun & Xu,
IEEE Signal Process. Lett. 21 (2014) 1389. Rows of one patient are not independent: with ``patients`` the
variance is that of clusters, Obuchowski, Biometrics 53 (1997) 567, which is DeLong's where each has one row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import rankdata

from models.study.estimate import Z_95, BoolArray, Estimate, FloatArray, plain_interval, two_sided_p

Patients = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auc:
    """An area, its standard error, and of how many rows with (positive) and without it is."""

    auc: Estimate
    se: float
    n_positive: int
    n_negative: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Difference of two areas, first minus second, on the same rows."""

    difference: Estimate
    z: float
    p: float


def auc_interval(label: FloatArray, score: FloatArray, *, patients: Patients | None = None) -> Auc:
    """Area under the ROC curve with its 95 % interval.

    The interval is a normal one on the logit scale, so that it stays within 0 and 1; an area of exactly 0 or
    1 has no such interval, and neither has one of a single positive or negative row: NaN.

    Parameters
    ----------
    label : numpy.ndarray
        (n,), 1 with the phenotype and 0 without.
    score : numpy.ndarray
        (n,), any monotone score; ties count half; no NaN.
    patients : numpy.ndarray or None
        (n,), equal for rows of one patient; None: each row is another patient.

    Raises
    ------
    ValueError
        When a class is missing or a score is NaN.
    """
    areas, covariance = _areas(label, score[None], patients)
    area, se = float(areas[0]), float(np.sqrt(covariance[0, 0]))
    n_positive = int((label > 0.5).sum())
    return Auc(
        auc=_logit_interval(area, se), se=se, n_positive=n_positive, n_negative=len(label) - n_positive
    )


def paired_test(
    label: FloatArray, first: FloatArray, second: FloatArray, *, patients: Patients | None = None
) -> PairedTest:
    """Test whether two scores discriminate equally well; arrays as of :func:`auc_interval`.

    Two scores that put all pairs in the same order differ by 0 with z 0 and p 1.
    """
    areas, covariance = _areas(label, np.stack([first, second]), patients)
    contrast = np.array([1.0, -1.0])
    difference = float(contrast @ areas)
    se = float(np.sqrt(max(contrast @ covariance @ contrast, 0.0)))
    z = difference / se if se > 0 else 0.0
    return PairedTest(difference=plain_interval(difference, se), z=z, p=two_sided_p(z))


def _logit_interval(area: float, se: float) -> Estimate:
    if not 0.0 < area < 1.0 or not np.isfinite(se):
        return Estimate(value=area)
    half = Z_95 * se / (area * (1 - area))
    return Estimate(value=area, low=float(expit(logit(area) - half)), high=float(expit(logit(area) + half)))


def _areas(label: FloatArray, scores: FloatArray, patients: Patients | None) -> tuple[FloatArray, FloatArray]:
    """Areas, (k,), and their covariance, (k, k), of k scores on the same rows, (k, n)."""
    positive = label > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        raise ValueError(f"an AUC needs both classes, there are {n_positive} with and {n_negative} without")
    if not np.isfinite(scores).all():
        raise ValueError("an AUC needs a score of every row")
    placements = np.stack([_placements(positive, score) for score in scores])  # (k, n)
    areas = placements[:, positive].mean(axis=1)
    centred = placements - areas[:, None]
    cluster = np.arange(len(label)) if patients is None else np.unique(patients, return_inverse=True)[1]
    above = _cluster_sums(centred, cluster, positive) / n_positive  # (k, clusters)
    below = _cluster_sums(centred, cluster, ~positive) / n_negative
    inflate_above, inflate_below, inflate_both = (
        _finite(np.unique(cluster[chosen]).size)
        for chosen in (positive, ~positive, np.full_like(positive, True))
    )
    cross = above @ below.T
    covariance = above @ above.T * inflate_above + below @ below.T * inflate_below
    return areas, covariance + (cross + cross.T) * inflate_both


def _placements(positive: BoolArray, score: FloatArray) -> FloatArray:
    """Of each row the share of the other class that it is on the right side of; (n,)."""
    ranks = rankdata(score)
    out = np.empty(len(score))
    for own in (positive, ~positive):
        beaten = ranks[own] - rankdata(score[own])  # rows of the other class below, ties half
        out[own] = beaten / (~own).sum()
    out[~positive] = 1.0 - out[~positive]
    return out


def _cluster_sums(centred: FloatArray, cluster: npt.NDArray[np.integer], chosen: BoolArray) -> FloatArray:
    n_clusters = int(cluster.max()) + 1
    return np.stack([np.bincount(cluster[chosen], row[chosen], n_clusters) for row in centred])


def _finite(n: int) -> float:
    """Bessel's correction; NaN where one cluster says nothing of the spread between them."""
    return n / (n - 1) if n > 1 else float("nan")
