"""Batches of ECGs on a device, from arrays in memory or on disk: augmented to train on, whole to judge."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.normalisation import Normalisation
from models.training.augmentation import Augmentation, AugmentedViews
from models.training.splits import Keys, holdout

Rows = npt.NDArray[np.int64]

#: ECGs judged at once.
CHUNK = 50


class EcgBatches:
    """Encoder inputs made of rows of an array.

    Parameters
    ----------
    inputs_uv : numpy.ndarray
        int16, (n, 8, 5000), µV; only the rows asked for are read.
    """

    def __init__(
        self, inputs_uv: npt.NDArray[np.int16], augmentation: Augmentation, device: torch.device
    ) -> None:
        self.device = device
        self._inputs_uv = inputs_uv
        self._views = AugmentedViews(augmentation).to(device)
        self._normalise = Normalisation().to(device)

    def augmented(self, rows: Rows, generator: torch.Generator) -> Tensor:
        """Draw a view of each: float32, (B, 12, T)."""
        view: Tensor = self._views(self._read(rows), generator)
        return view

    def whole(self, rows: Rows) -> Tensor:
        """Normalise each as the pipeline does: float32, (B, 12, 5000)."""
        normalised: Tensor = self._normalise(self._read(rows))
        return normalised

    def _read(self, rows: Rows) -> Tensor:
        return torch.from_numpy(np.stack([self._inputs_uv[row] for row in rows])).to(self.device)


def rows_to_train_and_validate(
    patient_keys: Keys, validation_share: float, most_validated: int, seed: int
) -> tuple[Rows, Rows]:
    """Keep a share of the patients out of training; of their rows at most so many, evenly spread, are judged.

    Raises
    ------
    ConfigurationError
        When there are fewer than two patients.
    """
    kept_out = holdout(patient_keys, validation_share, seed)
    return np.flatnonzero(~kept_out), evenly(np.flatnonzero(kept_out), most_validated)


def evenly(rows: Rows, most: int) -> Rows:
    """Keep at most so many rows, spread evenly over all.

    >>> evenly(np.arange(9), 3)
    array([0, 4, 8])
    """
    if len(rows) <= most:
        return rows
    kept: Rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
    return kept


def in_chunks(rows: Rows) -> Iterator[Rows]:
    """Cut rows into pieces that are judged at once."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
