"""What a recipe gives to the loop that trains."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Stateful(Protocol):
    """An optimiser, or a schedule of its learning rate."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must be kept."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take up what was kept."""
        ...


class Task(Protocol):
    """What a recipe gives to the loop; it owns its modules, optimisers and arrays.

    Attributes
    ----------
    name : str
        Names its files in the run folder: small letters, digits, - and _.
    n_train : int
        Rows to draw batches from.
    """

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def n_train(self) -> int:
        """Its number of rows."""
        ...

    def modules(self) -> Mapping[str, nn.Module]:
        """Return what checkpoints keep; the best epoch's weights are restored at the end."""
        ...

    def optimisers(self) -> Mapping[str, Stateful]:
        """Return the optimisers, and what else has a state to be kept."""
        ...

    def train_step(self, rows: Tensor, generator: torch.Generator, done: float) -> dict[str, float]:
        """Learn from one batch; modules are in training mode.

        Parameters
        ----------
        rows : torch.Tensor
            int64, (b,), on the CPU: which of the ``n_train`` rows.
        generator : torch.Generator
            On the CPU; torch's own generators, of all devices, are seeded per epoch too.
        done : float
            Share of all steps that lie behind, 0 to below 1.

        Returns
        -------
        dict of str to float
            Terms of the loss; each must be a finite number.
        """
        ...

    def validate(self) -> dict[str, float]:
        """Judge on rows that are not trained on, in evaluation mode and without gradients; has ``loss``."""
        ...
