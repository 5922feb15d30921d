"""One recording of a cohort, and a cohort as rows of them: whatever the source, the same shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from schemas.recorded import Sex

#: Outcome that is the label: 1 for the high-risk phenotype, 0 without it.
LABEL: Final = "is_high_risk"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortEcg:
    """One ECG of a cohort, with what else is known of its patient.

    Attributes
    ----------
    key : str
        Names the recording within its cohort.
    patient_key : str
        Names the patient within the cohort; rows of one patient are never split.
    samples : numpy.ndarray
        int16 or float32, (n_leads, n_samples), units of ``uv_per_unit`` µV.
    uv_per_unit : float or None
        None where amplitudes have no unit (z-scored sources): the shape is used, voltages are missing.
    split : str
        Part of the cohort its publisher assigned, e.g. ``train``; empty where there is none.
    outcomes : mapping of str to float
        What is known beside the ECG, by the source's own column name; NaN where it is not known.
    velocities_cm_s : numpy.ndarray or None
        float32, (2, 128), cm/s; tissue-Doppler curves (septal, lateral) over one cycle from R to R.
    """

    key: str
    patient_key: str
    samples: npt.NDArray[np.generic]
    sample_rate_hz: float
    lead_names: tuple[str, ...]
    uv_per_unit: float | None
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    split: str = ""
    centre: str = ""
    outcomes: Mapping[str, float] = field(default_factory=dict)
    velocities_cm_s: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a cohort's rows are; written beside everything that is made of them.

    Attributes
    ----------
    name : str
        E.g. ``EchoNext``.
    is_simulated : bool
        Whether the rows were drawn rather than recorded.
    details : str
        What tells this choice of rows from another of the same source: splits, seed, options. The same rows
        have the same details, so that work on them can be resumed.
    left_out : mapping of str to int
        How many rows the source holds but does not offer, by reason.
    """

    name: str
    is_simulated: bool
    details: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)


class RowSource(Protocol):
    """A cohort as rows in a fixed order, each read or drawn when asked for.

    It can be pickled, without what it has read, so that several processes can each read a part. Reading one
    row after the other is fast and takes a bounded amount of memory.
    """

    @property
    def provenance(self) -> Provenance:
        """What the rows are."""

    def __len__(self) -> int:
        """Count the ECGs."""

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i``, from 0; IndexError outside."""
