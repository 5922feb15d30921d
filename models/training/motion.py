"""Train the motion generator against a discriminator, on pairs of ECG and tissue Doppler.

One step: the discriminator learns to tell measured curves from drawn ones (hinge loss, Lim and Ye 2017; its own
learning rate, Heusel et al., NeurIPS 2017), then the generator learns to draw curves that it holds for measured,
and to give, without noise, the curve, its slope and its peak velocities as they were. How far the peaks are off
is learnt beside, from errors that it does not move.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.cohorts.featurized import Cohort
from models.motion import MotionConfig, MotionGenerator, context_rows
from models.motion_measurements import (
    MOTION_COLUMNS,
    N_VELOCITIES,
    is_fibrillating,
    measure_motion,
    rr_ms,
)
from models.training.beat_augmentation import BeatAugmentation, augment_beats, hide_context
from models.training.loop import FitResult, LoopPlan, autocast, fit
from models.training.motion_discriminator import DiscriminatorConfig, MotionDiscriminator
from models.training.progress import Progress
from models.training.run_folder import RunFolder
from schemas.errors import ConfigurationError

#: Rows judged or measured at a time.
_CHUNK: Final = 256
_SEPTAL_E, _LATERAL_E = (MOTION_COLUMNS.index(f"e_prime_{site}_cm_s") for site in ("septal", "lateral"))
#: An output is calibrated where at least so many people have it.
_FEWEST: Final = 30
#: Of a normal distribution, 90 % lie within so many deviations.
_SD_OF_90: Final = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionTraining:
    """The recipe.

    Attributes
    ----------
    learning_rate, discriminator_learning_rate : float
        Top rates of AdamW; they rise over the first ``warm_up`` of all steps and fall along a half cosine.
    curve_weight : float
        Of the mean absolute error of the curve, cm/s.
    slope_weight : float
        Of the mean absolute error of its differences between samples, cm/s.
    peak_weight : float
        Of the mean absolute error of s', e', a' where both curves have them, cm/s.
    spread_weight : float
        Of the negative log-likelihood of those errors.
    adversarial_weight : float
        Of what the discriminator says of curves drawn with noise.
    still_share : float
        Share of drawn curves whose noise is 0, so that the answer without noise is judged too.
    blur_cm_s : float
        Noise on all curves before they are judged: a measured curve is not to be known by its exact zeros.
    averaged_share : float
        The running mean of the generator's weights, which is what is kept, reaches back over about this share of
        the steps so far.
    """

    epochs: int = 40
    batch_size: int = 64
    patience: int = 12
    learning_rate: float = 1.5e-3
    discriminator_learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    warm_up: float = 0.05
    curve_weight: float = 1.0
    slope_weight: float = 1.0
    peak_weight: float = 0.5
    spread_weight: float = 0.1
    adversarial_weight: float = 0.02
    still_share: float = 0.25
    blur_cm_s: float = 0.15
    averaged_share: float = 0.1
    augmentation: BeatAugmentation = field(default_factory=BeatAugmentation)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def loop(self, seed: int) -> LoopPlan:
        """How long to train."""
        return LoopPlan(epochs=self.epochs, batch_size=self.batch_size, patience=self.patience, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Pairs on a device; ``velocities`` are s', e', a' measured on the true curves, float32, (b, 6), NaN absent."""

    beats_uv: Tensor
    context: Tensor
    rr_ms: Tensor
    fibrillating: Tensor
    curves: Tensor
    velocities: Tensor


