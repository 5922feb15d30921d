"""What another recorder, another electrode and another day would have made of a median beat."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.median_beat import BEFORE_R
from schemas.featurized import MODEL_INPUT_RATE_HZ
from schemas.leads import LEADS_8

_FIRST_CHEST: Final = LEADS_8.index("V1")
#: Where a beat is levelled: 60 to 50 ms before R, in the PQ segment of most.
_PQ: Final = slice(BEFORE_R - 30, BEFORE_R - 25)
#: Carried on at each end before filtering; 550 + 2 · 110 is 770 = 2 · 5 · 7 · 11 samples.
_MARGIN: Final = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatAugmentation:
    """How far a beat is changed.

    Attributes
    ----------
    gain_sd, lead_gain_sd : float
        Deviation of the logarithm of the gain of all leads together, and of each lead beside it.
    sideways_sd : float
        How far a chest electrode is off, as a share of the way to the next one.
    weak_lead_share : float
        Share of beats in which one lead is weakened, to anything between all and nothing of it.
    shift_ms : float
        Most that R is misplaced, either way.
    noise_uv : float
        Largest deviation of the noise added to a lead, after the averaging of the median beat.
    lowpass_share, lowpass_hz, highpass_share, highpass_hz : float and (float, float)
        Share of beats that pass a low-pass (order 4, no phase shift) or a high-pass filter (one pole, which
        bends ST) as carts have them; between which half-power frequencies, evenly on a logarithmic scale.
    hidden_share : float
        Share of beats of which the amplitude is hidden; rate and its deviation are, each, half as often.
    """

    gain_sd: float = 0.10
    lead_gain_sd: float = 0.05
    sideways_sd: float = 0.10
    weak_lead_share: float = 0.05
    shift_ms: float = 8.0
    noise_uv: float = 12.0
    lowpass_share: float = 0.5
    lowpass_hz: tuple[float, float] = (30.0, 150.0)
    highpass_share: float = 0.5
    highpass_hz: tuple[float, float] = (0.05, 0.8)
    hidden_share: float = 0.10


class Chance:
    """Random numbers for a batch, on the device of what they change."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, *shape: int) -> Tensor:
        """From 0 to 1."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape: int) -> Tensor:
        """From a standard normal distribution."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from ``low`` to ``high``, both included."""
        return torch.randint(low, high + 1, shape, generator=self.generator, device=self.generator.device)

    def log_uniform(self, bounds: tuple[float, float], *shape: int) -> Tensor:
        """Between bounds, evenly on a logarithmic scale."""
        low, high = (math.log(bound) for bound in bounds)
        return (low + (high - low) * self.uniform(*shape)).exp()


def augment_beats(beats_uv: Tensor, plan: BeatAugmentation, chance: Chance) -> Tensor:
    """Change beats, each in its own way.

    Parameters
    ----------
    beats_uv : torch.Tensor
        float32, (B, 8, 550), µV.

    Returns
    -------
    torch.Tensor
        float32, (B, 8, 550), µV.
    """
    placed = _through_electrodes(beats_uv, plan, chance)
    recorded = _through_filters(_shifted(placed, plan, chance), plan, chance)
    n, n_leads, n_samples = recorded.shape
    size_uv = plan.noise_uv * chance.uniform(n, n_leads, 1)
    return recorded + size_uv * chance.normal(n, n_leads, n_samples)


def hide_context(context: Tensor, plan: BeatAugmentation, chance: Chance) -> Tensor:
    """Make context missing at random: float32, (B, 3), :data:`models.motion.CONTEXT_COLUMNS`."""
    share = plan.hidden_share * context.new_tensor([0.5, 0.5, 1.0])
    return context.masked_fill(chance.uniform(*context.shape) < share, torch.nan)


def _through_electrodes(uv: Tensor, plan: BeatAugmentation, chance: Chance) -> Tensor:
    n, n_leads, _ = uv.shape
    chest = uv[:, _FIRST_CHEST:]
    beside = torch.cat([chest[:, 1:], chest[:, -1:]], dim=1)
    sideways = plan.sideways_sd * chance.normal(n, n_leads - _FIRST_CHEST, 1)
    placed = torch.cat([uv[:, :_FIRST_CHEST], chest + sideways * (beside - chest)], dim=1)
    log_gain = plan.gain_sd * chance.normal(n, 1, 1) + plan.lead_gain_sd * chance.normal(n, n_leads, 1)
    is_weak = chance.uniform(n, 1, 1) < plan.weak_lead_share
    is_weak = is_weak & (
        torch.arange(n_leads, device=uv.device)[:, None] == chance.whole(0, n_leads - 1, n, 1, 1)
    )
    left = torch.where(is_weak, chance.uniform(n, 1, 1), 1.0)  # (n, n_leads, 1)
    return placed * log_gain.exp() * left


def _shifted(uv: Tensor, plan: BeatAugmentation, chance: Chance) -> Tensor:
    most = round(plan.shift_ms * MODEL_INPUT_RATE_HZ / 1000.0)
    index = torch.arange(uv.shape[-1], device=uv.device) + chance.whole(-most, most, len(uv), 1, 1)
    return uv.gather(-1, index.clamp(0, uv.shape[-1] - 1).expand_as(uv))


def _through_filters(uv: Tensor, plan: BeatAugmentation, chance: Chance) -> Tensor:
    """Filter in the frequency domain, the ends carried on, and level each beat where it was levelled."""
    padded = functional.pad(uv, (_MARGIN, _MARGIN), mode="replicate")
    response = _response(padded.shape[-1], len(uv), plan, chance)
    passed = torch.fft.irfft(torch.fft.rfft(padded) * response, n=padded.shape[-1])
    within = passed[..., _MARGIN:-_MARGIN]
    levelled: Tensor = within + (uv - within)[..., _PQ].mean(dim=-1, keepdim=True)
    return levelled


def _response(n_samples: int, n_beats: int, plan: BeatAugmentation, chance: Chance) -> Tensor:
    """Responses of drawn filters: complex64, (n_beats, 1, n_samples/2 + 1); 1 where a beat passes none."""
    hz = torch.fft.rfftfreq(n_samples, 1.0 / MODEL_INPUT_RATE_HZ, device=chance.generator.device)
    low = 1.0 / (1.0 + (hz / chance.log_uniform(plan.lowpass_hz, n_beats, 1, 1)) ** 8).sqrt()
    high = hz / (hz - 1j * chance.log_uniform(plan.highpass_hz, n_beats, 1, 1))
    is_low = chance.uniform(n_beats, 1, 1) < plan.lowpass_share
    is_high = chance.uniform(n_beats, 1, 1) < plan.highpass_share
    return torch.where(is_low, low, 1.0) * torch.where(is_high, high, 1.0)
