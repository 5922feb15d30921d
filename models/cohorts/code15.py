"""CODE-15 % (Zenodo 4916206, CC BY 4.0): 345 779 ECGs of 233 770 patients in primary care, with follow-up.

::

    exams.csv                  one line for each exam, in no order of the other files
    exams_part{0..17}.hdf5     exam_id, integers, (N); tracings, float, (N, 4096, 12), 400 Hz, mV

Each tracing is padded with zeros at both ends, and each part ends in a row of zeros with exam_id 0: both are
cut. Most recordings last 7 or 10 s; those shorter than 10 s are yielded as they are, with their real length.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.array_files import arrays_version
from models.cohorts.code15_exams import has_follow_up, outcomes, read_exams
from models.cohorts.code15_tracings import Tracings, without_padding
from models.cohorts.errors import CohortError
from models.cohorts.rows import CohortEcg, Provenance
from schemas.recorded import Sex

SAMPLE_RATE_HZ: Final = 400.0
LEAD_NAMES: Final = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
UV_PER_MV: Final = 1000.0

_Index = npt.NDArray[np.int64]


class Code15:
    """Exams of CODE-15 %; a :class:`models.cohorts.rows.RowSource`, in the order of the HDF5 files.

    Outcomes are those of :func:`models.cohorts.code15_exams.outcomes`.
    """

    def __init__(
        self, folder: Path, *, parts: Sequence[int] | None = None, first_exam_only: bool = False
    ) -> None:
        """Read the CSV and the exam ids of each part, and join them.

        Parameters
        ----------
        parts : sequence of int, optional
            Numbers of the parts to read; by default all that the CSV names.
        first_exam_only : bool
            Only the exams that patients were followed from: one a patient, with ``follow_up_years``.

        Raises
        ------
        CohortError
            When a file or column is missing, or not as its layout says.
        """
        self._table = read_exams(folder)
        named = sorted(set(self._table.texts["trace_file"]) - {""}, key=lambda name: (len(name), name))
        self._files = named if parts is None else [f"exams_part{part}.hdf5" for part in parts]
        self._first_exam_only = first_exam_only
        self._tracings = Tracings(folder, self._files)
        self._left_out: dict[str, int] = {}
        part, position, row = self._joined()
        self._arrays = arrays_version(folder / file for file in self._files)
        if first_exam_only:
            chosen = has_follow_up(self._table)[row]
            self._count("no follow-up from this exam", int((~chosen).sum()))
            part, position, row = part[chosen], position[chosen], row[chosen]
        self._part, self._position, self._row = part, position, row

    @property
    def provenance(self) -> Provenance:
        """CODE-15 %, and which exams of it."""
        which = "first exams" if self._first_exam_only else "all exams"
        return Provenance(
            name="CODE-15 %",
            is_simulated=False,
            details=f"{which} of {', '.join(self._files)}; {self._table.version}; {self._arrays}",
            left_out=self._left_out,
        )

    def __len__(self) -> int:
        """Count the exams."""
        return len(self._row)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read exam ``i``."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        table, row = self._table, int(self._row[i])
        age, is_male = table.numbers["age"][row], table.numbers["is_male"][row]
        tracing = without_padding(self._tracings.read(int(self._part[i]), int(self._position[i])))
        return CohortEcg(
            key=f"{table.numbers['exam_id'][row]:.0f}",
            patient_key=table.texts["patient_id"][row],
            samples=np.ascontiguousarray(tracing.T, dtype=np.float32),
            sample_rate_hz=SAMPLE_RATE_HZ,
            lead_names=LEAD_NAMES,
            uv_per_unit=UV_PER_MV,
            age_years=None if np.isnan(age) else float(age),
            sex=Sex.UNKNOWN if np.isnan(is_male) else (Sex.MALE if is_male else Sex.FEMALE),
            outcomes=outcomes(table, row),
        )

    def _joined(self) -> tuple[_Index, _Index, _Index]:
        """Find where each exam lies: part, position in it, row of the table; in the order of the files."""
        exam_ids = self._table.numbers["exam_id"].astype(np.int64)
        by_id = np.argsort(exam_ids)
        places = [np.zeros((3, 0), dtype=np.int64)]
        for part in range(len(self._files)):
            ids = self._tracings.exam_ids(part)
            position = np.flatnonzero(ids != 0)  # what has no exam is the row of zeros
            at = np.searchsorted(exam_ids, ids[position], sorter=by_id)
            known = at < len(by_id)
            known[known] = exam_ids[by_id[at[known]]] == ids[position[known]]
            self._count("tracing without a line in exams.csv", int((~known).sum()))
            row = by_id[at[known]]
            places.append(np.stack([np.full(len(row), part), position[known], row]))  # (3, n)
        part_of, position_of, row_of = np.concatenate(places, axis=1)
        self._require_once(row_of)
        self._count("line without a tracing in the parts read", len(exam_ids) - len(row_of))
        return part_of, position_of, row_of

    def _count(self, reason: str, n: int) -> None:
        if n:
            self._left_out[reason] = self._left_out.get(reason, 0) + n

    def _require_once(self, row_of: _Index) -> None:
        rows, times = np.unique(row_of, return_counts=True)
        for row in rows[times > 1][:1].tolist():
            raise CohortError(f"{self._table.where(row)}: this exam has two tracings: take each part once")
