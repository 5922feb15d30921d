"""Where training computes, and in which precision."""

from contextlib import AbstractContextManager, nullcontext

import torch

from schemas.errors import ConfigurationError


def pick_device(asked: str | None = None) -> torch.device:
    """Choose a device: the one asked for, else CUDA where there is one, else the CPU.

    Raises
    ------
    ConfigurationError
        When the one asked for is not there.
    """
    try:
        device = torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ConfigurationError(f"{asked} names no device: write cpu, cuda or cuda:1") from error
    is_there = device.type == "cpu" or (
        device.type == "cuda" and (device.index or 0) < torch.cuda.device_count()
    )
    if not is_there:
        raise ConfigurationError(f"there is no device {asked} here: leave it out, or use cpu")
    return device


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for the forward pass: bfloat16 on CUDA, as it is on the CPU."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
