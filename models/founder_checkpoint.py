"""The published ECGFounder checkpoint, from a path into the full encoder: all of it, or a clear refusal.

``12_lead_ECGFounder.pth`` (MIT; NEJM AI 2025, AIoa2401033) is a pickle, and a pickle can bring code. It is
read with torch's reader of weights alone, which runs none; a safetensors file of the same names will do too.
"""

import pickle
import struct
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.serialization import safe_globals

from models.founder import FULL, Net1D
from schemas.errors import ConfigurationError

#: Names of one kind that a message lists before it counts the rest.
_MOST_NAMES: Final = 10

#: What torch's reader raises on files that are cut, altered, or no checkpoint at all.
_UNREADABLE: Final = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)

_WHAT_TO_DO: Final = "fetch 12_lead_ECGFounder.pth anew from its publisher"


class FounderCheckpointError(ConfigurationError):
    """A checkpoint cannot be read or does not fit; the message names what differs and what to do."""

    code: ClassVar[str] = "FOUNDER_CHECKPOINT"


class _LeftOut:
    """Stands for numpy's numbers, such as a metric kept beside the weights, of which nothing is needed."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


_NUMPY_NUMBERS: Final = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")


def load_founder(path: Path) -> Net1D:
    """Load a checkpoint of the full encoder.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file of the 509 parameters and buffers, or a file of torch with a dictionary that
        holds them under ``state_dict``. What else that dictionary holds is not looked at.

    Returns
    -------
    Net1D
        In float32 on the CPU, ready to embed.

    Raises
    ------
    FounderCheckpointError
        The file is missing, damaged, or would run code (which is not run); a name is missing or unknown, a
        shape or type differs, or a weight is no finite number.
    """
    if not path.is_file():
        raise FounderCheckpointError(f"there is no file {path}: set the path of 12_lead_ECGFounder.pth")
    given = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    with torch.device("meta"):  # names and shapes without memory or random numbers
        encoder = Net1D(FULL)
    expected: dict[str, Tensor] = encoder.state_dict()
    weights = _fitting(given, expected, path.name)
    encoder.load_state_dict(weights, strict=True, assign=True)
    return encoder.eval()


def _read_safetensors(path: Path) -> Mapping[str, object]:
    try:
        content: Mapping[str, object] = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise FounderCheckpointError(
            f"{path.name} is not a whole safetensors file: write it anew from the checkpoint"
        ) from error
    return content


def _read_pickle(path: Path) -> Mapping[str, object]:
    try:
        with warnings.catch_warnings(), safe_globals([(_LeftOut, name) for name in _NUMPY_NUMBERS]):
            warnings.simplefilter("ignore")  # of odd formats: what comes of them is judged below
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise FounderCheckpointError(_refusal(path)) from error
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise FounderCheckpointError(
            f"{path.name} is no dictionary with a dictionary of weights under state_dict: {_WHAT_TO_DO}"
        )
    return state


def _refusal(path: Path) -> str:
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except _UNREADABLE:
        unknown = []
    brought = [name for name in unknown if name not in _NUMPY_NUMBERS]
    if brought:
        return (
            f"{path.name} asks for {_listed(brought)} to be run, which was not done: a checkpoint must hold "
            f"weights and plain numbers alone; {_WHAT_TO_DO}"
        )
    return f"{path.name} is damaged or no checkpoint of torch: {_WHAT_TO_DO}"


def _fitting(given: Mapping[str, object], expected: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    tensors = {key: tensor for key, tensor in given.items() if isinstance(tensor, Tensor)}
    both = [key for key in expected if key in tensors]
    differences = {
        "missing": [key for key in expected if key not in given],
        "unknown": [key for key in given if key not in expected],
        "of another shape": [
            f"{key} {tuple(tensors[key].shape)} instead of {tuple(expected[key].shape)}"
            for key in both
            if tensors[key].shape != expected[key].shape
        ],
        "of another type": [
            *(key for key in expected if key in given and key not in tensors),
            *(f"{key} {tensors[key].dtype}" for key in both if not _same_kind(tensors[key], expected[key])),
        ],
    }
    said = [f"{len(keys)} {kind}: {_listed(keys)}" for kind, keys in differences.items() if keys]
    if said:
        raise FounderCheckpointError(
            f"{name} does not fit the 12-lead ECGFounder of {len(expected)} names; {'; '.join(said)}. "
            f"Its 1-lead and fine-tuned models are others: {_WHAT_TO_DO}"
        )
    weights = {key: tensors[key].to(expected[key].dtype).contiguous() for key in both}
    infinite = [key for key, weight in weights.items() if not torch.isfinite(weight).all()]
    if infinite:
        raise FounderCheckpointError(
            f"{name} holds weights that are no finite numbers in {_listed(infinite)}: {_WHAT_TO_DO}"
        )
    return weights


def _same_kind(given: Tensor, expected: Tensor) -> bool:
    is_plain = given.layout == torch.strided and given.device.type == "cpu"
    if expected.is_floating_point():
        return is_plain and given.is_floating_point()
    return is_plain and given.dtype in {torch.int64, torch.int32}  # num_batches_tracked


def _listed(names: Iterable[object]) -> str:
    every = [
        str(name)[:100].encode("unicode_escape").decode() for name in names
    ]  # one line, whatever they are
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more
