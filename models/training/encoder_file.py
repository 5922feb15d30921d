"""An encoder in a run folder: written whole, read back, and used to embed a cohort."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from models.atomic import write_atomically
from models.bundle import file_bytes
from models.cohorts.featurized import Cohort
from models.founder import EncoderConfig, Net1D
from models.normalisation import Normalisation
from models.progress import Progress, silent
from models.training.ecg_batches import CHUNK
from models.training.run_folder import RunFolder, RunFolderError

ENCODER_FILE: Final = "encoder.safetensors"

#: int16, (B, 8, 5000), µV → float32, (B, 12, T).
Normalise = nn.Module | Callable[[Tensor], Tensor]


def write_encoder(run: RunFolder, encoder: Net1D, name: str = ENCODER_FILE) -> None:
    """Write an encoder's weights; the same weights give the same bytes."""
    write_atomically(run.path / name, file_bytes(encoder))


def read_encoder(run: RunFolder, config: EncoderConfig, name: str = ENCODER_FILE) -> Net1D:
    """Read the encoder of a run, on the CPU, in evaluation mode.

    Raises
    ------
    RunFolderError
        When it is missing, damaged, or of another size.
    """
    return load_encoder(run.path / name, config)


def load_encoder(path: Path, config: EncoderConfig) -> Net1D:
    """Load an encoder's weights; as :func:`read_encoder`."""
    encoder = Net1D(config)
    try:
        encoder.load_state_dict(safetensors.torch.load(path.read_bytes()))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise RunFolderError(f"{path} is missing, damaged or of another size: train it anew") from error
    return encoder.eval()


@torch.inference_mode()
def embed(
    encoder: Net1D,
    cohort: Cohort,
    device: torch.device,
    *,
    normalise: Normalise | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Embed a cohort as the pipeline does.

    Parameters
    ----------
    encoder : Net1D
        Put on the device while it is used, and then on the CPU.
    normalise : callable, optional
        int16, (B, 8, 5000), µV, on the device → float32, (B, 12, T); default
        :class:`models.normalisation.Normalisation`.

    Returns
    -------
    torch.Tensor
        float32, (n, n_features), on the CPU.
    """
    prepare = normalise or Normalisation()
    if isinstance(prepare, nn.Module):
        prepare.to(device)
    placed = encoder.to(device).eval()
    out = torch.empty(len(cohort), placed.dense.in_features)
    for start in range(0, len(cohort), CHUNK):
        progress("embedding", start / len(cohort))
        uv = torch.from_numpy(np.array(cohort.inputs_uv[start : start + CHUNK])).to(device)
        out[start : start + CHUNK] = placed.embed(prepare(uv)).float().cpu()
    encoder.to("cpu")
    return out