class Pairs:
    """Rows of a cohort that have a beat and curves without gaps; beats and curves stay where the cohort has them."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.rows = _paired(cohort)
        features = torch.from_numpy(np.asarray(cohort.features[self.rows], dtype=np.float32))
        self.context = context_rows(features)
        self.rr_ms = rr_ms(features)
        self.fibrillating = is_fibrillating(features)
        pieces = torch.arange(len(self)).split(_CHUNK)
        self.velocities = torch.cat([self._velocities(piece) for piece in pieces])

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.rows)

    def batch(self, rows: Tensor, device: torch.device) -> Batch:
        """Fetch pairs at these places, int64, (b,)."""
        picked = self.rows[rows.numpy()]
        return Batch(
            beats_uv=torch.from_numpy(self.cohort.beats_uv[picked]).to(device).float(),
            context=self.context[rows].to(device),
            rr_ms=self.rr_ms[rows].to(device),
            fibrillating=self.fibrillating[rows].to(device),
            curves=self._curves(rows).to(device),
            velocities=self.velocities[rows].to(device),
        )

    def _curves(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(self.cohort.velocities_cm_s[self.rows[rows.numpy()]], np.float32))

    def _velocities(self, rows: Tensor) -> Tensor:
        measured = measure_motion(self._curves(rows), self.rr_ms[rows], self.fibrillating[rows])
        return measured[:, :N_VELOCITIES]


def _paired(cohort: Cohort) -> npt.NDArray[np.int64]:
    kept = []
    for start in range(0, len(cohort), _CHUNK):
        piece = slice(start, start + _CHUNK)
        is_whole = np.isfinite(cohort.velocities_cm_s[piece]).all(axis=(1, 2))
        kept.append(start + np.flatnonzero(is_whole & (cohort.beats_uv[piece] != 0).any(axis=(1, 2))))
    rows: npt.NDArray[np.int64] = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    if rows.size == 0:
        raise ConfigurationError("no ECG of this cohort has both a beat and tissue-Doppler curves")
    return rows


class MotionTask:
    """What :func:`models.training.loop.fit` is given.

    Attributes
    ----------
    generator : MotionGenerator
        The running mean of what is learnt: what is judged and kept.
    """

    name: Final = "motion"

    def __init__(
        self,
        config: MotionConfig,
        plan: MotionTraining,
        train: Cohort,
        validation: Cohort,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.plan, self.device = plan, device
        self.train, self.held_out = Pairs(train), Pairs(validation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.learner = MotionGenerator(config).to(device)
            self.discriminator = MotionDiscriminator(plan.discriminator).to(device)
        self.generator = copy.deepcopy(self.learner)
        self.generator.requires_grad_(False)
        self._learner_steps = _adam(self.learner, plan.learning_rate, plan.weight_decay, beta_1=0.9)
        self._discriminator_steps = _adam(
            self.discriminator, plan.discriminator_learning_rate, plan.weight_decay, beta_1=0.5
        )

    @property
    def n_train(self) -> int:
        """Pairs to learn from."""
        return len(self.train)

    def modules(self) -> dict[str, nn.Module]:
        """Return the running mean, what is learning, and the discriminator."""
        return {
            "generator": self.generator,
            "learner": self.learner,
            "discriminator": self.discriminator,
        }

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return both."""
        return {"learner": self._learner_steps, "discriminator": self._discriminator_steps}

    def train_step(self, rows: Tensor, generator: torch.Generator, done: float) -> dict[str, float]:
        """One step of the discriminator, and one of the generator."""
        plan, batch = self.plan, self.train.batch(rows, self.device)
        random = torch.Generator(self.device)
        random.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        beats_uv = augment_beats(batch.beats_uv, plan.augmentation, random)
        context = hide_context(batch.context, plan.augmentation, random)
        self._set_rates(done)
        with autocast(self.device):
            known = self.learner.encoder(beats_uv, context)
            drawn = self.learner.curves(known, self._noise(len(rows), random))
            told = self._teach_discriminator(drawn.detach(), batch.curves, beats_uv, context, random)
            terms = self._generator_terms(known, batch)
            terms["adversarial"] = -self._fooled(drawn, beats_uv, context, random)
        weights = {name: getattr(plan, f"{name}_weight") for name in terms}
        total = torch.stack([weights[name] * term.float() for name, term in terms.items()]).sum()
        _step(self._learner_steps, self.learner, total)
        self._average()
        return {"loss": float(total.detach()), **{n: float(t.detach()) for n, t in terms.items()}, **told}

    def validate(self) -> dict[str, float]:
        """Mean absolute errors of curve and velocities without noise, cm/s; the loss is that of curve and e'.

        Velocities are compared where both curves have them; in the loss, an e' that was not drawn counts as 0.
        """
        curves, errors, e_errors = [], [], []
        for rows in torch.arange(len(self.held_out)).split(_CHUNK):
            batch = self.held_out.batch(rows, self.device)
            made, _ = self.generator(batch.beats_uv, batch.context)
            curves.append((made - batch.curves).abs().mean(dim=(1, 2)).cpu())
            off = _velocity_errors(made, batch).abs()
            whole = torch.where(torch.isnan(off), batch.velocities, off)
            errors.append(off.cpu())
            e_errors.append(whole[:, [_SEPTAL_E, _LATERAL_E]].cpu())
        mae = torch.cat(errors).nanmean(dim=0)
        curve, e_prime = float(torch.cat(curves).mean()), float(torch.cat(e_errors).nanmean())
        named = {f"mae_{name}": float(mae[i]) for i, name in enumerate(MOTION_COLUMNS[:N_VELOCITIES])}
        return {"loss": curve + e_prime, "curve": curve, **named}

    def _teach_discriminator(
        self, drawn: Tensor, measured: Tensor, beats_uv: Tensor, context: Tensor, random: torch.Generator
    ) -> dict[str, float]:
        self.discriminator.requires_grad_(True)
        both = self._blurred(torch.cat([measured, drawn]), random)
        seen = self.discriminator.seen(beats_uv, context)
        answers = self.discriminator.judge(both, torch.cat([seen, seen])).float()
        of_measured, of_drawn = answers.chunk(2)
        loss = functional.relu(1.0 - of_measured).mean() + functional.relu(1.0 + of_drawn).mean()
        _step(self._discriminator_steps, self.discriminator, loss)
        apart = (of_measured > 0.0).float().mean() + (of_drawn < 0.0).float().mean()
        return {"discriminator": float(loss.detach()), "told_apart": float(apart.detach() / 2.0)}

    def _fooled(self, drawn: Tensor, beats_uv: Tensor, context: Tensor, random: torch.Generator) -> Tensor:
        self.discriminator.requires_grad_(False)
        return self.discriminator(self._blurred(drawn, random), beats_uv, context).float().mean()

    def _generator_terms(self, known: Tensor, batch: Batch) -> dict[str, Tensor]:
        made = self.learner.curves(known)
        errors = _velocity_errors(made, batch)
        is_there = torch.isfinite(errors)
        errors = torch.where(is_there, errors, 0.0)
        n_there = is_there.sum().clamp(min=1)
        log_sd = self.learner.log_sd(known)
        unlikely = log_sd + 0.5 * (errors.detach() / log_sd.exp()).square()
        return {
            "curve": (made - batch.curves).abs().mean(),
            "slope": (made.diff(dim=-1) - batch.curves.diff(dim=-1)).abs().mean(),
            "peak": errors.abs().sum() / n_there,
            "spread": (unlikely * is_there).sum() / n_there,
        }

    def _noise(self, n: int, random: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.learner.config.n_noise, generator=random, device=self.device)
        is_still = torch.rand(n, 1, generator=random, device=self.device) < self.plan.still_share
        return noise.masked_fill(is_still, 0.0)

    def _blurred(self, curves: Tensor, random: torch.Generator) -> Tensor:
        blur = torch.randn(curves.shape, generator=random, device=self.device)
        return curves + self.plan.blur_cm_s * blur

    def _set_rates(self, done: float) -> None:
        share = min(1.0, done / self.plan.warm_up + 0.01) * 0.5 * (1.0 + math.cos(math.pi * done))
        for steps, top in (
            (self._learner_steps, self.plan.learning_rate),
            (self._discriminator_steps, self.plan.discriminator_learning_rate),
        ):
            for group in steps.param_groups:
                group["lr"] = share * top

    @torch.no_grad()
    def _average(self) -> None:
        learnt = list(self.learner.parameters())
        n_steps = float(self._learner_steps.state[learnt[0]]["step"])
        weight = 1.0 / (1.0 + self.plan.averaged_share * n_steps)
        for mean, latest in zip(self.generator.parameters(), learnt, strict=True):
            mean.lerp_(latest, weight)


