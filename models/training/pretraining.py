"""Pretrain the encoder on ECGs nobody has labelled: many tasks at once, all made from the ECG and its header.

From an augmented crop the encoder learns to read the measurements of the whole recording, whether there is a
P wave and whether the rhythm is irregular, and age and sex where the header holds them. Beside these, a
linear decoder draws the clean median beat of all eight leads from the embedding, those included that were
dropped from the view: the self-supervised term, which keeps in the embedding what no measurement names.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.cohorts.featurized import Cohort
from models.founder import COMPACT, EncoderConfig, Net1D
from models.progress import Progress
from models.training.augmentation import Augmentation
from models.training.devices import autocast
from models.training.ecg_batches import EcgBatches, Rows, evenly, in_chunks, rows_to_train_and_validate
from models.training.encoder_file import read_encoder, write_encoder
from models.training.judge import auc
from models.training.loop import LoopPlan, fit
from models.training.run_folder import RunFolder
from models.training.schedule import one_cycle, step
from models.training.targets import (
    FLAGS,
    MEASUREMENTS,
    REGRESSED,
    TARGETS,
    Standard,
    beat_loss,
    beat_targets,
    column_losses,
    raw_targets,
    scales_mv,
)
from schemas.errors import ConfigurationError

STAGE: Final = "encoder"
#: Epochs, and simulated ECGs, of a quick run.
QUICK_EPOCHS: Final = 2
QUICK_ECGS: Final = 600
#: Beats whose mean and variance stand for those of all: beats are read from disk when they are needed.
_MOST_FOR_MOMENTS: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """How the encoder is pretrained.

    Attributes
    ----------
    encoder : EncoderConfig
        ``n_outputs`` must be the number of :data:`models.training.targets.TARGETS`.
    learning_rate : float
        Peak of a cycle: a fifth of the steps up, the rest down.
    measurement_weight, rhythm_weight, age_weight, sex_weight, beat_weight : float
        Of the terms of the loss. Each regressed term is a squared error of something of variance 1; the
        measurements' is the mean over their columns.
    validation_share : float
        Share of patients kept out to validate on.
    most_validated : int
        ECGs validated on after each epoch, at most.
    """

    encoder: EncoderConfig = field(default_factory=lambda: replace(COMPACT, n_outputs=len(TARGETS)))
    loop: LoopPlan = field(
        default_factory=lambda: LoopPlan(epochs=9, batch_size=32, patience=4, min_epochs=9, seed=1)
    )
    augmentation: Augmentation = field(default_factory=Augmentation)
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    measurement_weight: float = 1.0
    rhythm_weight: float = 0.2
    age_weight: float = 0.2
    sex_weight: float = 0.2
    beat_weight: float = 0.5
    validation_share: float = 0.06
    most_validated: int = 1000

    def __post_init__(self) -> None:
        if self.encoder.n_outputs != len(TARGETS):
            raise ConfigurationError(
                f"the encoder needs {len(TARGETS)} outputs, not {self.encoder.n_outputs}"
            )

    def column_weights(self) -> Tensor:
        """Weight of each target: float32, (len(TARGETS),)."""
        measured = [self.measurement_weight / len(MEASUREMENTS)] * len(MEASUREMENTS)
        return torch.tensor(
            [*measured, self.age_weight, self.rhythm_weight, self.rhythm_weight, self.sex_weight]
        )


def pretraining_plan(seed: int, *, quick: bool = False) -> Pretraining:
    """Return the plan under a seed; a quick one shows that it runs, and stops after two epochs."""
    plan = Pretraining()
    if quick:
        return replace(plan, loop=replace(plan.loop, seed=seed, epochs=QUICK_EPOCHS, min_epochs=1))
    return replace(plan, loop=replace(plan.loop, seed=seed))


class BeatDecoder(nn.Module):
    """Draws the median beat, standardised sample by sample, from the embedding."""

    centre: Tensor

    def __init__(self, n_features: int, centre: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.linear = nn.Linear(n_features, centre.numel())

    def forward(self, embedding: Tensor) -> Tensor:
        """(B, n_features) → (B, 8, 110)."""
        drawn: Tensor = self.centre + self.linear(embedding).reshape(-1, *self.centre.shape)
        return drawn


class EncoderTask:
    """Pretraining as a task of the loop.

    Parameters
    ----------
    cohort : Cohort
        ECGs; labels are not looked at. Rows of patients kept out are validated on.
    """

    name: Final = STAGE

    def __init__(self, plan: Pretraining, cohort: Cohort, device: torch.device) -> None:
        self.plan, self.device = plan, device
        self.train_rows, self.validation_rows = rows_to_train_and_validate(
            cohort.patient_keys, plan.validation_share, plan.most_validated, plan.loop.seed
        )
        self._beats_uv, self._scale_mv = cohort.beats_uv, scales_mv(cohort.inputs_uv)
        raw = raw_targets(cohort.features, self._scale_mv)
        self.standard = Standard.of(raw[self.train_rows])
        self._targets = torch.from_numpy(self.standard.apply(raw))
        centre, self._beat_variance = _moments(self._beats(evenly(self.train_rows, _MOST_FOR_MOMENTS)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.loop.seed)
            self.encoder = Net1D(plan.encoder).to(device)
            self.decoder = BeatDecoder(plan.encoder.n_features, centre).to(device)
        self._batches = EcgBatches(cohort.inputs_uv, plan.augmentation, device)
        self._weights = plan.column_weights().to(device)
        self._optimiser = torch.optim.AdamW(
            self._parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )

    @property
    def n_train(self) -> int:
        """ECGs trained on."""
        return len(self.train_rows)

    def modules(self) -> Mapping[str, nn.Module]:
        """Return encoder and decoder."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the one optimiser."""
        return {"optimiser": self._optimiser}

    def train_step(self, rows: Tensor, generator: torch.Generator, done: float) -> dict[str, float]:
        """Learn from one batch of augmented crops."""
        chosen = self.train_rows[rows.numpy()]
        view = self._batches.augmented(chosen, generator)
        with autocast(self.device):
            outputs, drawn = self._answers(view)
        columns, beat = self._losses(outputs, drawn, chosen)
        loss = columns @ self._weights + self.plan.beat_weight * beat
        rate = one_cycle(done, self.plan.learning_rate)
        step(self._optimiser, loss, self._parameters(), rate)
        read = columns.detach()[: len(MEASUREMENTS)].mean()
        return {"loss": float(loss.detach()), "measurements": float(read), "beat": float(beat.detach())}

    def validate(self) -> dict[str, float]:
        """Judge whole, unchanged ECGs of patients kept out.

        Returns
        -------
        dict of str to float
            ``loss`` as in training; ``r2_…`` of each measurement and of the beat, ``mae_age_years``,
            ``auc_…`` of each flag. NaN where nothing is known.
        """
        answers = [self._validated(rows) for rows in in_chunks(self.validation_rows)]
        outputs, drawn = (torch.cat(parts) for parts in zip(*answers, strict=True))
        columns, beat = self._losses(outputs, drawn, self.validation_rows)
        loss = float(columns @ self._weights + self.plan.beat_weight * beat)
        targets = self._targets[torch.from_numpy(self.validation_rows)].numpy()
        judged = _judged(outputs.cpu().numpy(), targets, float(self.standard.scale[-1]))
        return {"loss": loss, **judged, "r2_beat": 1.0 - float(beat)}

    def _beats(self, rows: Rows) -> Tensor:
        beats_uv = np.stack([self._beats_uv[row] for row in rows])
        return torch.from_numpy(beat_targets(beats_uv, self._scale_mv[rows]))

    def _answers(self, view: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.encoder.embed(view)
        return self.encoder.dense(embedding).float(), self.decoder(embedding).float()

    def _validated(self, rows: Rows) -> tuple[Tensor, Tensor]:
        view = self._batches.whole(rows)
        with autocast(self.device):
            return self._answers(view)

    def _losses(self, outputs: Tensor, drawn: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        at = torch.from_numpy(rows)
        columns = column_losses(outputs, self._targets[at].to(self.device))
        return columns, beat_loss(drawn, self._beats(rows).to(self.device), self._beat_variance)

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.encoder.parameters(), *self.decoder.parameters()]


def pretrain(
    plan: Pretraining, cohort: Cohort, run: RunFolder, progress: Progress, device: torch.device
) -> Net1D:
    """Pretrain an encoder, or take the one that this run has already.

    Writes ``encoder.safetensors`` and the stage ``encoder`` into the run folder.

    Returns
    -------
    Net1D
        On the CPU, in evaluation mode.
    """
    if run.is_complete(STAGE):
        return read_encoder(run, plan.encoder)
    progress("encoder, reading the ECGs", 0.0)
    task = EncoderTask(plan, cohort, device)
    result = fit(task, plan.loop, run, progress)
    encoder = task.encoder.to("cpu")
    write_encoder(run, encoder)
    run.save_stage(STAGE, {**result.summary(), **_trained_on(task)})
    return encoder


def _trained_on(task: EncoderTask) -> dict[str, object]:
    return {
        "trained_ecgs": task.n_train,
        "validated_ecgs": len(task.validation_rows),
        "targets": list(TARGETS),
        "standard": {name: numbers.tolist() for name, numbers in asdict(task.standard).items()},
    }


def _moments(beats: Tensor) -> tuple[Tensor, float]:
    """Mean beat, (8, 110), and mean variance around it; 0 and 1 where there is no beat."""
    known = beats[torch.isfinite(beats[:, 0, 0])]
    if len(known) < 2:
        return torch.zeros(beats.shape[1:]), 1.0
    centre = known.mean(dim=0)
    return centre, max(float((known - centre).square().mean()), 1e-6)


def _judged(
    outputs: npt.NDArray[np.float32], targets: npt.NDArray[np.float32], age_scale: float
) -> dict[str, float]:
    found: dict[str, float] = {}
    for i, name in enumerate(TARGETS):
        known = np.isfinite(targets[:, i])
        answer, truth = outputs[known, i].astype(np.float64), targets[known, i].astype(np.float64)
        if name in FLAGS:
            found[f"auc_{name}"] = auc(truth, answer)
        elif name == REGRESSED[-1]:
            found["mae_age_years"] = (
                float(np.abs(answer - truth).mean() * age_scale) if len(truth) else np.nan
            )
        else:
            found[f"r2_{name}"] = _r2(truth, answer)
    return found


def _r2(truth: npt.NDArray[np.float64], answer: npt.NDArray[np.float64]) -> float:
    if len(truth) < 2 or not truth.std():
        return float("nan")
    return float(1.0 - ((truth - answer) ** 2).mean() / truth.var())
