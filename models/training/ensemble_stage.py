"""The last stage: fit the ensemble on the development cohort; judge it out of fold, and elsewhere as is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from models.cohorts.featurized import Cohort
from models.cohorts.rows import LABEL
from models.cohorts.store import stored_state, stored_texts
from models.ensemble import Ensemble
from models.founder import Net1D
from models.manifest import InputContract, Performance
from models.motion import MotionGenerator
from models.progress import Progress, part_of
from models.scorer import Extractor
from models.scoring import ExtractedArrays, extract
from models.study.estimate import FloatArray
from models.study.labelled import Told, has_label, labelled_cohort
from models.study.motion_cohort import motion_cohort
from models.study.motion_error import motion_errors
from models.study.scored import ScoredCohort, Text
from models.training.judge import threshold_at_specificity
from models.training.performance import performances
from models.training.variants import ENSEMBLE, fitted_on_all, judged_out_of_fold, probability
from models.training.worsening import Inputs
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from models.training.recipe import TrainingPlan

#: What the development cohort is; who an external one is, its sources know.
OUT_OF_FOLD: Final = "judged out of fold: each patient by an ensemble fitted on the others"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """A prepared cohort of which every row has a label, and where its rows come from."""

    told: Told
    cohort: Cohort
    places: dict[str, Text]

    @classmethod
    def of(cls, name: str, cohort: Cohort, folder: Path, *, what: str, is_simulated: bool) -> "Labelled":
        """Take the rows with a label out of a stored cohort.

        Parameters
        ----------
        what : str
            Who they are and how they are judged, for the report.

        Raises
        ------
        ConfigurationError
            When no row has one.
        """
        known = has_label(cohort) if LABEL in cohort.outcomes else np.zeros(len(cohort), dtype=np.bool_)
        if not known.any():
            raise ConfigurationError(
                f"the {name} cohort has no row with {LABEL}: give 0 or 1 to each patient judged"
            )
        state = stored_state(folder)
        n_left_out = int((~known).sum()) + (sum(each.n for each in state.left_out.values()) if state else 0)
        told = Told(name=name, what=what, is_simulated=is_simulated, n_left_out=n_left_out)
        return cls(
            told=told, cohort=cohort.rows(known), places={"centre": stored_texts(folder, "centre")[known]}
        )

    @property
    def label(self) -> FloatArray:
        """Phenotype of each row, 0 or 1: float64, (n,)."""
        return self.cohort.outcomes[LABEL]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnsembleResult:
    """A fitted ensemble, and how it and what it is compared with did.

    Attributes
    ----------
    scored : tuple of ScoredCohort
        Development (out of fold), then external where there is one.
    """

    ensemble: Ensemble
    penalties: dict[str, float]
    threshold: float
    n_patients: int
    scored: tuple[ScoredCohort, ...]
    performance: tuple[Performance, ...]
    motion_error: dict[str, float]


def fit_and_judge(
    encoder: Net1D,
    generator: MotionGenerator,
    labelled: Sequence[Labelled],
    contract: InputContract,
    plan: "TrainingPlan",
    progress: Progress,
    device: torch.device,
) -> EnsembleResult:
    """Fit the ensemble on the first cohort, and judge it there out of fold and on the others as it is."""
    extractor = Extractor(encoder, generator, contract).to(device).eval()
    found = [
        extract(extractor, each.cohort, progress=part_of(progress, 0.1 * i, 0.1 * (i + 1)))
        for i, each in enumerate(labelled)
    ]
    shown = [inputs_of(each.cohort, seen) for each, seen in zip(labelled, found, strict=True)]
    first = labelled[0]
    of_first = (shown[0], first.label, first.cohort.patient_keys, plan.heads, plan.seed)
    with threadpool_limits(1, user_api="blas"):  # matrices this small are slower on several cores
        fitted = fitted_on_all(*of_first)
        left_out = judged_out_of_fold(*of_first, plan.n_folds, part_of(progress, 0.3, 1.0))
    said = [{model: answers.probability for model, answers in left_out.items()}]
    said += [{model: probability(head, each) for model, head in fitted.items()} for each in shown[1:]]
    threshold = threshold_at_specificity(first.label, said[0][ENSEMBLE], plan.specificity)
    scored = tuple(
        labelled_cohort(each.told, each.cohort, each.places, chances, threshold)
        for each, chances in zip(labelled, said, strict=True)
    )
    return EnsembleResult(
        ensemble=fitted[ENSEMBLE].ensemble,
        penalties=fitted[ENSEMBLE].penalties,
        threshold=threshold,
        n_patients=scored[0].n_patients,
        scored=scored,
        performance=tuple(row for each in scored for row in performances(each)),
        motion_error=_motion_error(labelled, found),
    )


def inputs_of(cohort: Cohort, found: ExtractedArrays) -> Inputs:
    """Collect what the ensemble sees of a cohort."""
    return Inputs(embedding=found.embedding, motion=found.motion, features=np.array(cohort.features))


def _motion_error(labelled: Sequence[Labelled], found: Sequence[ExtractedArrays]) -> dict[str, float]:
    """Mean absolute errors by cohort and measurement, in the unit the name ends in."""
    out: dict[str, float] = {}
    for i, (each, extracted) in enumerate(zip(labelled, found, strict=True)):
        cohort = motion_cohort(each.told, each.cohort, extracted, is_external=i > 0)
        for error in motion_errors(cohort).errors if cohort else ():
            out[f"{each.told.name}_{error.name}"] = round(error.mean_absolute_error.value, 3)
    return out