def _adam(module: nn.Module, rate: float, weight_decay: float, *, beta_1: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(module.parameters(), lr=rate, betas=(beta_1, 0.99), weight_decay=weight_decay)


def _step(steps: torch.optim.Optimizer, module: nn.Module, loss: Tensor) -> None:
    steps.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it partly
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    steps.step()


def _velocity_errors(made: Tensor, batch: Batch) -> Tensor:
    """Generated less true s', e', a': (B, 6), cm/s; NaN where either curve lacks the wave."""
    measured = measure_motion(made, batch.rr_ms, batch.fibrillating)[:, :N_VELOCITIES]
    return measured - batch.velocities


def train_motion(
    config: MotionConfig,
    plan: MotionTraining,
    train: Cohort,
    validation: Cohort,
    *,
    seed: int,
    device: torch.device,
    run: RunFolder | None,
    progress: Progress,
) -> tuple[MotionGenerator, FitResult]:
    """Train a generator from a seeded start, or from the run folder's checkpoint, and calibrate its deviations.

    Parameters
    ----------
    train, validation : Cohort
        Of different patients. Rows without curves or without a beat are left out.

    Raises
    ------
    ConfigurationError
        When no row of either has both.
    """
    task = MotionTask(config, plan, train, validation, seed=seed, device=device)
    result = fit(task, plan.loop(seed), run, progress)
    calibrate_uncertainty(task.generator, validation)
    return task.generator, result


@torch.no_grad()
def calibrate_uncertainty(generator: MotionGenerator, cohort: Cohort) -> Tensor:
    """Scale the generator's deviations so that 90 % of these people lie within its 90 % intervals.

    Split conformal calibration (Lei et al., JASA 2018) of normal intervals: for each output the scale is the
    90 % quantile, raised by one person in the cohort, of error over deviation, over 1.645. Rows must not have
    been trained on.

    Returns
    -------
    torch.Tensor
        float32, (6,): by how much each deviation grew; 1 where fewer than 30 people have the wave. The
        generator's ``log_sd_shift`` holds it.
    """
    pairs, device = Pairs(cohort), generator.log_sd_shift.device
    surprises = []
    for rows in torch.arange(len(pairs)).split(_CHUNK):
        batch = pairs.batch(rows, device)
        made, log_sd = generator(batch.beats_uv, batch.context)
        surprises.append((_velocity_errors(made, batch).abs() / log_sd.exp()).cpu())
    scale = torch.ones(N_VELOCITIES)
    for i, surprise in enumerate(torch.cat(surprises).unbind(dim=1)):
        known = surprise[torch.isfinite(surprise)]
        if known.numel() >= _FEWEST:
            rank = math.ceil(0.9 * (known.numel() + 1))
            scale[i] = known.sort().values[min(rank, known.numel()) - 1] / _SD_OF_90
    generator.log_sd_shift += scale.log().to(device)
    return scale
