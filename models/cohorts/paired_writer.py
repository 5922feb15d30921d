"""Writing rows of any source as a folder of our paired layout (docs/paired-cohort.md)."""

import csv
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.cohorts.errors import CohortError
from models.cohorts.npy_files import NpyWriter, blocks
from models.cohorts.paired import VELOCITIES_FILE
from models.cohorts.paired_description import DESCRIPTION_FILE, ECGS_FILE, VERSION
from models.cohorts.paired_table import AGE, SEX, TABLE_FILE, TEXTS
from models.cohorts.preparation import VELOCITY_SHAPE, require_same_outcomes
from models.cohorts.rows import CohortEcg
from models.cohorts.store_state import write_json
from schemas.recorded import Sex

_SEX_WORDS: Final = {Sex.MALE: "male", Sex.FEMALE: "female", Sex.UNKNOWN: ""}
_DTYPES: Final = {"i": "<i2", "f": "<f4"}

#: What ECGs in one array share: rate, lead names, µV per unit, samples of each lead, type.
_Kind = tuple[float, tuple[str, ...], float | None, int, str]


def write_paired(
    folder: Path, rows: Iterable[CohortEcg], *, name: str, is_simulated: bool, notes: str = ""
) -> int:
    """Write rows as they come, one at a time.

    ECGs that differ in rate, leads, unit, length or type go into arrays of their own, so that rows come to
    lie grouped by these, within a group in order. ``cohort.json`` is written last.

    Parameters
    ----------
    folder : pathlib.Path
        New or empty.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    CohortError
        When the folder holds files, there are no rows, or some have other outcomes than the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CohortError(f"{folder} holds files: choose an empty folder")
    parts: dict[_Kind, _Part] = {}
    centres: dict[str, None] = {}
    outcomes: Sequence[str] | None = None
    with ExitStack() as open_files:
        for row, ecg in enumerate(rows):
            outcomes = tuple(ecg.outcomes) if outcomes is None else outcomes
            require_same_outcomes(f"row {row}", tuple(ecg.outcomes), outcomes)
            kind = _kind(ecg)
            if kind not in parts:
                parts[kind] = _Part(folder, len(parts), kind, open_files)
            parts[kind].append(ecg)
            centres |= {ecg.centre: None} if ecg.centre else {}
        for part in parts.values():
            part.sync()
    if not parts:
        raise CohortError(f"{name} has no rows to write to {folder}")
    written = list(parts.values())
    _join_tables(folder / TABLE_FILE, written, outcomes or ())
    _join_velocities(folder / VELOCITIES_FILE, written)
    said = {"version": VERSION, "name": name, "is_simulated": is_simulated, "notes": notes}
    write_json(folder / DESCRIPTION_FILE, said | {"centres": list(centres)} | _recordings(folder, written))
    return sum(part.n_rows for part in written)


class _Part:
    """Rows of one kind being written: their ECGs to stay, table and curves to be joined with the others'."""

    def __init__(self, folder: Path, number: int, kind: _Kind, open_files: ExitStack) -> None:
        self.kind = kind
        self.ecgs, self.table, self.curves = (
            folder / f"{stem}_{number:03d}{suffix}"
            for stem, suffix in (("ecgs", ".npy"), (".table", ".csv"), (".tissue_doppler", ".npy"))
        )
        self.has_curves = False
        _, lead_names, _, n_samples, dtype = kind
        self._ecgs = NpyWriter(self.ecgs, dtype, (len(lead_names), n_samples))
        self._curves = NpyWriter(self.curves, "<f4", VELOCITY_SHAPE)
        lines = open_files.enter_context(self.table.open("w", encoding="utf-8", newline=""))
        self._lines = csv.writer(lines, lineterminator="\n")
        open_files.callback(self._ecgs.close)
        open_files.callback(self._curves.close)

    @property
    def n_rows(self) -> int:
        return self._ecgs.n_rows

    def append(self, ecg: CohortEcg) -> None:
        self._ecgs.append(ecg.samples[None])
        no_curve = np.full(VELOCITY_SHAPE, np.nan, dtype=np.float32)
        self._curves.append((no_curve if ecg.velocities_cm_s is None else ecg.velocities_cm_s)[None])
        self.has_curves |= ecg.velocities_cm_s is not None
        texts = [getattr(ecg, name) for name in TEXTS]
        numbers = [ecg.outcomes[name] for name in ecg.outcomes]
        self._lines.writerow([*texts, _field(ecg.age_years), _SEX_WORDS[ecg.sex], *map(_field, numbers)])

    def sync(self) -> None:
        self._ecgs.sync()
        self._curves.sync()

    def recording(self, file: str) -> dict[str, Any]:
        rate_hz, lead_names, uv_per_unit, _, _ = self.kind
        said = {"sample_rate_hz": rate_hz, "lead_names": list(lead_names), "uv_per_unit": uv_per_unit}
        return {"file": file, **said}


def _kind(ecg: CohortEcg) -> _Kind:
    dtype = _DTYPES.get(ecg.samples.dtype.kind)
    if dtype is None or (dtype == "<i2" and ecg.samples.dtype != np.int16):
        raise CohortError(f"samples are {ecg.samples.dtype}, expected int16 or floating-point")
    return ecg.sample_rate_hz, ecg.lead_names, ecg.uv_per_unit, ecg.samples.shape[1], dtype


def _field(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else repr(float(number))


def _join_tables(path: Path, parts: Sequence[_Part], outcomes: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as whole:
        csv.writer(whole, lineterminator="\n").writerow([*TEXTS, AGE, SEX, *outcomes])
        for part in parts:
            with part.table.open(encoding="utf-8", newline="") as lines:
                whole.writelines(lines)
            part.table.unlink()


def _join_velocities(path: Path, parts: Sequence[_Part]) -> None:
    if any(part.has_curves for part in parts):
        whole = NpyWriter(path, "<f4", VELOCITY_SHAPE)
        for part in parts:
            for block in blocks(np.load(part.curves, mmap_mode="r")):
                whole.append(block)
        whole.sync()
        whole.close()
    for part in parts:
        part.curves.unlink()


def _recordings(folder: Path, parts: Sequence[_Part]) -> dict[str, Any]:
    if len(parts) > 1:
        return {"parts": [part.recording(part.ecgs.name) for part in parts]}
    parts[0].ecgs.rename(folder / ECGS_FILE)
    said = parts[0].recording(ECGS_FILE)
    del said["file"]  # the name that is looked for anyway
    return said
