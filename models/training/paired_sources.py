"""A site's paired cohort dealt to the three learnt parts, patient by patient.

Whoever is in one part is in no other. Where the cohort's own splits bear the names of parts, those count;
otherwise patients are dealt: those without tissue Doppler and label teach the encoder, those with one of the
two the generator or the ensemble, those with both whichever of the parts lacks patients.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.paired import PairedCohort
from models.cohorts.paired_table import LABEL
from models.cohorts.rows import CohortEcg, Provenance, RowSource
from models.training.sources import TrainingSources
from models.training.splits import patient_folds

REGISTRY, DOPPLER, DEVELOPMENT, EXTERNAL = "registry", "doppler", "development", "external"
PARTS: Final = (REGISTRY, DOPPLER, DEVELOPMENT, EXTERNAL)
#: Patients of each part where all could be in any; of the encoder's ECGs there are never enough.
SHARES: Final = {REGISTRY: 0.4, DOPPLER: 0.25, DEVELOPMENT: 0.35}
#: Fewer patients give a part nothing to be judged on.
FEWEST: Final = 10
#: Patients are dealt in so many equal hands.
_HANDS: Final = 20

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenRows:
    """Some rows of a source; a :class:`models.cohorts.rows.RowSource` itself.

    Attributes
    ----------
    name : str
        What they are chosen for.
    """

    source: RowSource
    rows: Rows
    name: str
    why: str

    @property
    def provenance(self) -> Provenance:
        """The source's, with what was chosen of it."""
        whole = self.source.provenance
        left_out = {**whole.left_out, "in another part": len(self.source) - len(self.rows)}
        details = f"{whole.details}; {self.name}: {self.why}"
        return replace(whole, name=f"{whole.name}, {self.name}", details=details, left_out=left_out)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i`` of those chosen."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        return self.source[int(self.rows[i])]


def paired_sources(folder: Path, seed: int) -> TrainingSources:
    """Open a paired cohort for training.

    Parameters
    ----------
    seed : int
        Deals patients where the cohort's splits do not name the parts.

    Raises
    ------
    CohortError
        When the folder is not of our layout, or leaves a part with fewer than ten patients.
    """
    cohort = PairedCohort(folder)
    patients = np.array(cohort.patient_keys)
    has_doppler, has_label = cohort.has_velocities(), np.isfinite(cohort.outcome(LABEL))
    splits = np.array(cohort.splits)
    named = np.isin(splits, PARTS)
    if named.any():
        part, why = splits, "as its splits say"
    else:
        part, why = _dealt(patients, has_doppler, has_label, seed), f"dealt by patient, seed {seed}"
    usable = {REGISTRY: True, DOPPLER: has_doppler, DEVELOPMENT: has_label, EXTERNAL: has_label}
    rows = {name: np.flatnonzero((part == name) & usable[name]) for name in PARTS}
    for name in SHARES:
        _require_patients(cohort, name, len(set(patients[rows[name]].tolist())))
    chosen = {name: ChosenRows(source=cohort, rows=rows[name], name=name, why=why) for name in PARTS}
    return TrainingSources(
        registry=chosen[REGISTRY],
        doppler=chosen[DOPPLER],
        development=chosen[DEVELOPMENT],
        external=chosen[EXTERNAL] if len(chosen[EXTERNAL]) else None,
        what=f"patients of the paired ECG–echo cohort {cohort.provenance.name}",
    )


def _dealt(
    patients: npt.NDArray[np.str_],
    has_doppler: npt.NDArray[np.bool_],
    has_label: npt.NDArray[np.bool_],
    seed: int,
) -> npt.NDArray[np.str_]:
    """Part of each row, the same for all rows of a patient."""
    names, of_row = np.unique(patients, return_inverse=True)
    kind = np.zeros(len(names), dtype=np.int64)  # bit 0: has tissue Doppler, bit 1: has a label
    np.bitwise_or.at(kind, of_row, has_doppler.astype(np.int64) + 2 * has_label.astype(np.int64))
    part = np.full(len(names), REGISTRY, dtype="<U12")
    if len(names) < _HANDS:
        return part[of_row]
    # Hands are alike in kind, so that each part gets its share of each kind.
    hand = patient_folds(names, _HANDS, seed, kind.astype(np.float64)) / _HANDS
    to_registry = max(0.0, SHARES[REGISTRY] - float((kind == 0).mean())) / max(float((kind > 0).mean()), 1e-9)
    place = np.clip((hand - to_registry) / max(1.0 - to_registry, 1e-9), -1.0, 1.0)  # below 0: the registry
    of_both = SHARES[DOPPLER] / (SHARES[DOPPLER] + SHARES[DEVELOPMENT])
    part[(kind == 1) & (place >= 0)] = DOPPLER
    part[(kind == 2) & (place >= 0)] = DEVELOPMENT
    part[(kind == 3) & (place >= 0)] = DEVELOPMENT
    part[(kind == 3) & (place >= 0) & (place < of_both)] = DOPPLER
    return part[of_row]


def _require_patients(cohort: PairedCohort, name: str, n: int) -> None:
    if n < FEWEST:
        raise CohortError(
            f"{cohort.provenance.name}: {n} patients for the part {name}, at least {FEWEST} are needed; "
            "registry takes any ECG, doppler one with tissue Doppler, development one with "
            f"{LABEL}. Name the parts in the column split, or bring more patients"
        )
