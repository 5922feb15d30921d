"""What the data of a cohort were, and the checks that every cohort given to the study passes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.study.errors import StudyError
from models.study.estimate import FloatArray
from models.study.wording import count

Array = npt.NDArray[np.generic]
Columns = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortFacts:
    """What the data of a cohort were: stands in every heading beside its results.

    Attributes
    ----------
    name : str
        ``development``, ``external`` …
    what : str
        Who they are and how they were scored; a sentence without its full stop.
    n_patients, n_ecgs : int
        Those judged.
    n_not_scored : int
        ECGs that the model refused or that lack what is judged: told, and in no statistic.
    """

    name: str
    what: str
    is_simulated: bool
    n_patients: int
    n_ecgs: int
    n_not_scored: int = 0

    @property
    def heading(self) -> str:
        """Short form for headings.

        >>> CohortFacts(name="external", what="", is_simulated=True, n_patients=956, n_ecgs=956).heading
        'external: simulated, 956 patients'
        """
        kind = "simulated" if self.is_simulated else "real"
        ecgs = "" if self.n_ecgs == self.n_patients else f", {count(self.n_ecgs)} ECGs"
        return f"{self.name}: {kind}, {count(self.n_patients)} patients{ecgs}"


def same_length(n: int, name: str, *mappings: Columns) -> None:
    """Refuse a column that is not (n,)."""
    for column, array in ((column, array) for each in mappings for column, array in each.items()):
        if array.shape != (n,):
            raise StudyError(f"{name}: {column} has shape {array.shape}, not ({n},)")


def zero_or_one(flag: FloatArray, name: str) -> None:
    """Refuse a flag that is something else."""
    if not np.isin(flag, (0.0, 1.0)).all():
        raise StudyError(f"{name} must be 0 or 1")


def probabilities(columns: Mapping[str, FloatArray], name: str) -> None:
    """Refuse a probability that is missing or outside of 0 to 1."""
    for model, probability in columns.items():
        if not ((probability >= 0.0) & (probability <= 1.0)).all():
            raise StudyError(f"{name}: {model} needs a probability of every row, 0 to 1")


def freeze(*parts: Array | Columns) -> None:
    """Make arrays read-only: what is frozen must not change through its arrays."""
    for part in parts:
        for array in part.values() if isinstance(part, Mapping) else (part,):
            array.flags.writeable = False
