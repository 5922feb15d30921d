"""Unpenalised linear and logistic regression with the covariance of their coefficients.

Small enough to be read, and free of the penalty and the scaling that learning libraries add.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from models.study.estimate import Estimate, FloatArray, plain_interval, ratio_interval, two_sided_p

#: Newton's method doubles its correct digits each step; from 0 it needs about 6 where a maximum exists.
_STEPS: Final = 50
_CLOSE: Final = 1e-10
#: A coefficient beyond, in log-odds a standard deviation, means that the classes are separated: no maximum.
_SEPARATED: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Coefficients, (p,), in the order of the design's columns, and their covariance, (p, p)."""

    coefficients: FloatArray
    covariance: FloatArray

    def difference(self, column: int) -> Estimate:
        """Coefficient with its normal 95 % interval."""
        return plain_interval(float(self.coefficients[column]), self.se(column))

    def odds_ratio(self, column: int) -> Estimate:
        """Exponential of a logistic coefficient with its 95 % interval."""
        return ratio_interval(float(self.coefficients[column]), self.se(column))

    def se(self, column: int) -> float:
        """Return the standard error of a coefficient."""
        return float(np.sqrt(self.covariance[column, column]))

    def p(self, column: int) -> float:
        """Two-sided Wald p of a coefficient."""
        return two_sided_p(float(self.coefficients[column]) / self.se(column))


def design(*columns: FloatArray) -> FloatArray:
    """Put columns, (n,) each, behind a column of ones; (n, 1 + columns)."""
    return np.column_stack([np.ones(len(columns[0])), *columns])


def linear(columns: FloatArray, outcome: FloatArray) -> Fit | None:
    """Ordinary least squares; covariance HC3, which holds where the groups' variances differ.

    Source: MacKinnon & White, J. Econom. 29 (1985) 305.

    Returns
    -------
    Fit or None
        None where columns depend on each other or are too many for the rows.
    """
    n, p = columns.shape
    if n <= p or np.linalg.matrix_rank(columns) < p:
        return None
    bread = np.linalg.inv(columns.T @ columns)
    coefficients = bread @ columns.T @ outcome
    leverage = np.einsum("ij,jk,ik->i", columns, bread, columns)
    residuals = (outcome - columns @ coefficients) / np.maximum(1.0 - leverage, 1e-9)
    meat = (columns * residuals[:, None] ** 2).T @ columns
    return Fit(coefficients=coefficients, covariance=bread @ meat @ bread)


def logistic(columns: FloatArray, label: FloatArray, *, offset: FloatArray | float = 0.0) -> Fit | None:
    """Maximum likelihood by Newton's method (iteratively reweighted least squares).

    Parameters
    ----------
    columns : numpy.ndarray
        (n, p), with the column of ones where an intercept is wanted.
    label : numpy.ndarray
        (n,), 0 or 1.
    offset : numpy.ndarray or float
        (n,), log-odds added with a coefficient fixed at 1.

    Returns
    -------
    Fit or None
        None where the likelihood has no maximum: one class only, classes separated, columns dependent.
    """
    if label.min() == label.max() or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    scale = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1.0)
    coefficients = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        probability = expit(columns @ coefficients + offset)
        weighted = columns * (probability * (1 - probability))[:, None]
        try:
            covariance = np.linalg.inv(weighted.T @ columns)
        except np.linalg.LinAlgError:
            return None
        step = covariance @ columns.T @ (label - probability)
        # Far from the maximum a full step may overshoot; it is shortened to 5 log-odds a deviation.
        step *= min(1.0, 5.0 / max(float(np.abs(step * scale).max()), 1e-300))
        coefficients = coefficients + step
        if np.abs(coefficients * scale).max() > _SEPARATED:
            return None
        if np.abs(step * scale).max() < _CLOSE:
            return Fit(coefficients=coefficients, covariance=covariance)
    return None
