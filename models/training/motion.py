"""Train the motion generator against a discriminator, on pairs of ECG and tissue Doppler.

One step: the discriminator learns to tell measured curves from drawn ones (hinge loss, Lim and Ye 2017; a
learning rate of its own, Heusel et al., NeurIPS 2017). Then the generator learns to draw curves that it holds
for measured, and to give, without noise, the curve, its slope and its peak velocities as they were. How far
the peaks are off is learnt beside, from errors that it does not move.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.cohorts.featurized import Cohort
from models.motion import MotionConfig, MotionGenerator
from models.motion_measurements import MOTION_COLUMNS, N_VELOCITIES
from models.progress import Progress
from models.training.beat_augmentation import BeatAugmentation, Chance, augment_beats, hide_context
from models.training.loop import FitResult, LoopPlan, autocast, fit
from models.training.motion_calibration import calibrate_uncertainty
from models.training.motion_discriminator import DiscriminatorConfig, MotionDiscriminator
from models.training.motion_pairs import Batch, Pairs
from models.training.run_folder import RunFolder

#: e' of both sites, among the velocities.
_E_PRIME: Final = [MOTION_COLUMNS.index(f"e_prime_{site}_cm_s") for site in ("septal", "lateral")]
#: Gradients longer than this are shortened to it.
_MOST_GRADIENT: Final = 1.0


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
        The running mean of the generator's weights, which is what is kept, reaches back over about this share
        of the steps so far.
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
        batch = self.train.batch(rows, self.device)
        chance = self._chance(generator)
        beats_uv = augment_beats(batch.beats_uv, self.plan.augmentation, chance)
        context = hide_context(batch.context, self.plan.augmentation, chance)
        self._set_rates(done)
        with autocast(self.device):
            known = self.learner.encoder(beats_uv, context)
            drawn = self.learner.curves(known, self._noise(len(rows), chance))
            seen = self.discriminator.seen(beats_uv, context)
            told = self._teach_discriminator(batch.curves, drawn.detach(), seen, chance)
            terms = self._reconstruction(known, batch)
            terms["adversarial"] = -self._held_for_measured(drawn, beats_uv, context, chance)
        weighed = [getattr(self.plan, f"{name}_weight") * term.float() for name, term in terms.items()]
        loss = torch.stack(weighed).sum()
        _step(self._learner_steps, self.learner, loss)
        self._average()
        return {"loss": float(loss.detach()), **{n: float(t.detach()) for n, t in terms.items()}, **told}

    def validate(self) -> dict[str, float]:
        """Mean absolute errors without noise, cm/s; the loss is that of the curve and that of e' together.

        Velocities are compared where both curves have the wave; in the loss an e' that is not drawn is 0.
        """
        curves, errors, e_errors = [], [], []
        for batch in self.held_out.batches(self.device):
            made, _ = self.generator(batch.beats_uv, batch.context)
            curves.append((made - batch.curves).abs().mean(dim=(1, 2)))
            off = batch.velocity_errors(made).abs()
            errors.append(off)
            e_errors.append(torch.where(torch.isnan(off), batch.velocities, off)[:, _E_PRIME])
        mae = torch.cat(errors).nanmean(dim=0)
        curve, e_prime = float(torch.cat(curves).mean()), float(torch.cat(e_errors).nanmean())
        named = {f"mae_{name}": float(mae[i]) for i, name in enumerate(MOTION_COLUMNS[:N_VELOCITIES])}
        return {"loss": curve + e_prime, "curve": curve, "mae_e_prime": e_prime, **named}

    def _chance(self, generator: torch.Generator) -> Chance:
        """Random numbers on the task's device that follow from the loop's, which are on the CPU."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        return Chance(torch.Generator(self.device).manual_seed(seed))

    def _teach_discriminator(
        self, measured: Tensor, drawn: Tensor, seen: Tensor, chance: Chance
    ) -> dict[str, float]:
        both = self._blurred(torch.cat([measured, drawn]), chance)
        answers = self.discriminator.judge(both, torch.cat([seen, seen])).float()
        of_measured, of_drawn = answers.chunk(2)
        loss = functional.relu(1.0 - of_measured).mean() + functional.relu(1.0 + of_drawn).mean()
        _step(self._discriminator_steps, self.discriminator, loss)
        right = torch.cat([of_measured > 0.0, of_drawn < 0.0]).float().mean()
        return {"discriminator": float(loss.detach()), "told_apart": float(right)}

    def _held_for_measured(self, drawn: Tensor, beats_uv: Tensor, context: Tensor, chance: Chance) -> Tensor:
        self.discriminator.requires_grad_(False)
        answers: Tensor = self.discriminator(self._blurred(drawn, chance), beats_uv, context)
        self.discriminator.requires_grad_(True)
        return answers.float().mean()

    def _reconstruction(self, known: Tensor, batch: Batch) -> dict[str, Tensor]:
        made = self.learner.curves(known)
        errors = batch.velocity_errors(made)
        is_there = torch.isfinite(errors)
        errors, n_there = torch.where(is_there, errors, 0.0), is_there.sum().clamp(min=1)
        log_sd = self.learner.log_sd(known)
        unlikely = log_sd + 0.5 * (errors.detach() / log_sd.exp()).square()
        return {
            "curve": (made - batch.curves).abs().mean(),
            "slope": (made - batch.curves).diff(dim=-1).abs().mean(),
            "peak": errors.abs().sum() / n_there,
            "spread": (unlikely * is_there).sum() / n_there,
        }

    def _noise(self, n: int, chance: Chance) -> Tensor:
        noise = chance.normal(n, self.learner.config.n_noise)
        return noise.masked_fill(chance.uniform(n, 1) < self.plan.still_share, 0.0)

    def _blurred(self, curves: Tensor, chance: Chance) -> Tensor:
        return curves + self.plan.blur_cm_s * chance.normal(*curves.shape)

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
    torch.nn.utils.clip_grad_norm_(module.parameters(), _MOST_GRADIENT)
    steps.step()


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
    """Train a generator from a seeded start, or from the run folder's checkpoint, and calibrate it.

    Parameters
    ----------
    train, validation : Cohort
        Of different patients. Rows without curves or without a beat are left out. The deviations are
        calibrated on the latter (:func:`models.training.motion_calibration.calibrate_uncertainty`).

    Raises
    ------
    ConfigurationError
        When no row of either has both.
    """
    task = MotionTask(config, plan, train, validation, seed=seed, device=device)
    result = fit(task, plan.loop(seed), run, progress)
    calibrate_uncertainty(task.generator, validation)
    return task.generator, result
