"""The loop that trains: epochs, early stopping, checkpoints, and going on after an interruption.

Every epoch draws its random numbers from a seed of its own, made of the plan's seed, the task's name and the
epoch's number. A run that goes on from a checkpoint therefore gives, on the CPU, bit for bit what an
uninterrupted one gives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import ClassVar, Final

import torch
from torch import Tensor

from models.progress import Progress
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.devices import autocast, pick_device
from models.training.run_folder import RunFolder
from models.training.task import Stateful, Task
from schemas.errors import ConfigurationError, DiastoleError

__all__ = [
    "LOSS",
    "DivergedError",
    "FitResult",
    "LoopPlan",
    "Stateful",
    "Task",
    "autocast",
    "best_of",
    "epoch_seed",
    "fit",
    "is_over",
    "pick_device",
]

#: What :meth:`Task.validate` must give: lower is better.
LOSS: Final = "loss"

Weights = dict[str, dict[str, Tensor]]


class DivergedError(DiastoleError):
    """The loss is no number any more; the message names epoch and step."""

    code: ClassVar[str] = "DIVERGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """How long to train.

    Attributes
    ----------
    batch_size : int
        At most so many rows a step; the rows of an epoch are dealt out evenly.
    patience : int
        Epochs without a better validation loss after which training stops.
    min_epochs : int
        No stop before so many.
    """

    epochs: int
    batch_size: int
    patience: int
    seed: int
    min_epochs: int = 1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.patience, self.min_epochs) < 1:
            raise ConfigurationError("epochs, batch size, patience and least epochs must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """How a fit went.

    Attributes
    ----------
    curve : tuple of dict
        One row an epoch: terms of :meth:`Task.train_step` as ``train_…``, means over the epoch, and what
        :meth:`Task.validate` gave.
    best_epoch : int
        From 1; the weights are its.
    stopped_early : bool
        Whether patience ended it.
    """

    curve: tuple[dict[str, float], ...]
    best_epoch: int
    stopped_early: bool

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch."""
        return self.curve[self.best_epoch - 1]

    def summary(self) -> dict[str, object]:
        """Say how it went, as the result of a stage."""
        return {
            "epochs": len(self.curve),
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped_early,
            "metrics": self.best,
        }


def epoch_seed(seed: int, name: str, epoch: int) -> int:
    """Seed of one epoch's random numbers, 0 to 2⁶³ − 1."""
    return int.from_bytes(sha256(f"{seed} {name} {epoch}".encode()).digest()[:8], "big") >> 1


def best_of(losses: Sequence[float]) -> int:
    """Index of the lowest loss, the first of equals."""
    return min(range(len(losses)), key=losses.__getitem__)


def is_over(losses: Sequence[float], plan: LoopPlan) -> bool:
    """Whether training ends after these validation losses."""
    if not losses or len(losses) >= plan.epochs:
        return bool(losses)
    return len(losses) >= plan.min_epochs and len(losses) - 1 - best_of(losses) >= plan.patience


def fit(task: Task, plan: LoopPlan, run: RunFolder | None, progress: Progress) -> FitResult:
    """Train a task, from its checkpoint where the run folder has one; the best epoch's weights are restored.

    Torch's global random numbers are left as they were.

    Parameters
    ----------
    run : RunFolder or None
        Where a checkpoint is written after each epoch, and the learning curve; None keeps nothing.

    Raises
    ------
    DivergedError
        When a term of the loss is no finite number.
    CheckpointError
        When the checkpoint is damaged, or of another plan, configuration or network.
    """
    if task.n_train < 1:
        raise ConfigurationError(f"{task.name}: there are no ECGs to train on")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        curve, best = _resume(task, plan, run)
        while not is_over([row[LOSS] for row in curve], plan):
            curve.append(_epoch(task, plan, len(curve), progress))
            if best_of([row[LOSS] for row in curve]) == len(curve) - 1:
                best = _weights(task)
            if run is not None:
                _save(task, plan, run, curve, best)
                run.append_curve(task.name, len(curve), curve[-1])
    for name, module in task.modules().items():
        module.load_state_dict(best[name])
        module.eval()
    return FitResult(
        curve=tuple(curve),
        best_epoch=best_of([row[LOSS] for row in curve]) + 1,
        stopped_early=len(curve) < plan.epochs,
    )


