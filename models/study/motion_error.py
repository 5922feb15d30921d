"""How far generated motion is from the measured: mean absolute error, bias, limits of agreement.

Source of the limits: Bland & Altman, Lancet 327 (1986) 307. An error says little alone: beside it stands the
error of telling everybody the cohort's mean, which needs no ECG.
"""

from dataclasses import dataclass

import numpy as np

from models.study.estimate import Z_95, Estimate, FloatArray, plain_interval
from models.study.facts import CohortFacts
from models.study.scored import MotionCohort


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionError:
    """Error of one measurement of the generated curves, in the unit its name ends in.

    Attributes
    ----------
    n, n_invented, n_lost : int
        Both there; generated where none was measured; measured where none was generated.
    mean_absolute_error, of_the_mean : Estimate, float
        Of the generator; and of telling everybody the mean.
    bias, sd : float
        Mean and standard deviation of generated minus measured: 95 % lie within bias ± 1.96 sd.
    correlation : float
        Pearson's.
    coverage : float or None
        Share of measured values within the generator's own 95 % interval; None where it has none.
    """

    name: str
    n: int
    n_invented: int
    n_lost: int
    mean_absolute_error: Estimate
    of_the_mean: float
    bias: float
    sd: float
    correlation: float
    coverage: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionErrors:
    """Errors of all measurements in one cohort.

    Attributes
    ----------
    e_prime_error_cm_s : float
        Mean absolute error of e', mean of the sites: no error of one hides the other's. NaN without e'.
    """

    cohort: CohortFacts
    is_external: bool
    e_prime_error_cm_s: float
    errors: tuple[MotionError, ...]


def motion_errors(cohort: MotionCohort) -> MotionErrors:
    """Judge each measurement; one that is nowhere both measured and generated is left out."""
    errors = tuple(filter(None, (_error(cohort, name) for name in cohort.measured)))
    sites = [each.mean_absolute_error.value for each in errors if each.name.startswith("e_prime_")]
    return MotionErrors(
        cohort=cohort.facts,
        is_external=cohort.is_external,
        e_prime_error_cm_s=float(np.mean(sites)) if sites else float("nan"),
        errors=errors,
    )


def _error(cohort: MotionCohort, name: str) -> MotionError | None:
    measured, generated = np.isfinite(cohort.measured[name]), np.isfinite(cohort.generated[name])
    both = measured & generated
    if both.sum() < 3:
        return None
    truth, told = cohort.measured[name][both], cohort.generated[name][both]
    gap = told - truth
    absolute = np.abs(gap)
    return MotionError(
        name=name,
        n=int(both.sum()),
        n_invented=int((generated & ~measured).sum()),
        n_lost=int((measured & ~generated).sum()),
        mean_absolute_error=plain_interval(
            float(absolute.mean()), float(absolute.std(ddof=1) / np.sqrt(len(gap)))
        ),
        of_the_mean=float(np.abs(truth - truth.mean()).mean()),
        bias=float(gap.mean()),
        sd=float(gap.std(ddof=1)),
        correlation=_correlation(truth, told),
        coverage=_coverage(gap, cohort.generated_sd[name][both]) if name in cohort.generated_sd else None,
    )


def _correlation(truth: FloatArray, told: FloatArray) -> float:
    spread = truth.std() * told.std()
    return float(((truth - truth.mean()) * (told - told.mean())).mean() / spread) if spread else float("nan")


def _coverage(gap: FloatArray, sd: FloatArray) -> float:
    return float((np.abs(gap) <= Z_95 * sd).mean())
