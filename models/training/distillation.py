"""Distil a compact encoder from a full one: from an augmented crop it predicts the full one's embedding.

The compact encoder's dense layer is the linear projection onto the teacher's embedding, standardised column
by column; the loss is its squared error and one minus the cosine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.atomic import write_atomically
from models.cohorts.featurized import Cohort
from models.founder import COMPACT, FULL, EncoderConfig, Net1D
from models.progress import Progress, part_of
from models.training.augmentation import Augmentation
from models.training.devices import autocast
from models.training.ecg_batches import EcgBatches, Rows, in_chunks, rows_to_train_and_validate
from models.training.encoder_file import Normalise, embed, read_encoder, write_encoder
from models.training.loop import LoopPlan, fit
from models.training.pretraining import QUICK_EPOCHS
from models.training.run_folder import RunFolder
from models.training.schedule import one_cycle, step
from schemas.errors import ConfigurationError

STAGE: Final = "distilled"
#: The teacher's answers, which take longest: kept, so that a resumed run does not ask again.
TEACHER_FILE: Final = "teacher.safetensors"
#: Share of the work that asking the teacher is, as progress tells it.
_ASKING: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """How an encoder is distilled.

    Attributes
    ----------
    encoder : EncoderConfig
        ``n_outputs`` must be the length of the teacher's embedding.
    cosine_weight : float
        Of one minus the cosine, beside the squared error of a standardised column.
    """

    encoder: EncoderConfig = field(default_factory=lambda: replace(COMPACT, n_outputs=FULL.n_features))
    loop: LoopPlan = field(default_factory=lambda: LoopPlan(epochs=9, batch_size=32, patience=4, seed=1))
    augmentation: Augmentation = field(default_factory=Augmentation)
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    cosine_weight: float = 1.0
    validation_share: float = 0.06
    most_validated: int = 1000


def distillation_plan(seed: int, *, quick: bool = False) -> Distillation:
    """Return the plan under a seed; a quick one shows that it runs, and stops after two epochs."""
    plan = Distillation()
    epochs = QUICK_EPOCHS if quick else plan.loop.epochs
    return replace(plan, loop=replace(plan.loop, seed=seed, epochs=epochs))


class DistillationTask:
    """Distillation as a task of the loop.

    Parameters
    ----------
    taught : torch.Tensor
        float32, (n, n_outputs), on the CPU: the teacher's embedding of each ECG of the cohort.
    """

    name: Final = STAGE

    def __init__(self, plan: Distillation, cohort: Cohort, taught: Tensor, device: torch.device) -> None:
        if taught.shape != (len(cohort), plan.encoder.n_outputs):
            raise ConfigurationError(
                f"{len(cohort)} ECGs and an encoder of {plan.encoder.n_outputs} outputs cannot be taught by "
                f"embeddings of shape {tuple(taught.shape)}"
            )
        self.plan, self.device = plan, device
        self.train_rows, self.validation_rows = rows_to_train_and_validate(
            cohort.patient_keys, plan.validation_share, plan.most_validated, plan.loop.seed
        )
        known = taught[torch.from_numpy(self.train_rows)]
        scale = known.std(dim=0, unbiased=False).clamp(min=1e-6)
        self._taught = (taught - known.mean(dim=0)) / scale
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.loop.seed)
            self.encoder = Net1D(plan.encoder).to(device)
        self._batches = EcgBatches(cohort.inputs_uv, plan.augmentation, device)
        self._optimiser = torch.optim.AdamW(
            self.encoder.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )

    @property
    def n_train(self) -> int:
        """ECGs trained on."""
        return len(self.train_rows)

    def modules(self) -> Mapping[str, nn.Module]:
        """Return the encoder."""
        return {"encoder": self.encoder}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the one optimiser."""
        return {"optimiser": self._optimiser}

    def train_step(self, rows: Tensor, generator: torch.Generator, done: float) -> dict[str, float]:
        """Learn from one batch of augmented crops."""
        chosen = self.train_rows[rows.numpy()]
        squared, cosine = self._compare(self._batches.augmented(chosen, generator), chosen)
        loss = squared + self.plan.cosine_weight * (1.0 - cosine)
        rate = one_cycle(done, self.plan.learning_rate)
        step(self._optimiser, loss, self.encoder.parameters(), rate)
        return {"loss": float(loss.detach()), "cosine": float(cosine.detach())}

    def validate(self) -> dict[str, float]:
        """Judge whole ECGs of patients kept out: ``loss``, ``r2`` over all columns, and mean ``cosine``."""
        squared, cosine = 0.0, 0.0
        for rows in in_chunks(self.validation_rows):
            each = self._compare(self._batches.whole(rows), rows)
            share = len(rows) / len(self.validation_rows)
            squared, cosine = squared + share * float(each[0]), cosine + share * float(each[1])
        loss = squared + self.plan.cosine_weight * (1.0 - cosine)
        return {"loss": loss, "r2": 1.0 - squared, "cosine": cosine}

    def _compare(self, view: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        taught = self._taught[torch.from_numpy(rows)].to(self.device)
        with autocast(self.device):
            predicted = self.encoder(view)
        predicted = predicted.float()
        cosine = functional.cosine_similarity(predicted, taught, dim=1).mean()
        return functional.mse_loss(predicted, taught), cosine


def distil(
    plan: Distillation,
    cohort: Cohort,
    teacher: Net1D,
    normalise: Normalise,
    run: RunFolder,
    progress: Progress,
    device: torch.device,
) -> Net1D:
    """Distil an encoder, or take the one that this run has already.

    Writes ``encoder.safetensors`` and the stage ``distilled`` into the run folder.

    Parameters
    ----------
    normalise : callable
        The teacher's own: int16, (B, 8, 5000), µV → float32, (B, 12, T).

    Returns
    -------
    Net1D
        On the CPU, in evaluation mode.
    """
    if run.is_complete(STAGE):
        return read_encoder(run, plan.encoder)
    taught = _taught(cohort, teacher, normalise, run, part_of(progress, 0.0, _ASKING), device)
    task = DistillationTask(plan, cohort, taught, device)
    result = fit(task, plan.loop, run, part_of(progress, _ASKING, 1.0))
    encoder = task.encoder.to("cpu")
    write_encoder(run, encoder)
    run.save_stage(STAGE, {**result.summary(), "trained_ecgs": task.n_train})
    return encoder


def _taught(
    cohort: Cohort,
    teacher: Net1D,
    normalise: Normalise,
    run: RunFolder,
    progress: Progress,
    device: torch.device,
) -> Tensor:
    path = run.path / TEACHER_FILE
    if not path.exists():
        taught = embed(teacher, cohort, device, normalise=normalise, progress=progress)
        write_atomically(path, safetensors.torch.save({"embedding": taught}))
    embedding: Tensor = safetensors.torch.load(path.read_bytes())["embedding"]
    return embedding
