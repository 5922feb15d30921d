"""Fit the heads: bootstrapped, regularised logistic regressions on patients the encoder has not seen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.features import COLUMNS
from models.fusion import Heads

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsTraining:
    """How the heads are fitted.

    Attributes
    ----------
    penalty : float
        Weight of the squared coefficients, per patient.
    blur : float
        Noise added to measurements, in their standard deviations. One sample, 2 ms, is a third of the
        spread of QRS: heads that trusted a single interval would hear the recorder's rate.
    drop_rate : float
        Share of patients of whom all measurements, and independently age, and sex, are hidden, so that the
        heads know what to do without.
    """

    n_heads: int = 25
    penalty: float = 0.05
    blur: float = 0.5
    drop_rate: float = 0.08


def hide(features: npt.NDArray[np.float32], rate: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Hide measurements, age and sex of some patients; NaN is missing."""
    hidden = features.copy()
    n_measured = len(COLUMNS) - 2  # the last two are age and sex
    for columns in (slice(0, n_measured), n_measured, n_measured + 1):
        hidden[rng.random(len(features)) < rate, columns] = np.nan
    return hidden


def blur(
    features: npt.NDArray[np.float32], deviation: npt.NDArray[np.floating], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Add noise of a deviation for each column to measurements; age and sex stay as they are."""
    noise = deviation * rng.standard_normal(features.shape)
    noise[:, -2:] = 0.0
    return (features + noise).astype(np.float32)


def fit_heads(
    embedding: Tensor, features: npt.NDArray[np.float32], label: Array, plan: HeadsTraining, seed: int
) -> Heads:
    """Fit heads, not yet calibrated; each sees its own bootstrap sample of the patients."""
    rng = np.random.default_rng(seed)
    heads = Heads(embedding.shape[1], plan.n_heads)
    _standardise(heads, embedding, features)
    whole = heads.inputs(embedding, torch.from_numpy(features)).numpy()
    deviation = plan.blur * heads.scale[embedding.shape[1] :].numpy()
    worse = hide(blur(features, deviation, rng), plan.drop_rate, rng)
    shown = heads.inputs(embedding, torch.from_numpy(worse)).numpy()
    heads.reference.copy_(torch.from_numpy(whole.mean(axis=0)))
    for k in range(plan.n_heads):
        rows = rng.integers(0, len(label), len(label))
        weights, bias = logistic_regression(shown[rows].astype(np.float64), label[rows], plan.penalty)
        heads.weights[k] = torch.from_numpy(weights)
        heads.biases[k] = bias
    return heads


def logistic_regression(inputs: Array, label: Array, penalty: float) -> tuple[Array, float]:
    """Fit weights (n_inputs,) and bias by the mean log-loss + penalty/2 · |weights|²; the bias is free."""

    def loss(theta: Array) -> tuple[float, Array]:
        log_odds = inputs @ theta[:-1] + theta[-1]
        residual = 1.0 / (1.0 + np.exp(-log_odds)) - label
        value = (
            np.mean(np.logaddexp(0.0, log_odds) - label * log_odds) + 0.5 * penalty * theta[:-1] @ theta[:-1]
        )
        slope = np.append(inputs.T @ residual / len(label) + penalty * theta[:-1], residual.mean())
        return float(value), slope

    found = minimize(loss, np.zeros(inputs.shape[1] + 1), jac=True, method="L-BFGS-B")
    return found.x[:-1], float(found.x[-1])


def calibrate(heads: Heads, slope: float, offset: float) -> None:
    """Make ``slope · log-odds + offset`` what the heads say from now on (Platt)."""
    heads.weights.mul_(slope)
    heads.biases.mul_(slope).add_(offset)


def _standardise(heads: Heads, embedding: Tensor, features: npt.NDArray[np.float32]) -> None:
    both = np.column_stack([embedding.numpy(), features]).astype(np.float64)
    known = np.isfinite(both)
    n_known = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, both, 0.0).sum(axis=0) / n_known
    scale = np.sqrt((np.where(known, both - centre, 0.0) ** 2).sum(axis=0) / n_known)
    heads.centre.copy_(torch.from_numpy(centre))
    heads.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))
