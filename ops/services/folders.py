"""Where started servers keep their files: one folder a run, all below one root."""

import shutil
import tempfile
from pathlib import Path

_RUNS = "runs"


def new_run_folder(root: Path, kind: str) -> Path:
    """Make an empty folder for one server.

    Parameters
    ----------
    root : Path
        ``DIASTOLE_HOME``; made when missing.
    kind : str
        What runs there; the folder is named ``<kind>-<random>``.
    """
    runs = root.resolve() / _RUNS
    runs.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=runs))


def clean_runs(root: Path) -> None:
    """Remove the folders of all runs below ``root``; downloaded jars stay.

    Call it only while none of these servers runs. Doing it twice changes nothing.
    """
    shutil.rmtree(root / _RUNS, ignore_errors=True)
