"""Where unlabelled ECGs come from: a known data set's folder by its files, else any folder of ECG files."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from models.cohorts.rows import RowSource
from models.cohorts.simulated_cohorts import registry
from models.progress import Progress
from ops.ecg_files import SUFFIXES, find_ecg_files
from schemas.errors import ConfigurationError

#: Instead of a folder: simulated people.
SIMULATED: Final = "simulated"

#: A file that only this layout has, and what reads it; imported when needed.
_LAYOUTS: Final = (
    ("echonext_metadata_100k.csv", "models.cohorts.echonext", "EchoNext"),
    ("exams.csv", "models.cohorts.code15", "Code15"),
    ("ptbxl_database.csv", "models.cohorts.ptbxl", "PtbXl"),
    ("cohort.csv", "models.cohorts.paired", "PairedCohort"),
)


def open_ecgs(
    where: str,
    *,
    n_simulated: int | None,
    seed: int,
    progress: Progress,
    refused: Callable[[Path, str], None],
) -> RowSource:
    """Open unlabelled ECGs.

    Parameters
    ----------
    where : str
        A folder, or :data:`SIMULATED`.
    n_simulated : int or None
        How many are simulated; None: as many as the shipped bundle was trained on.
    refused : callable
        Told each file of a folder of ECG files that is not taken, and why.

    Raises
    ------
    ConfigurationError
        When there is no such folder, no ECG in it, or a data set's files are not as its layout says.
    """
    if where == SIMULATED:
        return registry(seed=seed) if n_simulated is None else registry(n_simulated, seed)
    folder = Path(where)
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}: give one with ECGs, or {SIMULATED!r}")
    for marker, module, name in _LAYOUTS:
        if (folder / marker).is_file():
            return cast(RowSource, getattr(import_module(module), name)(folder))
    files = find_ecg_files(folder, progress, refused)
    if not files:
        ends = ", ".join(suffix for suffix in SUFFIXES if suffix)
        raise ConfigurationError(f"no ECG in {folder} can be read: it wants files that end in {ends}")
    return files
