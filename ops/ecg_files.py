"""A folder of ECG files as rows of a cohort: what a site has, without labels."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from models.cohorts.preparation import HAS_PACEMAKER
from models.cohorts.rows import CohortEcg, Provenance
from models.progress import Progress, silent
from schemas.recorded import EcgRecorded
from streams.feeds.files import read_file
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

#: Ends of names of files that may be ECGs; one without an end may be DICOM.
SUFFIXES: Final = (".dcm", ".dicom", ".hea", ".xml", "")
#: For files that do not say when they were acquired, which here does not matter.
_SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgFiles:
    """Files that can be read, one row each; a :class:`models.cohorts.rows.RowSource`.

    Patients are numbered as they first appear, files in order; nothing made of the site's identifiers is
    kept. A file that names no patient is taken for one of its own.

    Attributes
    ----------
    paths : tuple of str
        Relative to the folder, in order.
    patients : tuple of int
        Number of each file's patient, from 1.
    n_refused : int
        Files that are none, or cannot be read.
    fingerprint : str
        SHA-256 over names and sizes, and which files are of one patient.
    """

    folder: Path
    paths: tuple[str, ...]
    patients: tuple[int, ...]
    n_refused: int
    fingerprint: str

    @property
    def provenance(self) -> Provenance:
        """The site's own files."""
        return Provenance(
            name="ECG files",
            is_simulated=False,
            details=f"names, sizes and patients {self.fingerprint}",
            left_out={"cannot be read": self.n_refused} if self.n_refused else {},
        )

    def __len__(self) -> int:
        """Count the files."""
        return len(self.paths)

    def __getitem__(self, i: int, /) -> CohortEcg:
        """Read file ``i``.

        Raises
        ------
        FeedRefusedError
            When it can be read no more.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"there are files 0 to {len(self) - 1}, not {i}")
        ecg = _read(self.folder, self.paths[i])
        return CohortEcg(
            key=f"ECG {i + 1}",
            patient_key=f"patient {self.patients[i]}",
            samples=ecg.samples,
            sample_rate_hz=ecg.sample_rate_hz,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit,
            age_years=ecg.age_years,
            sex=ecg.sex,
            outcomes={HAS_PACEMAKER: float(bool(ecg.has_pacemaker))},
        )


def find_ecg_files(
    folder: Path, progress: Progress = silent, refused: Callable[[Path, str], None] | None = None
) -> EcgFiles:
    """Find the ECGs in a folder and in those within it, by trying to read each.

    Parameters
    ----------
    refused : callable, optional
        Told each file that is not taken, and why.
    """
    candidates = sorted(path for path in folder.rglob("*") if _may_be_an_ecg(path, folder))
    readable: list[str] = []
    patients: list[int] = []
    numbers: dict[str, int] = {}  # by the site's identifier, for as long as this takes
    whole = sha256()
    for i, path in enumerate(candidates):
        progress("looking for ECGs", i / len(candidates))
        name = path.relative_to(folder).as_posix()
        try:
            patient_id = _read(folder, name).patient_id
        except FeedRefusedError as error:
            if refused is not None:
                refused(path, str(error))
            continue
        readable.append(name)
        patients.append(numbers.setdefault(patient_id, len(numbers) + 1))
        whole.update(f"{name} {path.stat().st_size} {patients[-1]}\n".encode())
    return EcgFiles(
        folder=folder,
        paths=tuple(readable),
        patients=tuple(patients),
        n_refused=len(candidates) - len(readable),
        fingerprint=whole.hexdigest(),
    )


def _may_be_an_ecg(path: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file()


def _read(folder: Path, name: str) -> EcgRecorded:
    return read_file(folder / name, ReadOptions(acquired_at=_SOME_TIME, patient_id=f"file {name}")).ecg
