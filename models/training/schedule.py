"""How large a step is: the learning rate over a training, and the step itself."""

import math
from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor

#: A longer gradient is shortened to this: one odd batch must not undo many.
_LONGEST_GRADIENT: Final = 1.0
_FIRST_SHARE, _LAST_SHARE = 0.04, 1e-4


def one_cycle(done: float, peak: float, warm_up: float = 0.2) -> float:
    """Learning rate that rises to a peak and falls to nearly nothing, both as half a cosine.

    Parameters
    ----------
    done : float
        Share of all steps that lie behind, 0 to 1.
    warm_up : float
        Share at which the peak is reached.

    Examples
    --------
    >>> [round(one_cycle(done, 1.0), 2) for done in (0.0, 0.2, 0.6, 1.0)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if done < warm_up:
        start, stop, part = _FIRST_SHARE * peak, peak, done / warm_up
    else:
        start, stop, part = peak, _LAST_SHARE * peak, (done - warm_up) / (1.0 - warm_up)
    return stop + (start - stop) * 0.5 * (1.0 + math.cos(math.pi * part))


def step(optimiser: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[Tensor], rate: float) -> None:
    """Take one step down the slope of a loss at this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it partly
    torch.nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT)
    optimiser.step()
