"""The whole study: scored cohorts in, every row of the published results out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.study.associations import (
    BinaryAssociation,
    ContinuousAssociation,
    binary_association,
    continuous_association,
)
from models.study.calibration import Calibration, calibration
from models.study.decision_curve import DecisionCurve, decision_curve
from models.study.delong import Auc, PairedTest, auc_interval, paired_test
from models.study.diseases import Diseases, judge_diseases
from models.study.errors import StudyError
from models.study.facts import CohortFacts
from models.study.motion_error import MotionErrors, motion_errors
from models.study.operating_point import OperatingPoint, operating_point
from models.study.outcomes import Outcomes, judge_outcomes
from models.study.reclassification import (
    Discrimination,
    Reclassification,
    categorical_nri,
    continuous_nri,
    integrated_discrimination,
)
from models.study.roc import RocCurve, roc_curve
from models.study.scored import (
    ENSEMBLE,
    FOUNDATION,
    MODELS,
    DiseaseCohort,
    MotionCohort,
    OutcomeCohort,
    ScoredCohort,
)
from models.study.single_measurements import SingleMeasurement, single_measurements
from models.study.subgroups import Subgroup, subgroups

#: In the order they are shown.
_CONTINUOUS: Final = ("lv_mass_index_g_m2", "la_volume_index_ml_m2", "age_years")
_BINARY: Final = ("hypertension", "kidney_disease", "atrial_fibrillation", "is_male")
_ADJUSTED_FOR: Final = ("age_years", "is_male")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyInputs:
    """What is to be judged: a bundle by name, and the cohorts it has scored. Each may be missing.

    Attributes
    ----------
    trained_on : str
        What the bundle's manifest says of its training data.
    is_quick : bool
        Whether cohorts are smaller than published: the report says so.
    seed : int
        Of bootstraps; the same inputs and seed give the same result, byte for byte.
    """

    bundle_version: str
    bundle_sha256: str
    trained_on: str
    development: ScoredCohort | None = None
    external: ScoredCohort | None = None
    diseases: DiseaseCohort | None = None
    outcomes: OutcomeCohort | None = None
    motion: tuple[MotionCohort, ...] = ()
    is_quick: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledResult:
    """All that is found in a cohort with the phenotype's label.

    Attributes
    ----------
    aucs, rocs, calibrations : mapping
        By model, the three first and ablations after them.
    beyond : mapping of str to PairedTest
        Ensemble minus each other model, on the same patients.
    continuous_nri, categorical_nri, idi
        Ensemble seen from foundation only; categories are parted by the threshold.
    continuous, binary : tuple
        Associations with being called high-risk.
    """

    cohort: CohortFacts
    n_positive: int
    aucs: Mapping[str, Auc]
    beyond: Mapping[str, PairedTest]
    rocs: Mapping[str, RocCurve]
    continuous_nri: Reclassification
    categorical_nri: Reclassification
    idi: Discrimination
    operating_point: OperatingPoint
    calibrations: Mapping[str, Calibration]
    decision_curve: DecisionCurve
    continuous: tuple[ContinuousAssociation, ...]
    binary: tuple[BinaryAssociation, ...]
    subgroups: tuple[Subgroup, ...]
    single_measurements: tuple[SingleMeasurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """Everything found; a cohort that was not given has no part in it."""

    bundle_version: str
    bundle_sha256: str
    trained_on: str
    is_quick: bool
    development: LabelledResult | None
    external: LabelledResult | None
    diseases: Diseases | None
    outcomes: Outcomes | None
    motion: tuple[MotionErrors, ...]

    @property
    def labelled(self) -> tuple[LabelledResult, ...]:
        """Development and external, those that are there."""
        return tuple(each for each in (self.development, self.external) if each)

    @property
    def cohorts(self) -> tuple[CohortFacts, ...]:
        """All cohorts judged."""
        others = (self.diseases, self.outcomes, *self.motion)
        return tuple(each.cohort for each in (*self.labelled, *others) if each)


def run_study(inputs: StudyInputs) -> StudyResult:
    """Judge every cohort that is given.

    Raises
    ------
    StudyError
        When a labelled cohort lacks a class.
    """
    return StudyResult(
        bundle_version=inputs.bundle_version,
        bundle_sha256=inputs.bundle_sha256,
        trained_on=inputs.trained_on,
        is_quick=inputs.is_quick,
        development=judge_labelled(inputs.development, inputs.seed) if inputs.development else None,
        external=judge_labelled(inputs.external, inputs.seed) if inputs.external else None,
        diseases=judge_diseases(inputs.diseases) if inputs.diseases else None,
        outcomes=judge_outcomes(inputs.outcomes) if inputs.outcomes else None,
        motion=tuple(map(motion_errors, inputs.motion)),
    )


def judge_labelled(cohort: ScoredCohort, seed: int) -> LabelledResult:
    """Judge a cohort with the phenotype's label.

    Raises
    ------
    StudyError
        When it lacks those with, or those without the phenotype.
    """
    label = cohort.label
    if label.min() == label.max():
        raise StudyError(f"{cohort.name}: all {len(label)} patients have the same label")
    ablations = (model for model in cohort.probability if model not in MODELS)
    probability = {model: cohort.probability[model] for model in (*MODELS, *ablations)}
    old, new = probability[FOUNDATION], probability[ENSEMBLE]
    continuous, binary = _associations(cohort)
    return LabelledResult(
        cohort=cohort.facts,
        n_positive=int(label.sum()),
        aucs={model: auc_interval(label, each) for model, each in probability.items()},
        beyond={
            model: paired_test(label, new, each) for model, each in probability.items() if model != ENSEMBLE
        },
        rocs={model: roc_curve(label, each) for model, each in probability.items()},
        continuous_nri=continuous_nri(label, old, new, seed=seed),
        categorical_nri=categorical_nri(label, old, new, [cohort.threshold], seed=seed),
        idi=integrated_discrimination(label, old, new),
        operating_point=operating_point(cohort),
        calibrations={model: calibration(label, each, seed=seed) for model, each in probability.items()},
        decision_curve=decision_curve(label, {model: probability[model] for model in MODELS}),
        continuous=continuous,
        binary=binary,
        subgroups=subgroups(cohort),
        single_measurements=single_measurements(cohort),
    )


def _associations(
    cohort: ScoredCohort,
) -> tuple[tuple[ContinuousAssociation, ...], tuple[BinaryAssociation, ...]]:
    known, is_high = cohort.covariates, cohort.is_high
    adjust_for = {name: known[name] for name in _ADJUSTED_FOR if name in known}
    continuous = (
        continuous_association(name, known[name], is_high, adjust_for)
        for name in _CONTINUOUS
        if name in known
    )
    binary = (binary_association(name, known[name], is_high, adjust_for) for name in _BINARY if name in known)
    return tuple(filter(None, continuous)), tuple(filter(None, binary))
