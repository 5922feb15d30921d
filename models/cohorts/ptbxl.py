"""PTB-XL 1.0.3 (CC BY 4.0): 21 799 ECGs of 18 869 patients with statements by cardiologists.

::

    ptbxl_database.csv                         one line for each ECG
    scp_statements.csv                         what each statement's code means
    records500/00000/00001_hr.{dat,hea} …      WFDB, 12 leads × 5000 samples at 500 Hz, mV
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import wfdb

from models.cohorts.errors import CohortError
from models.cohorts.ptbxl_database import PACEMAKER, age_years, read_database, split_of_fold
from models.cohorts.ptbxl_statements import Statements, read_statements, stated_codes
from models.cohorts.rows import CohortEcg, Provenance
from schemas.leads import LEADS_12
from schemas.recorded import Sex

SPLITS: Final = ("train", "val", "test")
SAMPLE_RATE_HZ: Final = 500.0
UV_PER_MV: Final = 1000.0
_SHAPE: Final = (5000, len(LEADS_12))


class PtbXl:
    """ECGs of PTB-XL; a :class:`models.cohorts.rows.RowSource`, in the order of ``ptbxl_database.csv``.

    Outcomes are 1 or 0 for each statement's code (``AFIB``, ``IMI`` …), for each diagnostic class
    (``diagnostic_class_MI`` …) and, where its column is there, ``has_pacemaker``.
    """

    def __init__(self, folder: Path, splits: Sequence[str] = SPLITS) -> None:
        """Read the tables, and look whether the records of the splits asked for are there.

        Raises
        ------
        CohortError
            When a file or column is missing, a field cannot be read, or a record is not there.
        """
        if not splits or len(set(splits)) < len(splits) or not set(splits) <= set(SPLITS):
            raise CohortError(f"splits {', '.join(splits)}: give some of {', '.join(SPLITS)}, each once")
        self._folder, self._splits = folder, tuple(split for split in SPLITS if split in splits)
        self._table = read_database(folder)
        self._codes = [stated_codes(self._table, row) for row in range(len(self._table))]
        self._statements: Statements = read_statements(folder, self._codes)
        self._split_of = [split_of_fold(fold) for fold in self._table.numbers["strat_fold"].tolist()]
        self._row = [row for row, split in enumerate(self._split_of) if split in splits]
        self._require_records()

    @property
    def provenance(self) -> Provenance:
        """PTB-XL, and which splits of it."""
        others = [split for split in SPLITS if split not in self._splits and split in self._split_of]
        return Provenance(
            name="PTB-XL",
            is_simulated=False,
            details=f"splits {', '.join(self._splits)}; {self._table.version}",
            left_out={f"split {split}": self._split_of.count(split) for split in others},
        )

    def __len__(self) -> int:
        """Count the ECGs of the splits asked for."""
        return len(self._row)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read ECG ``i``."""
        if not 0 <= i < len(self):
            raise IndexError(f"rows 0 to {len(self) - 1}, not {i}")
        table, row = self._table, self._row[i]
        is_female = table.numbers["sex"][row]
        outcomes = self._statements.outcomes(self._codes[row])
        if PACEMAKER in table.numbers:
            outcomes["has_pacemaker"] = float(table.numbers[PACEMAKER][row])
        return CohortEcg(
            key=f"{table.numbers['ecg_id'][row]:.0f}",
            patient_key=f"{table.numbers['patient_id'][row]:.0f}",
            samples=read_record(self._record(row)),
            sample_rate_hz=SAMPLE_RATE_HZ,
            lead_names=LEADS_12,
            uv_per_unit=UV_PER_MV,
            age_years=age_years(table, row),
            sex=Sex.UNKNOWN if np.isnan(is_female) else (Sex.FEMALE if is_female else Sex.MALE),
            split=self._split_of[row],
            outcomes=outcomes,
        )

    def _record(self, row: int) -> Path:
        return self._folder / self._table.texts["filename_hr"][row]

    def _require_records(self) -> None:
        """Look for both files of each record, listing each folder once."""
        listed: dict[Path, set[str]] = {}
        for row in self._row:
            record = self._record(row)
            if record.parent not in listed:
                there = record.parent.iterdir() if record.parent.is_dir() else iter(())
                listed[record.parent] = {each.name for each in there}
            for suffix in (".hea", ".dat"):
                if f"{record.name}{suffix}" not in listed[record.parent]:
                    raise CohortError(
                        f"{record}{suffix} is not there, which {self._table.where(row)} names: "
                        "put all of records500 there"
                    )


def read_record(record: Path) -> npt.NDArray[np.float32]:
    """Read one record of PTB-XL.

    Parameters
    ----------
    record : pathlib.Path
        Without suffix.

    Returns
    -------
    numpy.ndarray
        float32, (12, 5000), mV, leads :data:`schemas.leads.LEADS_12`; NaN where a sample is marked invalid.

    Raises
    ------
    CohortError
        When it is damaged, or not of the layout.
    """
    try:
        read: Any = wfdb.rdrecord(str(record), return_res=32)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise CohortError(f"{record} is damaged ({error}): copy its .hea and .dat anew") from error
    names = [name.upper() for name in read.sig_name]  # AVR, AVL and AVF are written in capitals
    wanted = [lead.upper() for lead in LEADS_12]
    found = (read.fs, read.p_signal.shape, set(read.units))
    if found != (SAMPLE_RATE_HZ, _SHAPE, {"mV"}) or sorted(names) != sorted(wanted):
        raise CohortError(
            f"{record} holds {', '.join(read.sig_name)} at {read.fs} Hz, {read.p_signal.shape} samples in "
            f"{', '.join(sorted(set(read.units)))}; expected the 12 leads at 500 Hz, {_SHAPE} in mV"
        )
    order = [names.index(lead) for lead in wanted]
    return np.ascontiguousarray(read.p_signal[:, order].T, dtype=np.float32)
