"""Our own layout of paired ECGs and echocardiograms: what a site brings to train and judge on its patients.

::

    cohort.json            name, is_simulated, sample rate, lead names, µV per unit, centres, notes
    cohort.csv             one line for each ECG: key, patient_key, centre, split, age_years, sex, outcomes
    ecgs.npy               int16 or float32, (N, n_leads, n_samples); or ecgs_000.npy, ecgs_001.npy …
    tissue_doppler.npy     float32, (N, 2, 128), cm/s, NaN where not done; may be missing

Row i of every array is line i of the CSV; the arrays of several parts count on. docs/paired-cohort.md says it
in full, for those who write such folders.
"""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.cohorts.array_files import arrays_version
from models.cohorts.errors import CohortError
from models.cohorts.npy_files import blocks, open_array
from models.cohorts.paired_description import Description, Recording, read_description
from models.cohorts.paired_table import AGE, MOST_CM_S, SEX, outcome_names, read_paired_table, sex_of
from models.cohorts.preparation import VELOCITY_SHAPE
from models.cohorts.rows import CohortEcg, Provenance
from models.signal import is_long_enough

VELOCITIES_FILE: Final = "tissue_doppler.npy"


class PairedCohort:
    """ECGs of a paired cohort; a :class:`models.cohorts.rows.RowSource`, in the order of its CSV."""

    def __init__(self, folder: Path, splits: Sequence[str] | None = None) -> None:
        """Read description and table, and check that the arrays fit them.

        Parameters
        ----------
        splits : sequence of str, optional
            Which to read, of those that the CSV names; by default all rows.

        Raises
        ------
        CohortError
            When a file is missing or not as the layout says; the message names file, line and column.
        """
        self._folder = folder
        self._description: Description = read_description(folder)
        self._table = read_paired_table(folder, self._description.centres)
        self._outcomes = outcome_names(self._table)
        counts = [len(_open_ecgs(folder, each)) for each in self._description.recordings]
        self._stops = list(accumulate(counts))
        _require_rows(folder, self._table.version, len(self._table), self._description, self._stops)
        self._row = self._chosen(splits)
        self._splits = splits
        self._has_velocities = (folder / VELOCITIES_FILE).exists()
        if self._has_velocities:
            self._open_velocities()
        velocities = [VELOCITIES_FILE] if self._has_velocities else []
        files = dict.fromkeys([*(each.file for each in self._description.recordings), *velocities])
        self._arrays = arrays_version(folder / file for file in files)
        self._opened: dict[str, npt.NDArray[Any]] = {}

    @property
    def provenance(self) -> Provenance:
        """What ``cohort.json`` says of it, and which splits."""
        which = "all rows" if self._splits is None else f"splits {', '.join(self._splits)}"
        left_out = len(self._table) - len(self._row)
        return Provenance(
            name=self._description.name,
            is_simulated=self._description.is_simulated,
            details=f"{which}; {self._description.version}; {self._table.version}; {self._arrays}",
            left_out={"in another split": left_out} if left_out else {},
        )

    @property
    def keys(self) -> list[str]:
        """Name of each row."""
        return [self._table.texts["key"][row] for row in self._row]

    @property
    def patient_keys(self) -> list[str]:
        """Patient of each row."""
        return [self._table.texts["patient_key"][row] for row in self._row]

    @property
    def splits(self) -> list[str]:
        """Split of each row; empty where the CSV names none."""
        return [self._text("split", row) for row in self._row]

    def outcome(self, name: str) -> npt.NDArray[np.float64]:
        """One outcome of each row: float64, (n,), NaN where it is not known.

        Raises
        ------
        CohortError
            When the CSV has no such column.
        """
        if name not in self._outcomes:
            there = ", ".join(self._outcomes) or "none"
            raise CohortError(f"{self._table.path} has no outcome {name}; it has {there}")
        return self._table.numbers[name][self._row]

    def has_velocities(self) -> npt.NDArray[np.bool_]:
        """Whether each row has whole curves of both sites: bool, (n,); goes through their whole array."""
        if not self._has_velocities:
            return np.zeros(len(self), dtype=bool)
        curves = self._open_velocities()
        found = [np.isfinite(block).all(axis=(1, 2)) for block in blocks(curves)]
        return np.concatenate(found)[self._row]

    def __len__(self) -> int:
        """Count the ECGs."""
        return len(self._row)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read ECG ``i``."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        row = int(self._row[i])
        part = int(np.searchsorted(self._stops, row, side="right"))
        recording = self._description.recordings[part]
        position = row - (self._stops[part - 1] if part else 0)
        age = self._number(AGE, row)
        return CohortEcg(
            key=self._table.texts["key"][row],
            patient_key=self._table.texts["patient_key"][row],
            samples=np.array(self._ecgs(recording)[position]),
            sample_rate_hz=recording.sample_rate_hz,
            lead_names=recording.lead_names,
            uv_per_unit=recording.uv_per_unit,
            age_years=None if np.isnan(age) else age,
            sex=sex_of(self._number(SEX, row)),
            split=self._text("split", row),
            centre=self._text("centre", row),
            outcomes={name: float(self._table.numbers[name][row]) for name in self._outcomes},
            velocities_cm_s=self._velocities(row),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind the mapped arrays; each process maps its own."""
        return self.__dict__ | {"_opened": {}}

    def _chosen(self, splits: Sequence[str] | None) -> npt.NDArray[np.int64]:
        if splits is None:
            return np.arange(len(self._table))
        of_row = np.array(self._table.texts.get("split", [""] * len(self._table)))
        unknown = [split for split in splits if split not in of_row]
        if unknown:
            n_named = len({str(split) for split in of_row if split})
            raise CohortError(
                f"{self._table.path} has no split {', '.join(unknown)}; its column split names {n_named}"
            )
        return np.flatnonzero(np.isin(of_row, list(splits)))

    def _text(self, name: str, row: int) -> str:
        return self._table.texts[name][row] if name in self._table.texts else ""

    def _number(self, name: str, row: int) -> float:
        return float(self._table.numbers[name][row]) if name in self._table.numbers else float("nan")

    def _ecgs(self, recording: Recording) -> npt.NDArray[Any]:
        if recording.file not in self._opened:
            self._opened[recording.file] = _open_ecgs(self._folder, recording)
        return self._opened[recording.file]

    def _velocities(self, row: int) -> npt.NDArray[np.float32] | None:
        if not self._has_velocities:
            return None
        if VELOCITIES_FILE not in self._opened:
            self._opened[VELOCITIES_FILE] = self._open_velocities()
        curves = np.array(self._opened[VELOCITIES_FILE][row], dtype=np.float32)
        if np.isnan(curves).all():
            return None
        if not np.nanmax(np.abs(curves)) <= MOST_CM_S:
            raise CohortError(
                f"{self._folder / VELOCITIES_FILE}, row {row} ({self._table.where(row)}): velocities reach "
                f"{np.nanmax(np.abs(curves)):g}, more than {MOST_CM_S:g} cm/s: give them in cm/s"
            )
        return curves

    def _open_velocities(self) -> npt.NDArray[Any]:
        return open_array(
            self._folder / VELOCITIES_FILE,
            shape=(len(self._table), *VELOCITY_SHAPE),
            dtypes=("float32", "float64"),
        )


def _open_ecgs(folder: Path, recording: Recording) -> npt.NDArray[Any]:
    n_leads = len(recording.lead_names)
    ecgs = open_array(folder / recording.file, shape=(None, n_leads, None), dtypes=("int16", "float32"))
    if not is_long_enough(ecgs.shape[2], recording.sample_rate_hz):
        raise CohortError(
            f"{folder / recording.file} holds {ecgs.shape[2]} samples of each lead, less than 10 s at "
            f"{recording.sample_rate_hz:g} Hz"
        )
    return ecgs


def _require_rows(
    folder: Path, table: str, n_lines: int, description: Description, stops: Sequence[int]
) -> None:
    if stops[-1] != n_lines:
        files = ", ".join(each.file for each in description.recordings)
        raise CohortError(
            f"{folder}: {files} hold {stops[-1]} ECGs, {table.split()[0]} has {n_lines} lines: give one line "
            "for each ECG, in the same order"
        )
