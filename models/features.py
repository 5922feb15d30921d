"""What the ensemble sees beside motion and embedding: measurements, age and sex; each may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.featurized import EcgFeaturized, Measurements
from schemas.recorded import Sex

#: Which measurements the heads use, by part; the part is what an alert names.
MEASUREMENT_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "rhythm": ("heart_rate_bpm", "rr_sd_ms"),
    "atria": ("pr_ms", "p_duration_ms", "p_terminal_v1_mv_ms"),
    "conduction": ("qrs_ms", "qrs_axis_deg"),
    "repolarisation": ("qtc_ms", "t_v5_mv", "st_v5_mv"),
    "voltage": ("r_avl_mv", "s_v1_mv", "s_v3_mv", "r_v5_mv", "r_v6_mv"),
}
MOTION: Final = "motion"
FOUNDATION: Final = "foundation"
AGE, SEX = "age_years", "sex"

#: One row of a feature vector after another; a name's part is in the second place.
COLUMNS: Final = (
    *((name, part) for part, names in MEASUREMENT_PARTS.items() for name in names),
    (AGE, "age"),
    (SEX, "sex"),
)
COLUMN_NAMES: Final = tuple(name for name, _ in COLUMNS)
#: What a contribution is of: the synthetic motion, the encoder's embedding, and the parts of the columns.
PARTS: Final = (MOTION, FOUNDATION, *MEASUREMENT_PARTS, "age", "sex")

#: Where a standardised feature is cut: one absurd measurement must not decide.
CLIP: Final = 3.0

Features = npt.NDArray[np.float32]

_SEX: Final = {Sex.MALE: 1.0, Sex.FEMALE: -1.0, Sex.UNKNOWN: np.nan}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is known of the person beside the ECG."""

    age_years: float | None
    sex: Sex


def feature_row(measurements: Measurements, person: Person) -> list[float]:
    """Collect one ECG's features; NaN where one is missing."""
    out = [_or_nan(getattr(measurements, name)) for name in COLUMN_NAMES[:-2]]
    return [*out, _or_nan(person.age_years), _SEX[person.sex]]


def feature_rows(ecgs: Sequence[EcgFeaturized]) -> Features:
    """Collect features of ECGs.

    Returns
    -------
    numpy.ndarray
        float32, (n_ecgs, len(COLUMNS)), units of :class:`schemas.featurized.Measurements`, NaN is missing.
    """
    rows = [feature_row(e.measurements, Person(age_years=e.age_years, sex=e.sex)) for e in ecgs]
    return np.array(rows, dtype=np.float32).reshape(len(ecgs), len(COLUMNS))


def _or_nan(number: float | None) -> float:
    return float("nan") if number is None else number
