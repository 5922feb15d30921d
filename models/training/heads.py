"""Fit the ensemble: bootstrapped, group-penalised, calibrated heads, on patients of their own."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models.ensemble import Ensemble, input_parts
from models.features import COLUMNS, FOUNDATION, MOTION
from models.heads_plan import DEMOGRAPHICS, MEASUREMENTS, HeadsPlan
from models.training.logistic import Array, LogisticRegression, platt
from models.training.penalties import Pieces, choose_penalties
from models.training.splits import Keys, patient_folds
from models.training.worsening import Inputs, blur, hide

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A fitted ensemble, and what was chosen for it.

    Attributes
    ----------
    penalties : dict of str to float
        By group of inputs.
    slope, offset : float
        What made out-of-fold log-odds calibrated (Platt); already in the ensemble.
    """

    ensemble: Ensemble
    penalties: dict[str, float]
    slope: float
    offset: float

    @torch.inference_mode()
    def log_odds(
        self,
        embedding: npt.NDArray[np.float32],
        motion: npt.NDArray[np.float32],
        features: npt.NDArray[np.float32],
    ) -> Array:
        """Calibrated log-odds of the mean head: float64, (n,)."""
        of_heads, _ = self.ensemble(*map(torch.from_numpy, (embedding, motion, features)))
        mean: Array = of_heads.mean(dim=1).numpy().astype(np.float64)
        return mean


def fit_ensemble(
    embedding: npt.NDArray[np.float32],
    motion: npt.NDArray[np.float32],
    features: npt.NDArray[np.float32],
    label: npt.NDArray[np.floating],
    plan: HeadsPlan,
    seed: int,
    groups: Keys | None = None,
) -> Fitted:
    """Fit and calibrate an ensemble.

    Penalties are those of the least log-loss in cross-validation among the patients given. The calibration
    is fitted to what the whole procedure, bootstrap and all, says of patients it was not fitted on, in the
    same folds; then the heads are fitted on everybody.

    Parameters
    ----------
    embedding, motion, features : numpy.ndarray
        float32, (n, n_embedding), (n, 13), (n, 17); NaN is missing, in the latter two.
    label : numpy.ndarray
        (n,), 0 or 1.
    groups : numpy.ndarray, optional
        str, (n,), the patient of each row; each row is a patient of its own when not given.

    Returns
    -------
    Fitted
        The same arguments give the same weights, on the same machine and threads.
    """
    whole = Inputs(embedding=embedding, motion=motion, features=features)
    fit = _Fit(whole, np.asarray(label, dtype=np.float64), plan, seed, groups)
    by_group = fit.choose()
    slope, offset = fit.calibration(by_group)
    thetas = np.array(list(fit.heads(np.arange(len(whole)), by_group, stream=0)))
    fit.fill(slope * thetas + offset * (np.arange(thetas.shape[1]) == thetas.shape[1] - 1))
    return Fitted(ensemble=fit.ensemble.eval(), penalties=by_group, slope=slope, offset=offset)


