"""Some rows of a source, as a source of their own."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.cohorts.rows import CohortEcg, Provenance, RowSource


class SubsetRows:
    """Chosen rows of a source, in the order given; a :class:`models.cohorts.rows.RowSource`."""

    def __init__(self, source: RowSource, rows: Sequence[int] | npt.NDArray[np.int64], what: str) -> None:
        """Choose rows; ``what`` names them, as ``development``: the same words, the same rows."""
        self._source, self._what = source, what
        self._rows = np.asarray(rows, dtype=np.int64)
        if self._rows.size and not 0 <= self._rows.min() <= self._rows.max() < len(source):
            raise IndexError(f"rows of {len(source)} reach from {self._rows.min()} to {self._rows.max()}")

    @property
    def provenance(self) -> Provenance:
        """The source's, of fewer rows."""
        whole = self._source.provenance
        others = len(self._source) - len(np.unique(self._rows))
        return Provenance(
            name=whole.name,
            is_simulated=whole.is_simulated,
            details=f"{self._what} of: {whole.details}",
            left_out={**whole.left_out, **({"not chosen": others} if others else {})},
        )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._rows)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i``."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        return self._source[int(self._rows[i])]
