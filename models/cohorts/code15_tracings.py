"""The tracings of CODE-15 % in their HDF5 files: read in the order they lie there, a few at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError

PADDED_SAMPLES: Final = 4096
N_LEADS: Final = 12

#: Rows read at once from a compressed file are those of one of its chunks, but no more than these: 13 MB.
_MOST_ROWS: Final = 64
#: What h5py keeps of a file that it has decompressed.
_CACHE_BYTES: Final = 64 * 2**20


class Tracings:
    """Tracings in several files, one of which is open; picklable, each process opens its own."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._paths = [folder / name for name in files]
        self._open: tuple[int, h5py.File] | None = None
        self._block: tuple[int, int, npt.NDArray[Any]] | None = None

    def exam_ids(self, part: int) -> npt.NDArray[np.int64]:
        """Exam of each tracing of a file, 0 for the row of zeros: int64, (n,).

        Raises
        ------
        CohortError
            When the file is missing, damaged, or not as its layout says.
        """
        path = self._paths[part]
        with _opened(path) as file:
            ids, tracings = file["exam_id"], file["tracings"]
            expected = (len(ids), PADDED_SAMPLES, N_LEADS)
            if tracings.shape != expected or tracings.dtype.kind != "f" or ids.dtype.kind not in "iu":
                raise CohortError(
                    f"{path} holds {tracings.dtype} tracings of shape {tracings.shape}, {ids.dtype} exam_id; "
                    f"expected floating-point of {expected}, for {len(ids)} exam_id, and integers"
                )
            return np.asarray(ids[:], dtype=np.int64)

    def read(self, part: int, position: int) -> npt.NDArray[Any]:
        """Read one padded tracing, floating-point, (4096, 12), mV; with its neighbours, for the next call.

        Raises
        ------
        CohortError
            When the file is damaged.
        """
        held = self._block
        if held is None or held[0] != part or not 0 <= position - held[1] < len(held[2]):
            held = self._block = self._read_block(part, position)
        _, start, tracings = held
        return np.asarray(tracings[position - start])

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind the open file and what was read."""
        return self.__dict__ | {"_open": None, "_block": None}

    def _read_block(self, part: int, position: int) -> tuple[int, int, npt.NDArray[Any]]:
        if self._open is None or self._open[0] != part:
            if self._open is not None:
                self._open[1].close()
            self._open = part, _opened(self._paths[part])
        tracings = self._open[1]["tracings"]
        n = min(tracings.chunks[0], _MOST_ROWS) if tracings.chunks else 1
        start = position // n * n
        try:
            return part, start, tracings[start : start + n]
        except OSError as error:
            raise CohortError(f"{self._paths[part]}, row {position}: {error}: copy the file anew") from error


def without_padding(tracing: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut samples at both ends that are 0 in all leads.

    Parameters
    ----------
    tracing : numpy.ndarray
        (n_samples, n_leads).

    Examples
    --------
    >>> without_padding(np.array([[0, 0], [0, 3], [0, 0], [1, 0], [0, 0]])).tolist()
    [[0, 3], [0, 0], [1, 0]]
    """
    recorded = np.flatnonzero((tracing != 0).any(axis=1))
    return tracing[recorded[0] : recorded[-1] + 1] if recorded.size else tracing[:0]


def _opened(path: Path) -> h5py.File:
    try:
        file = h5py.File(path, "r", rdcc_nbytes=_CACHE_BYTES)
    except OSError as error:
        why = f"it is damaged or cut short ({error})" if path.exists() else "it is not there"
        raise CohortError(f"{path} cannot be read, {why}: put it there, or read other parts only") from error
    missing = [name for name in ("exam_id", "tracings") if name not in file]
    if missing:
        there = ", ".join(file)
        file.close()
        raise CohortError(f"{path} has no data set {' and '.join(missing)}; it has {there}")
    return file