def _epoch(task: Task, plan: LoopPlan, epoch: int, progress: Progress) -> dict[str, float]:
    seed = epoch_seed(plan.seed, task.name, epoch)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(task.n_train, generator=generator)
    batches = torch.tensor_split(order, -(-task.n_train // plan.batch_size))
    for module in task.modules().values():
        module.train()
    sums: dict[str, float] = {}
    for step, rows in enumerate(batches):
        done = (epoch + step / len(batches)) / plan.epochs
        terms = task.train_step(rows, generator, done)
        _require_finite(task, terms, epoch, f"step {step + 1}")
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + term
        where = f"epoch {epoch + 1}/{plan.epochs}, step {step + 1}/{len(batches)}"
        progress(f"{task.name}, {where}, {_said(terms)}", done)
    for module in task.modules().values():
        module.eval()
    with torch.no_grad():
        measured = task.validate()
    _require_finite(task, {LOSS: measured[LOSS]}, epoch, "validation")
    means = {f"train_{name}": total / len(batches) for name, total in sums.items()}
    return {name: float(number) for name, number in {**means, **measured}.items()}


def _require_finite(task: Task, terms: Mapping[str, float], epoch: int, where: str) -> None:
    for name, term in terms.items():
        if not math.isfinite(term):
            raise DivergedError(
                f"{task.name}: {name} is {term} in epoch {epoch + 1}, {where}. "
                "Lower the learning rate, or look for ECGs or targets that are no numbers"
            )


def _said(terms: Mapping[str, float]) -> str:
    name = LOSS if LOSS in terms else next(iter(terms), "")
    return f"{name} {terms[name]:.3f}" if terms else ""


def _weights(task: Task) -> Weights:
    return {
        name: {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}
        for name, module in task.modules().items()
    }


def _recipe(task: Task, plan: LoopPlan, run: RunFolder) -> dict[str, str]:
    """Say what a checkpoint must agree in to be taken up."""
    shapes = [
        f"{name}.{key}{tuple(tensor.shape)}"
        for name, module in sorted(task.modules().items())
        for key, tensor in module.state_dict().items()
    ]
    kinds = [f"{name} {type(each).__name__}" for name, each in sorted(task.optimisers().items())]
    return {
        "task": task.name,
        "plan": ", ".join(f"{name} {number}" for name, number in asdict(plan).items()),
        "rows": str(task.n_train),
        "optimisers": ", ".join(kinds),
        "weights": sha256(" ".join(shapes).encode()).hexdigest(),
        "configuration": run.configuration_hash,
    }


def _save(task: Task, plan: LoopPlan, run: RunFolder, curve: list[dict[str, float]], best: Weights) -> None:
    content = {
        "recipe": _recipe(task, plan, run),
        "curve": curve,
        "modules": _weights(task),
        "optimisers": {name: each.state_dict() for name, each in task.optimisers().items()},
        "best": best,
    }
    write_checkpoint(run.checkpoint(task.name), content)


def _resume(task: Task, plan: LoopPlan, run: RunFolder | None) -> tuple[list[dict[str, float]], Weights]:
    if run is None:
        return [], {}
    path = run.checkpoint(task.name)
    if not path.exists():
        run.reset_curve(task.name, [])
        return [], {}
    kept = read_checkpoint(path)
    wanted, found = _recipe(task, plan, run), kept.get("recipe", {})
    differing = [
        f"{name} {found.get(name)} there, {wanted[name]} now"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    if differing:
        raise CheckpointError(
            f"checkpoint {path} is of another training: {'; '.join(differing)}. Delete it to start anew"
        )
    for name, module in task.modules().items():
        module.load_state_dict(kept["modules"][name])
    for name, each in task.optimisers().items():
        each.load_state_dict(kept["optimisers"][name])
    run.reset_curve(task.name, kept["curve"])
    return kept["curve"], kept["best"]
