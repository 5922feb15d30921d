"""Cohorts as if they had been scored, drawn from a latent risk, for tests of what judges them."""

import numpy as np
from scipy.special import expit

from models.study.diseases import TITLES
from models.study.scored import DiseaseCohort, MotionCohort, OutcomeCohort, ScoredCohort
from models.study.study import StudyInputs

#: Of each model's view of the latent risk: the more noise, the less it sees.
NOISE = {"ensemble": 0.62, "foundation": 0.90, "motion": 1.0, "ensemble without motion": 0.75}
E_PRIME = {"e_prime_septal_cm_s": 7.5, "e_prime_lateral_cm_s": 9.5}


def scored_cohort(name: str, n: int, *, seed: int = 0, shift: float = -0.4) -> ScoredCohort:
    """A labelled cohort; ``shift`` moves everybody's risk and with it the prevalence."""
    rng = np.random.default_rng([seed, 1])
    age = np.clip(rng.normal(62, 14, n), 25, 95)
    risk = rng.standard_normal(n) + 0.04 * (age - 62)
    label = (rng.random(n) < expit(2.6 * risk + 1.6 * shift)).astype(float)
    return ScoredCohort(
        name=name,
        what="drawn from a latent risk for tests, out-of-fold predictions",
        is_simulated=True,
        n_patients=n,
        label=label,
        probability={
            model: expit(_slope(noise) * (risk + noise * rng.standard_normal(n)) + 1.2 * shift)
            for model, noise in NOISE.items()
        },
        threshold=0.5,
        covariates=_covariates(rng, age, risk),
        places={
            "centre": rng.choice(["north", "south", "west"], n, p=[0.5, 0.4, 0.1]),
            "recorder": rng.choice(["MAC 3", "ELI 4"], n),
        },
        measurements={
            "pr_ms": np.where(rng.random(n) < 0.1, np.nan, 160 + 8 * risk + rng.normal(0, 20, n)),
            "qtc_ms": 430 + 9 * risk + rng.normal(0, 18, n),
            "qrs_axis_deg": 30 + rng.normal(0, 40, n) * (1 + 0.3 * np.maximum(risk, -1)),
        },
        n_not_scored=7,
    )


def _slope(noise: float) -> float:
    """Calibrated: who sees the risk through noise must be so much less extreme."""
    return 2.2 / (1 + noise**2)


def _covariates(rng: np.random.Generator, age: np.ndarray, risk: np.ndarray) -> dict[str, np.ndarray]:
    n = len(age)
    return {
        "age_years": age,
        "is_male": (rng.random(n) < 0.5).astype(float),
        "lv_mass_index_g_m2": 85 + 10 * risk + rng.normal(0, 18, n),
        "la_volume_index_ml_m2": np.where(rng.random(n) < 0.05, np.nan, 28 + 4 * risk + rng.normal(0, 7, n)),
        "hypertension": (rng.random(n) < expit(0.5 * risk - 0.2)).astype(float),
        "kidney_disease": (rng.random(n) < expit(0.6 * risk - 2)).astype(float),
        "atrial_fibrillation": (rng.random(n) < expit(0.8 * risk - 3)).astype(float),
    }


def disease_cohort(n_patients: int, *, seed: int = 0) -> DiseaseCohort:
    """Two ECGs a patient, flags of which a part was never looked for."""
    rng = np.random.default_rng([seed, 2])
    patients = np.repeat(np.arange(n_patients), 2)
    risk = rng.standard_normal(n_patients)[patients]
    flags, measured = {}, {}
    for i, flag in enumerate(TITLES):
        truth = rng.random(len(patients)) < expit(1.2 * risk - 1.2 - 0.12 * i)
        measured[flag] = rng.random(len(patients)) < expit(0.6 + 1.2 * truth)
        flags[flag] = (truth & measured[flag]).astype(float)
    return DiseaseCohort(
        name="EchoNext-like",
        what="drawn from a latent risk for tests",
        is_simulated=True,
        n_patients=n_patients,
        patient_keys=patients,
        flags=flags,
        is_measured=measured,
        probability={
            model: expit(risk + NOISE[model] * rng.standard_normal(len(patients)) - 0.8)
            for model in ("motion", "foundation", "ensemble")
        },
    )


def outcome_cohort(n: int, *, seed: int = 0, are_causes_known: bool = True) -> OutcomeCohort:
    """Followed for one to seven years; constant hazards, three times as high at high risk."""
    rng = np.random.default_rng([seed, 3])
    is_high = rng.random(n) < 0.2
    age = np.clip(rng.normal(54, 15, n) + 8 * is_high, 18, 99)
    older = np.exp(0.03 * (age - 54))
    ends = np.stack(
        [
            rng.uniform(1, 7.5, n),
            rng.exponential(1 / (0.0075 * np.where(is_high, 3.0, 1.0) * older)),
            rng.exponential(1 / (0.010 * np.where(is_high, 1.3, 1.0) * older)),
        ]
    )
    event = ends.argmin(axis=0)
    return OutcomeCohort(
        name="CODE-like",
        what="drawn with constant hazards for tests",
        is_simulated=True,
        n_patients=n,
        is_high=is_high,
        years=ends.min(axis=0),
        event=event if are_causes_known else (event > 0).astype(np.int64),
        are_causes_known=are_causes_known,
        covariates={"age_years": age, "is_male": (rng.random(n) < 0.4).astype(float)},
        **({"event_names": ("heart-failure death", "death of another cause")} if are_causes_known else {}),
    )


def motion_cohort(name: str, n: int, *, is_external: bool, error_cm_s: float, seed: int = 0) -> MotionCohort:
    """e' of two sites and an a' that some have not."""
    rng = np.random.default_rng([seed, 4])
    measured = {site: rng.normal(mean, 2.2, n) for site, mean in E_PRIME.items()}
    measured["a_prime_septal_cm_s"] = np.where(rng.random(n) < 0.1, np.nan, rng.normal(9, 2, n))
    generated = {site: 0.6 * (each - 8) + 8 + rng.normal(0, error_cm_s, n) for site, each in measured.items()}
    return MotionCohort(
        name=name,
        what="drawn for tests",
        is_simulated=True,
        n_patients=n,
        is_external=is_external,
        measured=measured,
        generated=generated,
        generated_sd={site: np.full(n, 1.2 * error_cm_s) for site in E_PRIME},
    )


def study_inputs(size: float = 1.0) -> StudyInputs:
    """All parts of a study, ``size`` of the published one."""
    return StudyInputs(
        bundle_version="test-1",
        bundle_sha256="0" * 64,
        trained_on="simulated cohort, seed 1",
        development=scored_cohort("development", int(1012 * size), seed=1),
        external=scored_cohort("external", int(956 * size), seed=2, shift=0.0),
        diseases=disease_cohort(int(18_000 * size), seed=3),
        outcomes=outcome_cohort(int(233_770 * size), seed=4),
        motion=(
            motion_cohort("Doppler, internal", int(1000 * size), is_external=False, error_cm_s=1.0),
            motion_cohort("Doppler, external", int(900 * size), is_external=True, error_cm_s=1.5),
        ),
        is_quick=size < 1.0,
    )
