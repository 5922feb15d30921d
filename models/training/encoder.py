"""Train the encoder: the label and the echo findings from the waveform alone, under augmentation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.founder import EncoderConfig, Net1D
from models.normalisation import Normalisation
from models.training.cohort import Cohort, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTraining:
    """How the encoder is trained.

    Attributes
    ----------
    crop_samples : int
        Length of the random piece that is shown: a shift in time, and half the work.
    findings_weight : float
        Weight of the findings' squared error beside the label's cross-entropy.
    noise_mv : float
        Largest deviation of the noise added to a lead.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    crop_samples: int = 2500
    findings_weight: float = 0.5
    noise_mv: float = 0.03


def augment(uv: Tensor, generator: torch.Generator, noise_mv: float) -> Tensor:
    """Gain of each lead ±10 %, and noise of a random size in each: float32, (B, 8, 5000), µV."""
    n, leads, samples = uv.shape
    gain = 1.0 + 0.1 * (2.0 * torch.rand(n, leads, 1, generator=generator) - 1.0)
    size_uv = 1000.0 * noise_mv * torch.rand(n, leads, 1, generator=generator)
    return uv.float() * gain + size_uv * torch.randn(n, leads, samples, generator=generator)


def train_encoder(
    config: EncoderConfig, plan: EncoderTraining, cohort: Cohort, seed: int, progress: Progress
) -> Net1D:
    """Train an encoder from a seeded start.

    Parameters
    ----------
    config : EncoderConfig
        ``n_outputs`` must be 1 (label) + the number of findings.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    encoder, normalise = Net1D(config), Normalisation()
    targets = _targets(cohort)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    steps = plan.epochs * (len(cohort) // plan.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=max(steps, 2), pct_start=0.2
    )
    for step, rows in enumerate(_batches(len(cohort), plan, generator)):
        uv = augment(torch.from_numpy(cohort.inputs_uv[rows.numpy()]), generator, plan.noise_mv)
        with torch.no_grad():
            x = _crop(normalise(uv), plan.crop_samples, generator)
        loss = _loss(encoder(x), targets[rows], plan.findings_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it partly
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 20 == 0:
            progress(f"train, loss {float(loss.detach()):.3f}", step / steps)
    return encoder.eval()


@torch.inference_mode()
def embed(encoder: Net1D, cohort: Cohort, batch_size: int = 32) -> Tensor:
    """Embed a cohort as the pipeline does: float32, (n, n_features)."""
    normalise = Normalisation()
    pieces = torch.split(torch.from_numpy(cohort.inputs_uv), batch_size)
    return torch.cat([encoder.embed(normalise(piece)) for piece in pieces])


def _targets(cohort: Cohort) -> Tensor:
    """(n, 1 + n_findings): the label, and the findings standardised."""
    findings = (cohort.findings - cohort.findings.mean(axis=0)) / cohort.findings.std(axis=0)
    return torch.from_numpy(np.column_stack([cohort.is_high_risk, findings]).astype(np.float32))


def _loss(outputs: Tensor, targets: Tensor, findings_weight: float) -> Tensor:
    label = functional.binary_cross_entropy_with_logits(outputs[:, 0], targets[:, 0])
    return label + findings_weight * functional.mse_loss(outputs[:, 1:], targets[:, 1:])


def _crop(x: Tensor, n_samples: int, generator: torch.Generator) -> Tensor:
    start = int(torch.randint(x.shape[-1] - n_samples + 1, (1,), generator=generator))
    return x[..., start : start + n_samples]


def _batches(n: int, plan: EncoderTraining, generator: torch.Generator) -> "list[Tensor]":
    out: list[Tensor] = []
    for _ in range(plan.epochs):
        order = torch.randperm(n, generator=generator)
        out.extend(order[i : i + plan.batch_size] for i in range(0, n - plan.batch_size + 1, plan.batch_size))
    return out
