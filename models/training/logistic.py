"""Penalised logistic regression, fast enough to be fitted thousands of times."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

Array = npt.NDArray[np.float64]

#: Added to the curvature, so that a column that never varies, and is not penalised, has one all the same.
_JITTER: Final = 1e-9
#: Largest slope left, in units in which the curvature is about 1: the loss is then exact to its square.
_TOLERANCE: Final = 1e-6


class LogisticRegression:
    """One set of patients, to be fitted with one choice of penalties after another.

    Minimises the weighted mean of the log-loss + ½ Σ penalty_j · weight_j²; the bias is free. The curvature
    for even odds is factorised for each choice and makes the problem round, so that few steps suffice
    however alike the inputs are.

    Parameters
    ----------
    inputs : numpy.ndarray
        float64, (n, n_inputs).
    label : numpy.ndarray
        float64, (n,), 0 or 1.
    weight : numpy.ndarray, optional
        float64, (n,); how often each patient counts; 1 when not given.
    like : LogisticRegression, optional
        One of patients much like these, whose curvature will do: a bootstrap sample of the same people, say.
    """

    def __init__(
        self,
        inputs: Array,
        label: Array,
        weight: Array | None = None,
        like: "LogisticRegression | None" = None,
    ) -> None:
        counts = np.ones(len(label)) if weight is None else weight
        self._x = np.column_stack([inputs, np.ones(len(inputs))])
        self._label = label
        self._share = counts / counts.sum()
        self._gram: Array = self._curvature() if like is None else like._gram

    def _curvature(self) -> Array:
        """Curvature of the log-loss at the odds of the prevalence: (n_inputs + 1, n_inputs + 1)."""
        prevalence = float(np.clip(self._share @ self._label, 0.01, 0.99))
        curvature: Array = prevalence * (1.0 - prevalence) * (self._x.T * self._share) @ self._x
        return curvature

    def fit(self, penalties: Array | float, start: Array | None = None) -> Array:
        """Fit.

        Parameters
        ----------
        penalties : numpy.ndarray or float
            Not negative, (n_inputs,) or one for all.
        start : numpy.ndarray, optional
            An earlier result, to begin from.

        Returns
        -------
        numpy.ndarray
            float64, (n_inputs + 1,): the weights, and the bias last.
        """
        penalty = np.append(np.broadcast_to(penalties, self._x.shape[1] - 1), 0.0)
        curvature = self._gram + np.diag(penalty + _JITTER)
        factor, _ = cho_factor(curvature, lower=True)  # curvature = L Lᵀ; u = Lᵀ θ is round

        def theta_of(u: Array) -> Array:
            out: Array = solve_triangular(factor, u, lower=True, trans="T", check_finite=False)
            return out

        def loss(u: Array) -> tuple[float, Array]:
            theta = theta_of(u)
            log_odds = self._x @ theta
            losses = np.logaddexp(0.0, log_odds) - self._label * log_odds
            residual = self._share * (expit(log_odds) - self._label)
            slope = self._x.T @ residual + penalty * theta
            along: Array = solve_triangular(factor, slope, lower=True, check_finite=False)
            return float(self._share @ losses + 0.5 * (penalty * theta) @ theta), along

        begin = np.zeros(len(penalty)) if start is None else np.tril(factor).T @ start
        found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"gtol": _TOLERANCE, "ftol": 0.0})
        return theta_of(found.x)


def logistic_regression(inputs: Array, label: Array, penalty: Array | float) -> tuple[Array, float]:
    """Fit weights (n_inputs,) and bias by the mean log-loss + ½ Σ penalty · weight²; the bias is free."""
    theta = LogisticRegression(inputs, label).fit(penalty)
    return theta[:-1], float(theta[-1])


def platt(log_odds: Array, label: Array) -> tuple[float, float]:
    """Find the slope and offset after which log-odds are calibrated; a slope below 0 is taken as 0."""
    weights, offset = logistic_regression(log_odds[:, None], label, 0.0)
    if weights[0] > 0.0:
        return float(weights[0]), offset
    prevalence = float(np.clip(label.mean(), 1e-6, 1.0 - 1e-6))
    return 0.0, float(np.log(prevalence / (1.0 - prevalence)))
