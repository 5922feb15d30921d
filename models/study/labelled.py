"""From a prepared cohort and what models said of it to what the study judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.featurized import Cohort
from models.cohorts.rows import LABEL
from models.features import AGE, COLUMN_NAMES, SEX
from models.study.estimate import BoolArray, FloatArray
from models.study.scored import ScoredCohort, Text

_COVARIATES: Final = (
    "lv_mass_index_g_m2",
    "la_volume_index_ml_m2",
    "hypertension",
    "kidney_disease",
    "atrial_fibrillation",
)
_MEASURED: Final = COLUMN_NAMES[: COLUMN_NAMES.index(AGE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the report says of a cohort: its name, who is in it, whether they are simulated."""

    name: str
    what: str
    is_simulated: bool
    n_left_out: int = 0


def has_label(cohort: Cohort) -> BoolArray:
    """Whose phenotype is known, (n,)."""
    return np.isfinite(cohort.outcomes[LABEL])


def first_of_each_patient(cohort: Cohort) -> BoolArray:
    """First row of each patient, (n,): the rows of one patient are not independent."""
    first = np.zeros(len(cohort), dtype=np.bool_)
    first[np.unique(cohort.patient_keys, return_index=True)[1]] = True
    return first


def labelled_cohort(
    told: Told,
    cohort: Cohort,
    places: Mapping[str, Text],
    probability: Mapping[str, FloatArray],
    threshold: float,
) -> ScoredCohort:
    """Put a labelled cohort together, one ECG a patient.

    Parameters
    ----------
    cohort : Cohort
        Every row with a label.
    places, probability : mapping of str to numpy.ndarray
        (n,), by name, and by model.
    """
    rows = first_of_each_patient(cohort)
    covariates = {name: cohort.outcomes[name][rows] for name in _COVARIATES if name in cohort.outcomes}
    return ScoredCohort(
        name=told.name,
        what=told.what,
        is_simulated=told.is_simulated,
        n_patients=int(rows.sum()),
        label=np.array(cohort.outcomes[LABEL][rows]),
        probability={model: np.array(chances[rows]) for model, chances in probability.items()},
        threshold=threshold,
        covariates=demographics(cohort.features[rows]) | covariates,
        places={name: np.array(place[rows]) for name, place in places.items()},
        measurements={name: feature(cohort.features, name)[rows] for name in _MEASURED},
        n_not_scored=told.n_left_out + int((~rows).sum()),
    )


def demographics(features: npt.NDArray[np.float32]) -> dict[str, FloatArray]:
    """Age and sex as the study wants them: float64, (n,), NaN unknown."""
    sex = feature(features, SEX)
    return {
        "age_years": feature(features, AGE),
        "is_male": np.where(np.isnan(sex), np.nan, (sex > 0).astype(float)),
    }


def feature(features: npt.NDArray[np.float32], name: str) -> FloatArray:
    """One column of the features: float64, (n,), NaN missing."""
    return np.array(features[:, COLUMN_NAMES.index(name)], dtype=np.float64)
