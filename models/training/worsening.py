"""What the ensemble is fitted on, and how it is worsened so that heads do not trust it too much."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.features import COLUMNS

Floats = npt.NDArray[np.float32]
#: The last columns of a feature row are age and sex; what stands before them was measured.
_N_MEASURED = len(COLUMNS) - 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """What the ensemble sees of ECGs.

    Attributes
    ----------
    embedding : numpy.ndarray
        float32, (n, n_embedding).
    motion, features : numpy.ndarray
        float32, (n, 13) and (n, 17); NaN is missing.
    """

    embedding: Floats
    motion: Floats
    features: Floats

    def __len__(self) -> int:
        """Count the ECGs."""
        return len(self.embedding)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, motion and features, as the ensemble takes them."""
        embedding, motion, features = (
            torch.from_numpy(np.ascontiguousarray(each, dtype=np.float32))
            for each in (self.embedding, self.motion, self.features)
        )
        return embedding, motion, features


def hide(inputs: Inputs, rate: float, rng: np.random.Generator) -> Inputs:
    """Hide motion, all measurements, age, and sex, each of a share of patients; NaN is missing.

    Parameters
    ----------
    rate : float
        0 to 1; drawn for each of the four by itself.
    """
    hidden = {"motion": inputs.motion.copy(), "features": inputs.features.copy()}
    places = (
        ("motion", slice(None)),
        ("features", slice(0, _N_MEASURED)),
        ("features", slice(_N_MEASURED, _N_MEASURED + 1)),
        ("features", slice(_N_MEASURED + 1, _N_MEASURED + 2)),
    )
    for name, columns in places:
        hidden[name][rng.random(len(inputs)) < rate, columns] = np.nan
    return replace(inputs, **hidden)


def blur(inputs: Inputs, deviation: npt.NDArray[np.floating], rng: np.random.Generator) -> Inputs:
    """Add noise of a deviation for each column to measurements; age and sex stay as they are."""
    noise = deviation * rng.standard_normal(inputs.features.shape)
    noise[:, _N_MEASURED:] = 0.0
    return replace(inputs, features=(inputs.features + noise).astype(np.float32))
