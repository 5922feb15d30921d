"""Whether the array files of a cohort are still those that were read, without reading them."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from models.cohorts.errors import CohortError


def arrays_version(paths: Iterable[Path]) -> str:
    """Name files by what changes when they are written to: name, size, time of the last change.

    Arrays of some hundred GB are not read for it. A copy has another version, unless its times were kept.

    Raises
    ------
    CohortError
        When one cannot be looked at.
    """
    whole = sha256()
    for path in paths:
        try:
            said = path.stat()
        except OSError as error:
            raise CohortError(f"{path} cannot be read ({error.strerror}): put the file there") from error
        whole.update(f"{path.name} {said.st_size} {said.st_mtime_ns}\n".encode())
    return f"arrays {whole.hexdigest()[:12]}"
