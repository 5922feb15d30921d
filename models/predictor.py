"""From featurized ECGs to calibrated probabilities, in micro-batches on a device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.batching import device_faults, padded_size, score_halving
from models.bundle import Bundle
from models.features import COLUMNS, PARTS, feature_rows
from models.manifest import Manifest
from models.normalisation import Normalisation
from schemas.errors import ConfigurationError
from schemas.featurized import MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES, EcgFeaturized
from schemas.risk import Contribution

#: Ends of the interval as quantiles of the heads: 90 % between them.
INTERVAL_QUANTILES: Final = (0.05, 0.95)
#: Finer than any decision needs, coarser than what padding and batch mates move (1e-6).
DECIMALS: Final = 4

DeviceName = Literal["cpu", "cuda", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The model's answer to one ECG.

    Attributes
    ----------
    probability, probability_low, probability_high : float
        Calibrated probability of the high-risk phenotype, with its 90 % interval; 4 decimals.
    contributions : tuple of Contribution
        Log-odds by part against the reference population, largest first.
    """

    probability: float
    probability_low: float
    probability_high: float
    contributions: tuple[Contribution, ...]


class Scorer(nn.Module):
    """All that runs on the device: (µV, features) → head log-odds and contributions, in one row per ECG."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.normalisation = Normalisation()
        self.encoder = bundle.encoder
        self.heads = bundle.heads

    def forward(self, uv: Tensor, features: Tensor) -> Tensor:
        """(B, 8, 5000) int16, (B, n_features) float32 → (B, n_heads + n_parts) float32."""
        log_odds, contributions = self.heads(self.encoder.embed(self.normalisation(uv)), features)
        return torch.cat([log_odds, contributions], dim=1)


def choose_device(name: DeviceName) -> torch.device:
    """Resolve ``auto`` to CUDA where there is a device.

    Raises
    ------
    ConfigurationError
        When CUDA is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise ConfigurationError(
            "no CUDA device is visible: set the device to auto or cpu, or fix the driver"
        )
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def compute_exactly() -> None:
    """Make CUDA compute as the CPU does, for the whole process.

    Torch lets convolutions round to TF32, 10 bits, and cuDNN choose its algorithm by a race: a probability
    would depend on the device, by up to 1e-3, and on the run. Whole float32 and fixed algorithms leave 1e-5.
    """
    cudnn: Any = torch.backends.cudnn  # its stub lacks conv
    cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


class Predictor:
    """Scores ECGs with one bundle on one device. Not for several threads at once.

    Parameters
    ----------
    bundle : Bundle
        Moved to the device.
    device : {"cpu", "cuda", "auto"}
    batch_sizes : tuple of int
        Shapes that are warmed up; a batch is padded to the next, a longer one is cut.
    threads : int, optional
        Threads of one operation on the CPU, for the whole process; as it is when not given.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: DeviceName = "cpu",
        batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
        threads: int | None = None,
    ) -> None:
        if not batch_sizes or min(batch_sizes) < 1:
            raise ConfigurationError("batch sizes must be one or more positive numbers")
        if threads is not None:
            torch.set_num_threads(threads)
        self._bundle = bundle
        self._sizes = tuple(sorted(set(batch_sizes)))
        self._device = choose_device(device)
        self._n_heads = bundle.manifest.n_heads
        if self._device.type == "cuda":
            compute_exactly()
        # One staging buffer for each process: page-locked, so that the copy to the GPU is asynchronous.
        shape = (self._sizes[-1], MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES)
        with device_faults():
            self._scorer = Scorer(bundle).to(self._device).eval()
            self._staging = torch.zeros(shape, dtype=torch.int16, pin_memory=self._device.type == "cuda")

    @property
    def manifest(self) -> Manifest:
        """Manifest of the bundle that scores."""
        return self._bundle.manifest

    @property
    def device(self) -> torch.device:
        """Where it scores."""
        return self._device

    def warm_up(self) -> None:
        """Run every batch shape once, so that no ECG pays for the first time."""
        for size in self._sizes:
            flat = np.zeros((size, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES), dtype=np.int16)
            self.score_arrays(flat, np.full((size, len(COLUMNS)), np.nan, dtype=np.float32))

    def predict(self, ecgs: Sequence[EcgFeaturized]) -> list[Prediction]:
        """Score ECGs.

        Parameters
        ----------
        ecgs : sequence of EcgFeaturized
            Each with a model input.

        Returns
        -------
        list of Prediction
            One for each ECG, in order; each depends on that ECG alone.

        Raises
        ------
        ValueError
            When an ECG has no model input: it was not to be scored.
        DeviceMemoryError
            When a single ECG does not fit into the device's memory.
        DeviceError
            When the device failed: this process cannot score any more.
        """
        if not ecgs:
            return []
        inputs = [ecg.model_input_uv for ecg in ecgs if ecg.model_input_uv is not None]
        if len(inputs) != len(ecgs):
            raise ValueError("an ECG without model input cannot be scored")
        rows = self.score_arrays(inputs, feature_rows(ecgs))
        return [_prediction(row[: self._n_heads], row[self._n_heads :]) for row in rows]

    def score_arrays(
        self,
        inputs_uv: Sequence[npt.NDArray[np.int16]] | npt.NDArray[np.int16],
        features: npt.NDArray[np.float32],
    ) -> list[npt.NDArray[np.float64]]:
        """Score model inputs and feature rows; float64, (n_heads + n_parts,) for each."""

        def score(start: int, stop: int) -> list[npt.NDArray[np.float64]]:
            return self._score_piece(inputs_uv[start:stop], features[start:stop])

        return score_halving(score, len(inputs_uv), self._sizes[-1])

    @torch.inference_mode()
    def _score_piece(
        self,
        inputs_uv: Sequence[npt.NDArray[np.int16]] | npt.NDArray[np.int16],
        features: npt.NDArray[np.float32],
    ) -> list[npt.NDArray[np.float64]]:
        n = len(inputs_uv)
        size = padded_size(n, self._sizes)
        staged = self._staging[:size]  # (size, 8, 5000)
        staged.numpy()[:n] = np.stack(list(inputs_uv))
        staged[n:] = 0
        padded = np.full((size, features.shape[1]), np.nan, dtype=np.float32)
        padded[:n] = features
        uv = staged.to(self._device, non_blocking=True)
        scored = self._scorer(uv, torch.from_numpy(padded).to(self._device, non_blocking=True))
        # The copy back waits for the device, after which the staging buffer may be written again.
        return list(scored.cpu().numpy()[:n].astype(np.float64))


def _prediction(log_odds: npt.NDArray[np.float64], contributions: npt.NDArray[np.float64]) -> Prediction:
    middle = float(log_odds.mean())
    low, high = np.quantile(log_odds, INTERVAL_QUANTILES)
    parts = [
        Contribution(name=name, log_odds=round(float(moved), DECIMALS))
        for name, moved in zip(PARTS, contributions, strict=True)
    ]
    return Prediction(
        probability=_probability(middle),
        probability_low=_probability(min(float(low), middle)),
        probability_high=_probability(max(float(high), middle)),
        contributions=tuple(sorted(parts, key=lambda part: -abs(part.log_odds))),
    )


def _probability(log_odds: float) -> float:
    return round(float(1.0 / (1.0 + np.exp(-log_odds))), DECIMALS)
