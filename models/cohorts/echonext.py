"""EchoNext (PhysioNet, restricted licence): 100 000 ECGs with flags of structural heart disease.

::

    echonext_metadata_100k.csv                one line for each ECG, of all splits
    EchoNext_{split}_waveforms.npy            float, (N, 1, 2500, 12), 250 Hz, z-scored: not mV
    EchoNext_{split}_tabular_features.npy     float, (N, 7), standardised, gaps filled: TABULAR_COLUMNS;
                                              compared with the CSV, not used

Row i of a split's arrays is the i-th line of the CSV with that split. ``no_split`` shares patients with
``val`` and ``test`` and is left out unless asked for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.cohorts.array_files import arrays_version
from models.cohorts.echonext_metadata import INTERVALS, SPLITS, outcomes, read_metadata
from models.cohorts.errors import CohortError
from models.cohorts.npy_files import open_array
from models.cohorts.rows import CohortEcg, Provenance
from models.cohorts.tables import Table
from schemas.leads import LEADS_12
from schemas.recorded import Sex

#: Splits without a patient in common.
DEFAULT_SPLITS: Final = ("train", "val", "test")
SAMPLE_RATE_HZ: Final = 250.0
#: Columns of the tabular features. The data set's own description lists the age last; it is second.
TABULAR_COLUMNS: Final = ("sex", "age_at_ecg", *INTERVALS)

_AGE: Final = TABULAR_COLUMNS.index("age_at_ecg")
#: With fewer ages than this, chance could make columns alike.
_ENOUGH_AGES: Final = 20
#: The tabular age is the CSV's, standardised, with the median where it is missing.
_SAME: Final = 0.99
#: Of two columns put in order, as all ages of one range are alike then.
_SAME_IN_ORDER: Final = 0.9999


class EchoNext:
    """ECGs of EchoNext; a :class:`models.cohorts.rows.RowSource`.

    Outcomes are those of :func:`models.cohorts.echonext_metadata.outcomes`: the 12 flags, whether each was
    measured, the echo's numbers and the five intervals, by the names of the CSV.
    """

    def __init__(self, folder: Path, splits: Sequence[str] = DEFAULT_SPLITS) -> None:
        """Read the CSV, and check that each split's arrays fit it.

        Raises
        ------
        CohortError
            When a file or column is missing, or an array is not of its layout or not of its rows.
        """
        if not splits or len(set(splits)) < len(splits) or not set(splits) <= set(SPLITS):
            raise CohortError(f"splits {', '.join(splits)}: give some of {', '.join(SPLITS)}, each once")
        self._folder, self._table = folder, read_metadata(folder)
        of_row = np.array(self._table.texts["split"])
        self._rows = {split: np.flatnonzero(of_row == split) for split in splits}
        for split, rows in self._rows.items():
            _require_fits(folder, split, self._table, rows)
        self._arrays = arrays_version(_path(folder, split, "waveforms") for split in splits)
        self._waveforms: dict[str, npt.NDArray[Any]] = {}

    @property
    def provenance(self) -> Provenance:
        """EchoNext, and which splits of it."""
        of_row = self._table.texts["split"]
        others = [split for split in SPLITS if split not in self._rows and split in of_row]
        return Provenance(
            name="EchoNext",
            is_simulated=False,
            details=f"splits {', '.join(self._rows)}; {self._table.version}; {self._arrays}",
            left_out={f"split {split}": of_row.count(split) for split in others},
        )

    def __len__(self) -> int:
        """Count the ECGs of the splits asked for."""
        return sum(map(len, self._rows.values()))

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read row ``i``: splits in the order asked for, each in the order of its arrays."""
        split, position = self._place(i)
        table, row = self._table, int(self._rows[split][position])
        age, is_male = table.numbers["age_at_ecg"][row], table.numbers["sex"][row]
        return CohortEcg(
            key=table.texts["ecg_key"][row],
            patient_key=table.texts["patient_key"][row],
            samples=self._samples(split, position),
            sample_rate_hz=SAMPLE_RATE_HZ,
            lead_names=LEADS_12,
            uv_per_unit=None,
            age_years=None if np.isnan(age) else float(age),
            sex=Sex.UNKNOWN if np.isnan(is_male) else (Sex.MALE if is_male else Sex.FEMALE),
            split=split,
            outcomes=outcomes(table, row),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind the mapped arrays; each process maps its own."""
        return self.__dict__ | {"_waveforms": {}}

    def _place(self, i: int) -> tuple[str, int]:
        position = i
        for split, rows in self._rows.items():
            if 0 <= position < len(rows):
                return split, position
            position -= len(rows)
        raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")

    def _samples(self, split: str, position: int) -> npt.NDArray[np.float32]:
        if split not in self._waveforms:
            self._waveforms[split] = _open_waveforms(self._folder, split)
        z = self._waveforms[split][position, 0]  # (2500, 12)
        return np.ascontiguousarray(z.T, dtype=np.float32)


def _require_fits(folder: Path, split: str, table: Table, rows: npt.NDArray[np.int64]) -> None:
    """Raise CohortError unless a split's arrays are of the CSV's rows, in their order."""
    tabular = _open_tabular(folder, split)
    for name, array in (("waveforms", _open_waveforms(folder, split)), ("tabular_features", tabular)):
        if len(array) != len(rows):
            raise CohortError(
                f"{_path(folder, split, name)} has {len(array)} rows, {table.path} {len(rows)} with split "
                f"{split}: take both from the same release, as they came"
            )
    ages = table.numbers["age_at_ecg"][rows]
    known = ~np.isnan(ages)
    if known.sum() >= _ENOUGH_AGES:
        _require_same_order(
            f"{_path(folder, split, 'tabular_features')} and {table.path} (split {split})",
            np.asarray(tabular, dtype=np.float64)[known],
            ages[known],
        )


def _require_same_order(which: str, tabular: npt.NDArray[np.float64], ages: npt.NDArray[np.float64]) -> None:
    """Compare ages, which both hold: they tell a file that was sorted, and columns in another order."""
    if _likeness(tabular[:, _AGE], ages) >= _SAME:
        return
    elsewhere = [i for i in range(len(TABULAR_COLUMNS)) if _likeness(tabular[:, i], ages) >= _SAME]
    if elsewhere:
        raise CohortError(f"{which}: age_at_ecg is column {elsewhere[0]} of the array, expected {_AGE}")
    if _likeness(np.sort(tabular[:, _AGE]), np.sort(ages)) >= _SAME_IN_ORDER:
        raise CohortError(f"{which} hold the same rows in different orders: take both as they came, unsorted")


def _likeness(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def _open_waveforms(folder: Path, split: str) -> npt.NDArray[Any]:
    return _open(folder, split, "waveforms", (None, 1, 2500, len(LEADS_12)))


def _open_tabular(folder: Path, split: str) -> npt.NDArray[Any]:
    return _open(folder, split, "tabular_features", (None, len(TABULAR_COLUMNS)))


def _open(folder: Path, split: str, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    return open_array(_path(folder, split, name), shape=shape, dtypes=("float16", "float32", "float64"))


def _path(folder: Path, split: str, name: str) -> Path:
    return folder / f"EchoNext_{split}_{name}.npy"
