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
        Share of beats that pass a low-pass (order 4, no phase shift) or a high-pass filter (one pole, which bends
        ST) as carts have them, and between which half-power frequencies, drawn evenly on a logarithmic scale.
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


def augment_beats(beats_uv: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    """Change beats, each in its own way.

    Parameters
    ----------
    beats_uv : torch.Tensor
        float32, (B, 8, 550), µV.
    generator : torch.Generator
        On the beats' device.

    Returns
    -------
    torch.Tensor
        float32, (B, 8, 550), µV.
    """
    return _with_noise(
        _through_filters(
            _shifted(_through_electrodes(beats_uv, plan, generator), plan, generator), plan, generator
        ),
        plan,
        generator,
    )


def hide_context(context: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    """Make context missing at random: float32, (B, 3), :data:`models.motion.CONTEXT_COLUMNS`."""
    share = plan.hidden_share * context.new_tensor([0.5, 0.5, 1.0])
    return context.masked_fill(_uniform(context.shape, generator, context) < share, torch.nan)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device)


def _normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator, device=like.device)


def _through_electrodes(uv: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    n, n_leads, _ = uv.shape
    chest = uv[:, _FIRST_CHEST:]
    beside = torch.cat([chest[:, 1:], chest[:, -1:]], dim=1)
    sideways = plan.sideways_sd * _normal((n, n_leads - _FIRST_CHEST, 1), generator, uv)
    placed = torch.cat([uv[:, :_FIRST_CHEST], chest + sideways * (beside - chest)], dim=1)
    log_gain = plan.gain_sd * _normal((n, 1, 1), generator, uv)
    log_gain = log_gain + plan.lead_gain_sd * _normal((n, n_leads, 1), generator, uv)
    which = torch.randint(n_leads, (n, 1, 1), generator=generator, device=uv.device)
    is_weak = _uniform((n, 1, 1), generator, uv) < plan.weak_lead_share
    is_weak = is_weak & (torch.arange(n_leads, device=uv.device)[:, None] == which)  # (n, n_leads, 1)
    left = torch.where(is_weak, _uniform((n, 1, 1), generator, uv), 1.0)
    return placed * log_gain.exp() * left


def _shifted(uv: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    most = round(plan.shift_ms * MODEL_INPUT_RATE_HZ / 1000.0)
    by = torch.randint(-most, most + 1, (len(uv), 1, 1), generator=generator, device=uv.device)
    index = (torch.arange(uv.shape[-1], device=uv.device) + by).clamp(0, uv.shape[-1] - 1)
    return uv.gather(-1, index.expand_as(uv))


def _through_filters(uv: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    """Filter in the frequency domain, the ends carried on, and level the beat where it was levelled."""
    n, _, n_samples = uv.shape
    margin = (n_samples // 5, n_samples // 5)  # 550 + 2 · 110 = 770 samples = 2 · 5 · 7 · 11
    padded = functional.pad(uv, margin, mode="replicate")
    hz = torch.fft.rfftfreq(padded.shape[-1], 1.0 / MODEL_INPUT_RATE_HZ, device=uv.device)
    lowpass_hz = _log_uniform(plan.lowpass_hz, n, generator, uv)
    highpass_hz = _log_uniform(plan.highpass_hz, n, generator, uv)
    low = 1.0 / (1.0 + (hz / lowpass_hz) ** 8).sqrt()
    high = torch.complex(hz, torch.zeros_like(hz)) / torch.complex(
        hz.expand(n, 1, -1), -highpass_hz.expand(n, 1, hz.numel())
    )
    is_low = _uniform((n, 1, 1), generator, uv) < plan.lowpass_share
    is_high = _uniform((n, 1, 1), generator, uv) < plan.highpass_share
    response = torch.where(is_low, low, 1.0) * torch.where(is_high, high, 1.0)
    passed = torch.fft.irfft(torch.fft.rfft(padded) * response, n=padded.shape[-1])[
        ..., margin[0] : -margin[1]
    ]
    return passed + (uv[..., _PQ].mean(dim=-1, keepdim=True) - passed[..., _PQ].mean(dim=-1, keepdim=True))


def _log_uniform(bounds: tuple[float, float], n: int, generator: torch.Generator, like: Tensor) -> Tensor:
    low, high = (math.log(bound) for bound in bounds)
    return (low + (high - low) * _uniform((n, 1, 1), generator, like)).exp()


def _with_noise(uv: Tensor, plan: BeatAugmentation, generator: torch.Generator) -> Tensor:
    n, n_leads, _ = uv.shape
    size_uv = plan.noise_uv * _uniform((n, n_leads, 1), generator, uv)
    return uv + size_uv * _normal(uv.shape, generator, uv)
