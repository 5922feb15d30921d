"""From featurized ECGs to calibrated probabilities, in micro-batches on a device."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.batching import device_faults, padded_size, score_halving
from models.bundle import Bundle
from models.features import COLUMNS, feature_rows
from models.manifest import Manifest
from models.prediction import Prediction, prediction_of
from models.scorer import RowLayout, Scorer
from schemas.errors import ConfigurationError
from schemas.featurized import MEDIAN_BEAT_SAMPLES, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES, EcgFeaturized

__all__ = ["DeviceName", "Prediction", "Predictor", "choose_device", "compute_exactly"]

Waves = Sequence[npt.NDArray[np.int16]] | npt.NDArray[np.int16]

_NO_BEAT: Final = np.zeros((MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES), dtype=np.int16)

DeviceName = Literal["cpu", "cuda", "auto"]


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
        self._layout = RowLayout(bundle.manifest.n_heads)
        if self._device.type == "cuda":
            compute_exactly()
        with device_faults():
            self._scorer = Scorer(bundle).to(self._device).eval()
            self._staged_inputs = self._staging(MODEL_INPUT_SAMPLES)
            self._staged_beats = self._staging(MEDIAN_BEAT_SAMPLES)

    def _staging(self, n_samples: int) -> Tensor:
        """Make a staging buffer, page-locked for CUDA, so that the copy to it is asynchronous."""
        shape = (self._sizes[-1], MODEL_INPUT_LEADS, n_samples)
        return torch.zeros(shape, dtype=torch.int16, pin_memory=self._device.type == "cuda")

    @property
    def manifest(self) -> Manifest:
        """Manifest of the bundle that scores."""
        return self._bundle.manifest

    @property
    def device(self) -> torch.device:
        """Where it scores."""
        return self._device

    @property
    def device_text(self) -> str:
        """Say where it scores, to people: ``cpu``, or a CUDA device by number and name."""
        if self._device.type != "cuda":
            return self._device.type
        number = torch.cuda.current_device() if self._device.index is None else self._device.index
        return f"cuda:{number} {torch.cuda.get_device_name(number)}"

    def warm_up(self) -> None:
        """Run every batch shape once, so that no ECG pays for the first time."""
        for size in self._sizes:
            flat, no_beat = (
                np.zeros((size, MODEL_INPUT_LEADS, n_samples), dtype=np.int16)
                for n_samples in (MODEL_INPUT_SAMPLES, MEDIAN_BEAT_SAMPLES)
            )
            self.score_arrays(flat, no_beat, np.full((size, len(COLUMNS)), np.nan, dtype=np.float32))

    def predict(self, ecgs: Sequence[EcgFeaturized]) -> list[Prediction]:
        """Score ECGs.

        Parameters
        ----------
        ecgs : sequence of EcgFeaturized
            Each with a model input; one without a median beat is scored without motion.

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
        beats = [_NO_BEAT if ecg.median_beat_uv is None else ecg.median_beat_uv for ecg in ecgs]
        rows = self.score_arrays(inputs, beats, feature_rows(ecgs))
        return [prediction_of(row, self._layout) for row in rows]

    def score_arrays(
        self, inputs_uv: Waves, beats_uv: Waves, features: npt.NDArray[np.float32]
    ) -> list[npt.NDArray[np.float64]]:
        """Score model inputs, median beats (0 throughout where there is none) and feature rows.

        Returns
        -------
        list of numpy.ndarray
            float64, one row of :class:`models.scorer.RowLayout` for each.
        """

        def score(start: int, stop: int) -> list[npt.NDArray[np.float64]]:
            return self._score_piece(inputs_uv[start:stop], beats_uv[start:stop], features[start:stop])

        return score_halving(score, len(inputs_uv), self._sizes[-1])

    @torch.inference_mode()
    def _score_piece(
        self, inputs_uv: Waves, beats_uv: Waves, features: npt.NDArray[np.float32]
    ) -> list[npt.NDArray[np.float64]]:
        n = len(inputs_uv)
        size = padded_size(n, self._sizes)
        padded = np.full((size, features.shape[1]), np.nan, dtype=np.float32)
        padded[:n] = features
        scored = self._scorer(
            self._to_device(self._staged_inputs[:size], inputs_uv),
            self._to_device(self._staged_beats[:size], beats_uv),
            torch.from_numpy(padded).to(self._device, non_blocking=True),
        )
        # The copy back waits for the device, after which the staging buffers may be written again.
        return list(scored.cpu().numpy()[:n].astype(np.float64))

    def _to_device(self, staged: Tensor, waves: Waves) -> Tensor:
        """Stage waves, (n, 8, n_samples), followed by zeros, and send them."""
        staged.numpy()[: len(waves)] = np.stack(list(waves))
        staged[len(waves) :] = 0
        return staged.to(self._device, non_blocking=True)
