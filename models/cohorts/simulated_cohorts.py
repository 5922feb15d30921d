"""The simulated cohorts: who is in them, which carts recorded them, and what is known beside the ECG.

Every cohort is a sequence of rows drawn on demand: row i is a function of the cohort's seed and i alone, so
that it can be drawn in any order and by several processes. Patients of two cohorts are never the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from models.cohorts.follow_up import draw_follow_up
from models.cohorts.heart import Population, draw_severity
from models.cohorts.recorder import RECORDERS, Recorder
from models.cohorts.rows import LABEL, CohortEcg, Provenance
from models.cohorts.simulated import Course, SimulatedPatient
from models.cohorts.structural_disease import draw_flags
from models.cohorts.tissue_doppler import velocity_curves
from schemas.recorded import EcgRecorded

#: Cohort patients are numbered from here, so that no simulated ward ever holds one of them.
FIRST_SEED: Final = 900_000_000
#: Room for the patients of one cohort, so that cohorts never overlap.
_SEEDS_OF_ONE: Final = 1_000_000

_WHEN: Final = datetime(2025, 1, 1, tzinfo=UTC)
_SEVERITY, _VISIT, _AFTER = range(100, 103)

TRAINING_RECORDERS: Final = RECORDERS[:3]
UNSEEN_RECORDER: Final = RECORDERS[3]

_LABORATORY: Final = Population()
#: Older, more often hypertensive and ill than those trained on.
_ELSEWHERE: Final = Population(
    age_mean_years=66.0, age_sd_years=13.0, male_share=0.55, hypertension_logit=0.2, illness_logit=-0.7
)
#: Primary care: younger and mostly well.
_PRIMARY_CARE: Final = Population(age_mean_years=54.0, age_sd_years=17.0, male_share=0.4, illness_logit=-1.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCohort:
    """One simulated cohort; a :class:`models.cohorts.rows.RowSource`.

    Attributes
    ----------
    number : int
        Which block of patients is its own.
    n : int
        ECGs.
    n_patients : int
        With fewer patients than ECGs, some come more than once.
    knows : tuple of str
        What is recorded beside the ECG: ``echo`` (label, findings, tissue Doppler), ``flags``, ``follow_up``.
    """

    name: str
    number: int
    n: int
    n_patients: int
    seed: int = 1
    population: Population = field(default_factory=Population)
    recorders: tuple[Recorder, ...] = TRAINING_RECORDERS
    knows: tuple[str, ...] = ()

    @property
    def provenance(self) -> Provenance:
        """Everything that decides the rows."""
        return Provenance(name=self.name, is_simulated=True, details=repr(self))

    def __len__(self) -> int:
        """Count the ECGs."""
        return self.n

    def __getitem__(self, i: int) -> CohortEcg:
        """Draw row ``i``."""
        if not 0 <= i < self.n:
            raise IndexError(f"{self.name} has rows 0 to {self.n - 1}, not {i}")
        patient, at = self._visit(i)
        ecg = patient.record(at)
        outcomes: dict[str, float] = {"cart": float(RECORDERS.index(patient.recorder))}
        for part in self.knows:
            outcomes |= _KNOWN[part](patient, at)
        return CohortEcg(
            key=f"{self.name}-{i:06d}",
            patient_key=patient.patient_id,
            samples=ecg.samples,
            sample_rate_hz=ecg.sample_rate_hz,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit,
            age_years=ecg.age_years,
            sex=ecg.sex,
            centre=patient.recorder.device_id,
            outcomes=outcomes,
            velocities_cm_s=velocity_curves(patient.velocities(at)) if "echo" in self.knows else None,
        )

    def recorded(self, i: int) -> EcgRecorded:
        """Row ``i`` as the pipeline gets it."""
        patient, at = self._visit(i)
        return patient.record(at)

    def _visit(self, i: int) -> tuple[SimulatedPatient, datetime]:
        seed = FIRST_SEED + (self.seed * 100 + self.number) * _SEEDS_OF_ONE + i % self.n_patients
        visit = np.random.default_rng([seed, _VISIT, i // self.n_patients])
        patient = SimulatedPatient(
            seed=seed,
            course=Course(start=0.0, end=0.0),
            recorder=self.recorders[int(visit.integers(len(self.recorders)))],
            population=self.population,
        )
        severity = draw_severity(np.random.default_rng([seed, _SEVERITY]), patient.traits, self.population)
        patient = replace(patient, course=Course(start=severity, end=severity))
        return patient, _WHEN + timedelta(hours=float(visit.uniform(0, 8760)))


def _echo_outcomes(patient: SimulatedPatient, at: datetime) -> dict[str, float]:
    echo, traits, state = patient.echo(at), patient.traits, patient.state(at)
    return {
        LABEL: float(echo.is_high_risk),
        "e_prime_cm_s": echo.e_prime_cm_s,
        "e_over_e_prime": echo.e_over_e_prime,
        "tr_velocity_m_s": echo.tr_velocity_m_s,
        "la_volume_index_ml_m2": echo.la_volume_index_ml_m2,
        "lv_mass_index_g_m2": echo.lv_mass_index_g_m2,
        "hypertension": float(traits.has_hypertension),
        "kidney_disease": float(traits.has_kidney_disease),
        "atrial_fibrillation": float(state.is_fibrillating),
    }


def _flag_outcomes(patient: SimulatedPatient, at: datetime) -> dict[str, float]:
    rng = np.random.default_rng([patient.seed, _AFTER, 0])
    return draw_flags(rng, patient.traits, patient.state(at))


def _follow_up_outcomes(patient: SimulatedPatient, at: datetime) -> dict[str, float]:
    rng = np.random.default_rng([patient.seed, _AFTER, 1])
    followed = draw_follow_up(rng, patient.traits, patient.state(at))
    return {"follow_up_years": followed.years, "event": float(followed.event)}


_KNOWN: Final[dict[str, Callable[[SimulatedPatient, datetime], dict[str, float]]]] = {
    "echo": _echo_outcomes,
    "flags": _flag_outcomes,
    "follow_up": _follow_up_outcomes,
}


def registry(n: int = 16_000, seed: int = 1) -> SimulatedCohort:
    """Unlabelled ECGs, for the encoder's pretraining."""
    return SimulatedCohort(name="registry", number=0, n=n, n_patients=n, seed=seed)


