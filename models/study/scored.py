"""What the study is given: cohorts already scored, in arrays, and what is known of their patients.

Nothing here scores an ECG. A cohort says itself whether it is simulated and who is in it; every heading of
the report repeats that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from models.study.errors import StudyError
from models.study.estimate import BoolArray, FloatArray
from models.study.facts import CohortFacts, freeze, probabilities, same_length, zero_or_one

#: The models every labelled cohort is scored by; further names are ablations.
MOTION, FOUNDATION, ENSEMBLE = "motion", "foundation", "ensemble"
MODELS: Final = (MOTION, FOUNDATION, ENSEMBLE)

#: What an event is called where its cause is not known, and never anything more.
ANY_DEATH: Final = "death of any cause"

Text = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredCohort:
    """A cohort with the phenotype's label, one ECG a patient.

    Attributes
    ----------
    label : numpy.ndarray
        float64, (n,), 1 high-risk phenotype by echo, 0 not.
    probability : mapping of str to numpy.ndarray
        float64, (n,), by model: ``motion``, ``foundation``, ``ensemble``, and any ablations. On the
        development cohort out of fold.
    covariates : mapping of str to numpy.ndarray
        float64, (n,), NaN unknown: ``age_years``, ``is_male``, ``lv_mass_index_g_m2``,
        ``la_volume_index_ml_m2``, ``hypertension``, ``kidney_disease``,
        ``atrial_fibrillation``; those that are there are used.
    places : mapping of str to numpy.ndarray
        str, (n,): ``centre``, ``recorder``; empty where unknown.
    measurements : mapping of str to numpy.ndarray
        float64, (n,), NaN missing: each single measurement of the ECG that could give the label away.
    threshold : float
        Ensemble probability from which on a patient is called high-risk.
    """

    name: str
    what: str
    is_simulated: bool
    n_patients: int
    label: FloatArray
    probability: Mapping[str, FloatArray]
    threshold: float
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    places: Mapping[str, Text] = field(default_factory=dict)
    measurements: Mapping[str, FloatArray] = field(default_factory=dict)
    n_not_scored: int = 0

    def __post_init__(self) -> None:
        same_length(
            len(self.label), self.name, self.probability, self.covariates, self.places, self.measurements
        )
        zero_or_one(self.label, f"{self.name}: label")
        probabilities(self.probability, self.name)
        if missing := set(MODELS) - set(self.probability):
            raise StudyError(f"{self.name}: no probability of {', '.join(sorted(missing))}")
        if self.n_patients != len(self.label):
            raise StudyError(
                f"{self.name}: {len(self.label)} rows of {self.n_patients} patients, one each wanted"
            )
        freeze(self.label, self.probability, self.covariates, self.places, self.measurements)

    @property
    def facts(self) -> CohortFacts:
        """What the data were."""
        return _facts(self, len(self.label))

    @property
    def is_high(self) -> BoolArray:
        """Who is called high-risk, (n,)."""
        return self.probability[ENSEMBLE] >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiseaseCohort:
    """A cohort with flags of structural heart disease, any number of ECGs a patient (EchoNext).

    Attributes
    ----------
    patient_keys : numpy.ndarray
        (n,), equal for ECGs of one patient: their rows are not independent.
    flags : mapping of str to numpy.ndarray
        float64, (n,), 0 or 1 by the source's column name. Not measured is stored as 0.
    is_measured : mapping of str to numpy.ndarray
        bool, (n,), by the same names: where what the flag needs was measured; a name not there: unknown.
    probability : mapping of str to numpy.ndarray
        float64, (n,), of the high-risk phenotype, by model; ``ensemble`` at least.
    """

    name: str
    what: str
    is_simulated: bool
    n_patients: int
    patient_keys: npt.NDArray[np.generic]
    flags: Mapping[str, FloatArray]
    is_measured: Mapping[str, BoolArray]
    probability: Mapping[str, FloatArray]
    n_not_scored: int = 0

    def __post_init__(self) -> None:
        n = len(self.patient_keys)
        same_length(n, self.name, self.flags, self.is_measured, self.probability)
        for flag in self.flags:
            zero_or_one(self.flags[flag], f"{self.name}: {flag}")
        probabilities(self.probability, self.name)
        if ENSEMBLE not in self.probability:
            raise StudyError(f"{self.name}: no probability of the ensemble")
        if self.n_patients != (found := len(np.unique(self.patient_keys))):
            raise StudyError(f"{self.name}: {found} patients in the rows, {self.n_patients} said")
        freeze(self.patient_keys, self.flags, self.is_measured, self.probability)

    @property
    def facts(self) -> CohortFacts:
        """What the data were."""
        return _facts(self, len(self.patient_keys))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeCohort:
    """A cohort that was followed up, one ECG a patient (CODE-15 %).

    Attributes
    ----------
    is_high : numpy.ndarray
        bool, (n,), who the ensemble calls high-risk.
    years : numpy.ndarray
        float64, (n,), from the ECG to the event or the end of follow-up.
    event : numpy.ndarray
        int64, (n,): 0 none, 1 and 2 as ``event_names`` says.
    event_names : tuple of str
        What events 1 and 2 are; where causes are not known ``ANY_DEATH`` alone, and there is no event 2.
    are_causes_known : bool
        Whether event 1 is a cause of its own with event 2 competing; False: all-cause.
    covariates : mapping of str to numpy.ndarray
        float64, (n,), NaN unknown: ``age_years``, ``is_male``, which hazard ratios are adjusted for.
    """

    name: str
    what: str
    is_simulated: bool
    n_patients: int
    is_high: BoolArray
    years: FloatArray
    event: npt.NDArray[np.int64]
    are_causes_known: bool
    event_names: tuple[str, ...] = (ANY_DEATH,)
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    n_not_scored: int = 0

    def __post_init__(self) -> None:
        n = len(self.is_high)
        same_length(n, self.name, {"years": self.years, "event": self.event}, self.covariates)
        if self.n_patients != n:
            raise StudyError(f"{self.name}: {n} rows of {self.n_patients} patients, one each wanted")
        if not np.isfinite(self.years).all() or (self.years < 0).any():
            raise StudyError(f"{self.name}: years must be known and not below 0")
        if self.are_causes_known and (len(self.event_names) != 2 or ANY_DEATH in self.event_names):
            raise StudyError(f"{self.name}: names of two events with their causes wanted")
        if not self.are_causes_known and self.event_names != (ANY_DEATH,):
            raise StudyError(f"{self.name}: without causes the event is {ANY_DEATH!r}")
        if not np.isin(self.event, range(len(self.event_names) + 1)).all():
            raise StudyError(f"{self.name}: events must be 0 to {len(self.event_names)}")
        freeze(self.is_high, self.years, self.event, self.covariates)

    @property
    def facts(self) -> CohortFacts:
        """What the data were."""
        return _facts(self, len(self.years))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionCohort:
    """Generated motion beside the measured: what the motion generator is judged by.

    Attributes
    ----------
    is_external : bool
        Of a population and a recorder that training never saw.
    measured, generated : mapping of str to numpy.ndarray
        float64, (n,), by the names of :mod:`models.motion_measurements`, which end in the unit; NaN absent.
    generated_sd : mapping of str to numpy.ndarray
        float64, (n,), the generator's own uncertainty, by the same names, where it has one.
    """

    name: str
    what: str
    is_simulated: bool
    n_patients: int
    is_external: bool
    measured: Mapping[str, FloatArray]
    generated: Mapping[str, FloatArray]
    generated_sd: Mapping[str, FloatArray] = field(default_factory=dict)
    n_not_scored: int = 0

    def __post_init__(self) -> None:
        if not set(self.measured) == set(self.generated) >= set(self.generated_sd):
            raise StudyError(f"{self.name}: measured and generated motion must have the same names")
        same_length(self.n_patients, self.name, self.measured, self.generated, self.generated_sd)
        freeze(self.measured, self.generated, self.generated_sd)

    @property
    def facts(self) -> CohortFacts:
        """What the data were."""
        return _facts(self, self.n_patients)


Named = ScoredCohort | DiseaseCohort | OutcomeCohort | MotionCohort


def _facts(cohort: Named, n_ecgs: int) -> CohortFacts:
    return CohortFacts(
        name=cohort.name,
        what=cohort.what,
        is_simulated=cohort.is_simulated,
        n_patients=cohort.n_patients,
        n_ecgs=n_ecgs,
        n_not_scored=cohort.n_not_scored,
    )
