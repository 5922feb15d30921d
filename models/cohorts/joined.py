"""Several sources of rows, one after the other, as one."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from models.cohorts.rows import CohortEcg, Provenance, RowSource


class JoinedRows:
    """Rows of all sources, in the order given; a :class:`models.cohorts.rows.RowSource`.

    Every row has the outcomes of the first source's rows: what another source says beside them is left
    out, what it does not say is NaN. So all rows are alike, as preparation wants them.
    """

    def __init__(self, sources: Sequence[RowSource]) -> None:
        """Join sources, of which the first has a row at least."""
        self._sources = tuple(sources)
        self._stops = list(accumulate(len(source) for source in self._sources))
        self._outcomes = tuple(self._sources[0][0].outcomes)

    @property
    def provenance(self) -> Provenance:
        """The first's name; simulated as soon as one of them is."""
        whole = [source.provenance for source in self._sources]
        left_out: dict[str, int] = {}
        for each in whole:
            for reason, n in each.left_out.items():
                left_out[reason] = left_out.get(reason, 0) + n
        return Provenance(
            name=whole[0].name,
            is_simulated=any(each.is_simulated for each in whole),
            details=" and ".join(f"{each.name}: {each.details}" for each in whole),
            left_out=left_out,
        )

    def __len__(self) -> int:
        """Count the rows of all."""
        return self._stops[-1]

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i``."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        which = bisect_right(self._stops, i)
        row = self._sources[which][i - (self._stops[which - 1] if which else 0)]
        nan = float("nan")
        return replace(row, outcomes={name: row.outcomes.get(name, nan) for name in self._outcomes})
