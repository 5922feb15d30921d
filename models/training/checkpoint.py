"""Checkpoints: tensors and plain values in one file, whole or not there, and never code."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from models.atomic import write_atomically
from schemas.errors import ConfigurationError

_PLAIN: Final = (bool, int, float, str, type(None))


class CheckpointError(ConfigurationError):
    """A checkpoint cannot be used; the message says why and what to do."""

    code: ClassVar[str] = "CHECKPOINT"


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    content : mapping
        Of tensors, numbers, strings, None, and lists, tuples and dicts of these; put on the CPU.

    Raises
    ------
    TypeError
        When it holds anything else: such a file could not be read back without running code.
    """
    held = io.BytesIO()
    torch.save(_plain(dict(content), path.name), held)
    write_atomically(path, held.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, on the CPU; nothing in it is run.

    Raises
    ------
    CheckpointError
        When it is damaged, or holds more than tensors and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read: delete it to start that part anew"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint of this program: move it away")
    return content


def _plain(held: Any, where: str) -> Any:
    if isinstance(held, Tensor):
        return held.detach().to("cpu", copy=True)
    if isinstance(held, Mapping):
        return {key: _plain(part, f"{where}/{key}") for key, part in held.items()}
    if isinstance(held, list | tuple):
        return type(held)(_plain(part, f"{where}/{i}") for i, part in enumerate(held))
    if type(held) in _PLAIN:
        return held
    raise TypeError(f"{where} is a {type(held).__name__}, which a checkpoint must not hold")
