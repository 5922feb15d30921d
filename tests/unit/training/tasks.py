"""A task small enough to be trained in a test: a line through noise, with everything that has a state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.task import Stateful


class InterruptedTrainingError(Exception):
    """What kills a training in these tests."""


@dataclass(kw_only=True)
class LineTask:
    """Dropout draws from torch's global numbers, the noise from the generator, and Adam has moments."""

    name: str = "line"
    n_train: int = 50
    learning_rate: float = 0.05
    breaks_at_step: int | None = None
    nan_at_step: int | None = None
    losses: list[float] | None = None
    steps: int = 0
    validations: int = 0
    seen: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = torch.Generator().manual_seed(1)
        self.x = torch.randn(self.n_train, 3, generator=made)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5]) + 0.1 * torch.randn(self.n_train, generator=made)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 1))
        for tensor in self.net.parameters():
            tensor.data = torch.randn(tensor.shape, generator=made)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=self.learning_rate)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimiser, 7)

    def modules(self) -> Mapping[str, nn.Module]:
        return {"net": self.net}

    def optimisers(self) -> Mapping[str, Stateful]:
        return {"optimiser": self.optimiser, "schedule": self.schedule}

    def train_step(self, rows: Tensor, generator: torch.Generator, done: float) -> dict[str, float]:
        assert self.net.training
        self.steps += 1
        if self.steps == self.breaks_at_step:
            raise InterruptedTrainingError
        self.seen.append(done)
        x = self.x[rows] + 0.1 * torch.randn(len(rows), 3, generator=generator)
        loss = functional.mse_loss(self.net(x)[:, 0], self.y[rows])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return {"loss": float("nan") if self.steps == self.nan_at_step else float(loss.detach())}

    def validate(self) -> dict[str, float]:
        assert not self.net.training
        assert not torch.is_grad_enabled()
        self.validations += 1
        if self.losses is not None:
            return {"loss": self.losses[self.validations - 1]}
        return {"loss": float(functional.mse_loss(self.net(self.x)[:, 0], self.y)), "undefined": float("nan")}
