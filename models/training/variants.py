"""The ensemble and what it is compared with: heads on some or all of the same inputs, on the same rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from models.features import FOUNDATION, MOTION
from models.heads_plan import DEMOGRAPHICS, GROUPS, MEASUREMENTS, HeadsPlan
from models.progress import Progress, part_of
from models.training.heads import Fitted, fit_ensemble
from models.training.logistic import Array
from models.training.out_of_fold import OutOfFold, out_of_fold
from models.training.splits import Keys
from models.training.worsening import Inputs

ENSEMBLE: Final = "ensemble"
#: Name of each model, and the groups of inputs that it uses.
MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    ENSEMBLE: GROUPS,
    FOUNDATION: (FOUNDATION,),
    MOTION: (MOTION,),
    "foundation, age and sex": (FOUNDATION, DEMOGRAPHICS),
    "ensemble without motion": (FOUNDATION, MEASUREMENTS, DEMOGRAPHICS),
}

Label = npt.NDArray[np.floating]


def plan_of(plan: HeadsPlan, model: str) -> HeadsPlan:
    """Plan of one of :data:`MODELS`: as the ensemble's in everything but the inputs it may use."""
    return replace(plan, uses=MODELS[model])


def judged_out_of_fold(
    inputs: Inputs, label: Label, patients: Keys, plan: HeadsPlan, seed: int, n_folds: int, progress: Progress
) -> dict[str, OutOfFold]:
    """Judge each model by cross-validation over the same folds of patients."""
    out: dict[str, OutOfFold] = {}
    for i, model in enumerate(MODELS):
        tell = part_of(progress, i / len(MODELS), (i + 1) / len(MODELS))
        out[model] = out_of_fold(
            inputs.embedding,
            inputs.motion,
            inputs.features,
            label,
            plan_of(plan, model),
            seed,
            patients,
            n_folds=n_folds,
            progress=tell,
        )
    return out


def fitted_on_all(
    inputs: Inputs, label: Label, patients: Keys, plan: HeadsPlan, seed: int
) -> dict[str, Fitted]:
    """Fit each model on everybody: the ensemble of the bundle, and what it is compared with elsewhere."""
    return {
        model: fit_ensemble(
            inputs.embedding, inputs.motion, inputs.features, label, plan_of(plan, model), seed, patients
        )
        for model in MODELS
    }


def probability(fitted: Fitted, inputs: Inputs) -> Array:
    """Calibrated probability of ECGs that a model was not fitted on: float64, (n,)."""
    chances: Array = expit(fitted.log_odds(inputs.embedding, inputs.motion, inputs.features))
    return chances
