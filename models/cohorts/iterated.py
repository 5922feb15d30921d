"""Rows that can only be read from front to back, as a :class:`models.cohorts.rows.RowSource`."""

from collections.abc import Callable, Iterator
from typing import Any

from models.cohorts.errors import CohortError
from models.cohorts.rows import CohortEcg, Provenance


class IteratedRows:
    """A row source over an iterator.

    Reading forward continues the iterator, passing over what is not asked for; reading back begins it anew.
    Several processes would each go through all of it: prepare such a source with one worker.
    """

    def __init__(self, start: Callable[[], Iterator[CohortEcg]], n: int, provenance: Provenance) -> None:
        """``start`` gives a new iterator of ``n`` rows each time, always the same ones."""
        self.provenance = provenance
        self._start, self._n = start, n
        self._iterator: Iterator[CohortEcg] | None = None
        self._next = 0

    def __len__(self) -> int:
        """Count the ECGs."""
        return self._n

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i``.

        Raises
        ------
        CohortError
            When the iterator ends before its last row.
        """
        if not 0 <= i < self._n:
            raise IndexError(f"rows 0 to {self._n - 1}, not {i}")
        if self._iterator is None or i < self._next:
            self._iterator, self._next = self._start(), 0
        for ecg in self._iterator:
            self._next += 1
            if self._next == i + 1:
                return ecg
        raise CohortError(f"{self.provenance.name} ended after {self._next} of {self._n} rows")

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind how far it was read."""
        return self.__dict__ | {"_iterator": None, "_next": 0}