class _Fit:
    """One fitting: the standardised inputs, their groups and folds."""

    def __init__(
        self,
        whole: Inputs,
        label: Array,
        plan: HeadsPlan,
        seed: int,
        groups: Keys | None,
    ) -> None:
        self.plan, self._seed, self._whole, self._label = plan, seed, whole, label
        self.ensemble = Ensemble(whole.embedding.shape[1], plan.n_heads)
        _standardise(self.ensemble, whole)
        self._used, self._groups = _used_columns(self.ensemble.n_embedding, plan)
        self._shown = self._design(whole)
        self._patient = row_patients(groups, len(label))
        self._fold = patient_folds(self._patient, plan.inner_folds, seed, label)

    def choose(self) -> dict[str, float]:
        """Choose a penalty for each group in use."""
        worse = self._design(self._worsened(np.random.default_rng([self._seed, 1])))
        pieces = [
            Pieces(
                fitted=LogisticRegression(worse[train], self._label[train]),
                judged=self._shown[~train],
                label=self._label[~train],
            )
            for train in self._trains()
        ]
        return choose_penalties(pieces, self._groups, self.plan.penalties)

    def calibration(self, by_group: dict[str, float]) -> tuple[float, float]:
        """Slope and offset that calibrate what heads say of patients they were not fitted on."""
        out_of_fold = np.zeros(len(self._label))
        for stream, train in enumerate(self._trains(), start=1):
            thetas = np.array(list(self.heads(np.flatnonzero(train), by_group, stream=stream)))
            mean = thetas.mean(axis=0)
            out_of_fold[~train] = self._shown[~train] @ mean[:-1] + mean[-1]
        return platt(out_of_fold, self._label)

    def heads(self, rows: Rows, by_group: dict[str, float], *, stream: int) -> Iterator[Array]:
        """Fit each head on a bootstrap sample of the patients of some rows; a single one on all of them."""
        penalty = np.array([by_group[group] for group in self._groups])
        theta: Array | None = None
        problem: LogisticRegression | None = None
        for k in range(self.plan.n_heads):
            rng = np.random.default_rng([self._seed, 2, stream, k])
            worse = self._design(self._worsened(rng))[rows]
            counts = _bootstrap(self._patient[rows], rng) if self.plan.n_heads > 1 else None
            problem = LogisticRegression(worse, self._label[rows], counts, like=problem)
            theta = problem.fit(penalty, theta)
            yield theta

    def fill(self, thetas: Array) -> None:
        """Put weights (n_heads, n_used + 1), the bias last, into the ensemble, and the reference."""
        weights = np.zeros(self.ensemble.weights.shape)
        weights[:, self._used] = thetas[:, :-1]
        self.ensemble.weights.copy_(torch.from_numpy(weights))
        self.ensemble.biases.copy_(torch.from_numpy(thetas[:, -1]))
        everything = self.ensemble.inputs(*self._whole.tensors())
        self.ensemble.reference.copy_(everything.double().mean(dim=0))

    def _trains(self) -> Iterator[npt.NDArray[np.bool_]]:
        return (self._fold != fold for fold in range(self.plan.inner_folds))

    def _worsened(self, rng: np.random.Generator) -> Inputs:
        scale = self.ensemble.scale[-len(COLUMNS) :].numpy()
        blurred = blur(self._whole, self.plan.blur * scale, rng)
        return hide(blurred, self.plan.drop_rate, rng)

    def _design(self, inputs: Inputs) -> Array:
        everything: Array = self.ensemble.inputs(*inputs.tensors()).numpy().astype(np.float64)
        return everything[:, self._used]


def row_patients(groups: Keys | None, n: int) -> Keys:
    """Name the patient of each row: the groups, or without them a patient for each row."""
    if groups is not None and len(groups) != n:
        raise ValueError(f"{len(groups)} patients are named for {n} rows")
    return np.arange(n).astype(np.str_) if groups is None else groups


def group_of(part: str) -> str:
    """Name the group of inputs a part of :data:`models.features.PARTS` is penalised with."""
    if part in (MOTION, FOUNDATION):
        return part
    return DEMOGRAPHICS if part in ("age", "sex") else MEASUREMENTS


def _used_columns(n_embedding: int, plan: HeadsPlan) -> tuple[Rows, list[str]]:
    """Which of the ensemble's inputs a plan gives weights, and the group of each of these."""
    groups = [group_of(part) for part in input_parts(n_embedding)]
    n_flags = (len(groups) - n_embedding) // 3  # inputs that may be missing come thrice: z, square, flag
    squares = range(n_embedding + n_flags, n_embedding + 2 * n_flags)
    used = [
        i for i, group in enumerate(groups) if group in plan.uses and (plan.degree > 1 or i not in squares)
    ]
    return np.array(used, dtype=np.int64), [groups[i] for i in used]


def _bootstrap(patient: Keys, rng: np.random.Generator) -> Array:
    """How often each row counts when as many patients are drawn, with replacement, as there are."""
    present, index = np.unique(patient, return_inverse=True)
    drawn = np.bincount(rng.integers(0, len(present), len(present)), minlength=len(present))
    counts: Array = drawn[index].astype(np.float64)
    return counts


def _standardise(ensemble: Ensemble, whole: Inputs) -> None:
    known = np.column_stack([whole.motion, whole.embedding, whole.features]).astype(np.float64)
    is_known = np.isfinite(known)
    n_known = np.maximum(is_known.sum(axis=0), 1)
    centre = np.where(is_known, known, 0.0).sum(axis=0) / n_known
    scale = np.sqrt((np.where(is_known, known - centre, 0.0) ** 2).sum(axis=0) / n_known)
    ensemble.centre.copy_(torch.from_numpy(centre))
    ensemble.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))
