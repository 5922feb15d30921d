"""Judge probabilities: discrimination, and the threshold of a stated operating point."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.floating]


def auc(label: Array, score: Array) -> float:
    """Area under the ROC curve (Mann–Whitney); ties count half. NaN when a class is missing."""
    positive = label > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def threshold_at_specificity(label: Array, probability: Array, specificity: float) -> float:
    """Probability, 4 decimals, below which ``specificity`` of those without the phenotype lie."""
    return round(float(np.quantile(probability[label < 0.5], specificity)), 4)
