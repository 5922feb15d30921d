"""Arrays in ``.npy`` files: mapped when read, appended to row by row when written."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError

#: Rows read at a time where a whole array is gone through: 20 MB of the largest rows (8 × 5000 int16).
BLOCK_ROWS: Final = 256


def open_array(path: Path, *, shape: tuple[int | None, ...], dtypes: Sequence[str]) -> npt.NDArray[Any]:
    """Map an array from disk, read-only, after checking its layout.

    Parameters
    ----------
    shape : tuple of int or None
        Expected; None is any length.
    dtypes : sequence of str
        Allowed, by numpy's names.

    Raises
    ------
    CohortError
        When the file is missing, no such file, cut short, or of another shape or type.
    """
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror or error}): put the file there") from error
    except ValueError as error:
        raise CohortError(f"{path} is damaged, cut short or no .npy file ({error}): copy it anew") from error
    if len(mapped.shape) != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, mapped.shape, strict=False)
    ):
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise CohortError(f"{path} has shape {mapped.shape}, expected ({wanted})")
    if mapped.dtype not in [np.dtype(name) for name in dtypes]:
        raise CohortError(f"{path} holds {mapped.dtype}, expected {' or '.join(dtypes)}")
    return mapped


class NpyWriter:
    """A ``.npy`` file that grows by rows.

    The file is a whole array after :meth:`sync`; what was appended since may be there in part after a crash,
    and is cut off when the file is opened again with the number of rows that are known to be good.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, row_shape: tuple[int, ...], n_rows: int = 0) -> None:
        """Open for appending after ``n_rows``; a new file is made where it is 0.

        Raises
        ------
        CohortError
            When the file holds fewer rows, or other ones.
        """
        self.path, self.n_rows = path, n_rows
        self._dtype, self._row_shape = np.dtype(dtype), row_shape
        self._file: BinaryIO = path.open("r+b" if n_rows else "w+b")
        self._write_header()
        whole = self._start + n_rows * self._row_bytes
        if path.stat().st_size < whole:
            self._file.close()
            raise CohortError(f"{path} has lost rows it had: delete its folder and begin anew")
        self._file.truncate(whole)
        self._file.seek(whole)

    @property
    def _row_bytes(self) -> int:
        return self._dtype.itemsize * int(np.prod(self._row_shape, dtype=np.int64))

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, (n, *row_shape)."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} for {self.path.name} of {self._row_shape}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self.n_rows += len(rows)

    def sync(self) -> None:
        """Let the file say how many rows it has, and wait until they are on disk."""
        end = self._file.tell()
        self._write_header()
        self._file.seek(end)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close without :meth:`sync`."""
        self._file.close()

    def _write_header(self) -> None:
        self._file.seek(0)
        said = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._row_shape),
        }
        # numpy leaves room for 21 digits of the first length, so that the header's own length never changes
        np.lib.format.write_array_header_1_0(self._file, said)
        self._start = self._file.tell()
        self._file.flush()


def blocks(array: npt.NDArray[Any], n_rows: int = BLOCK_ROWS) -> Iterator[npt.NDArray[Any]]:
    """Go through an array by blocks of rows, so that a mapped one stays on disk."""
    for start in range(0, len(array), n_rows):
        yield array[start : start + n_rows]