def doppler(n: int = 6_000, seed: int = 1) -> SimulatedCohort:
    """ECGs with tissue Doppler of the same moment, for the motion generator."""
    return SimulatedCohort(name="doppler", number=1, n=n, n_patients=n, seed=seed, knows=("echo",))


def development(n: int = 1012, seed: int = 1) -> SimulatedCohort:
    """Labelled ECGs of several centres, for the ensemble; as many as in the published study."""
    return SimulatedCohort(name="development", number=2, n=n, n_patients=n, seed=seed, knows=("echo",))


def external(n: int = 956, seed: int = 1) -> SimulatedCohort:
    """Labelled ECGs of another population on a cart never seen in training; published size."""
    return SimulatedCohort(
        name="external",
        number=3,
        n=n,
        n_patients=n,
        seed=seed,
        population=_ELSEWHERE,
        recorders=(UNSEEN_RECORDER,),
        knows=("echo",),
    )


def echonext_like(n: int = 100_000, n_patients: int = 36_286, seed: int = 1) -> SimulatedCohort:
    """ECGs with flags of structural heart disease, several of a patient; published size."""
    return SimulatedCohort(
        name="echonext-like",
        number=4,
        n=n,
        n_patients=min(n, n_patients),
        seed=seed,
        population=_ELSEWHERE,
        recorders=(RECORDERS[1],),
        knows=("flags",),
    )


def code_like(n: int = 233_770, seed: int = 1) -> SimulatedCohort:
    """First ECGs of primary care with years of follow-up and competing death; published size."""
    return SimulatedCohort(
        name="code-like",
        number=5,
        n=n,
        n_patients=n,
        seed=seed,
        population=_PRIMARY_CARE,
        recorders=(UNSEEN_RECORDER,),
        knows=("follow_up",),
    )
