"""What one ECG may look like on another day and cart: augmented crops, normalised as the encoder expects."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models.normalisation import band_response, lead_weights
from schemas.errors import ConfigurationError
from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES

#: As :class:`models.normalisation.Normalisation` does: mirrored at each end.
_PAD: Final = 500
_N_PADDED: Final = MODEL_INPUT_SAMPLES + 2 * _PAD
_TINY: Final = 1e-8
_MAINS_HZ: Final = (50.0, 60.0)
_WANDER_HZ: Final = (0.1, 0.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far an ECG is changed while the encoder learns; zeros change nothing.

    Attributes
    ----------
    crop_samples : int
        Length of the piece that is shown, at 500 Hz: a shift in time, and half the work.
    whole_share : float
        Share of batches that are shown whole, as the encoder sees ECGs later.
    gain : float
        Largest relative change of a lead's amplitude.
    noise_uv : float
        Largest standard deviation of the noise of a lead.
    wander_uv, mains_uv : float
        Standard deviation over leads of a slow wave and of a mains tone, of a size drawn for each ECG.
    edge_hz : tuple of float
        Range of the corner of a first-order low pass that half of the ECGs go through: carts differ in band.
    lead_dropout : float
        Probability of a lead to be flat. I and II are dropped with what is derived from them.
    """

    crop_samples: int = 2500
    whole_share: float = 0.1
    gain: float = 0.1
    noise_uv: float = 30.0
    wander_uv: float = 100.0
    mains_uv: float = 20.0
    edge_hz: tuple[float, float] = (20.0, 100.0)
    lead_dropout: float = 0.03

    def __post_init__(self) -> None:
        if not 0 < self.crop_samples <= MODEL_INPUT_SAMPLES:
            raise ConfigurationError(
                f"a crop has 1 to {MODEL_INPUT_SAMPLES} samples, not {self.crop_samples}"
            )


#: The ECG as it is, whole.
UNCHANGED: Final = Augmentation(
    crop_samples=MODEL_INPUT_SAMPLES,
    whole_share=1.0,
    gain=0.0,
    noise_uv=0.0,
    wander_uv=0.0,
    mains_uv=0.0,
    edge_hz=(0.0, 0.0),
    lead_dropout=0.0,
)


class AugmentedViews(nn.Module):
    """Model input → encoder input, changed at random; with :data:`UNCHANGED` as ``Normalisation`` does."""

    leads: Tensor
    response: Tensor
    frequency_hz: Tensor
    time_s: Tensor

    def __init__(self, plan: Augmentation) -> None:
        super().__init__()
        self.plan = plan
        self.register_buffer("leads", lead_weights(), persistent=False)
        self.register_buffer("response", band_response(_N_PADDED), persistent=False)
        frequency_hz = torch.fft.rfftfreq(_N_PADDED, 1.0 / MODEL_INPUT_RATE_HZ)
        self.register_buffer("frequency_hz", frequency_hz, persistent=False)
        time_s = torch.arange(MODEL_INPUT_SAMPLES) / MODEL_INPUT_RATE_HZ
        self.register_buffer("time_s", time_s, persistent=False)

    @torch.no_grad()
    def forward(self, uv: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one view of each ECG of a batch.

        Parameters
        ----------
        uv : torch.Tensor
            int16 or float32, (B, 8, 5000), µV, on this module's device.
        generator : torch.Generator
            On the CPU. On other devices the noise comes from the device's own.

        Returns
        -------
        torch.Tensor
            float32, (B, 12, T), the same piece of all leads. Mean 0 and deviation 1 over the whole ECG.
        """
        draw = _Draw(generator, uv.device)
        changed = self._changed(uv.float() / 1000.0, draw)  # (B, 8, 5000), mV
        filtered = self._filtered(changed - changed.mean(dim=-1, keepdim=True), draw)
        scale = _deviation_of_twelve(filtered, self.leads)
        cropped = self._cropped(filtered, draw)
        view: Tensor = torch.einsum("ij,bjt->bit", self.leads, cropped) / scale  # (B, 12, T)
        return view

    def _changed(self, mv: Tensor, draw: "_Draw") -> Tensor:
        plan, (n, leads, samples) = self.plan, mv.shape
        gain = 1.0 + plan.gain * draw.uniform(-1.0, 1.0, n, leads, 1)
        gain = gain * (draw.uniform(0.0, 1.0, n, leads, 1) >= plan.lead_dropout)
        noise_mv = plan.noise_uv / 1000.0 * draw.uniform(0.0, 1.0, n, leads, 1)
        size_mv = torch.tensor([plan.wander_uv, plan.wander_uv, plan.mains_uv], device=mv.device) / 1000.0
        size_mv = size_mv * draw.uniform(0.0, 1.0, n, 1, 3) * draw.normal(n, leads, 3)
        out = mv * gain + torch.bmm(size_mv, self._waves(n, draw))
        return out + noise_mv * draw.noise(n, leads, samples) if plan.noise_uv else out

    def _waves(self, n: int, draw: "_Draw") -> Tensor:
        """(B, 3, 5000): a slow wave, the same a quarter later, and a mains tone."""
        wander = 2 * torch.pi * draw.uniform(*_WANDER_HZ, n, 1) * self.time_s
        mains_hz = torch.where(draw.uniform(0.0, 1.0, n, 1) < 0.5, *_MAINS_HZ)
        mains = 2 * torch.pi * (mains_hz * self.time_s + draw.uniform(0.0, 1.0, n, 1))
        return torch.stack([wander.sin(), wander.cos(), mains.sin()], dim=1)

    def _filtered(self, mv: Tensor, draw: "_Draw") -> Tensor:
        response = self.response
        low, high = self.plan.edge_hz
        if high > 0.0:
            edge_hz = low * (high / low) ** draw.uniform(0.0, 1.0, len(mv), 1, 1)
            passes = draw.uniform(0.0, 1.0, len(mv), 1, 1) < 0.5
            edge_hz = torch.where(passes, edge_hz, torch.inf)
            response = response / (1.0 + (self.frequency_hz / edge_hz).square()).sqrt()  # (B, 1, F)
        padded = nn.functional.pad(mv, (_PAD, _PAD), mode="reflect")  # (B, 8, 6000)
        filtered = torch.fft.irfft(torch.fft.rfft(padded) * response, n=_N_PADDED)
        band: Tensor = filtered[..., _PAD:-_PAD]  # (B, 8, 5000)
        return band

    def _cropped(self, mv: Tensor, draw: "_Draw") -> Tensor:
        shown = self.plan.crop_samples
        if shown == mv.shape[-1] or draw.number() < self.plan.whole_share:
            return mv
        start = int(draw.number() * (mv.shape[-1] - shown + 1))
        return mv[..., start : start + shown]


def _deviation_of_twelve(mv: Tensor, leads: Tensor) -> Tensor:
    """Deviation over twelve leads, from eight: (B, 8, T) → (B, 1, 1); the leads' means are as good as 0."""
    products = torch.bmm(mv, mv.transpose(1, 2)) / mv.shape[-1]  # (B, 8, 8)
    variance = torch.einsum("ij,bjk,ik->b", leads, products, leads) / len(leads)
    return (variance.clamp(min=0.0).sqrt() + _TINY)[:, None, None]


@dataclass(frozen=True, slots=True)
class _Draw:
    """Random numbers on a device, small ones from a generator on the CPU."""

    generator: torch.Generator
    device: torch.device

    def number(self) -> float:
        return float(torch.rand((), generator=self.generator))

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(shape, generator=self.generator)).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator).to(self.device)

    def noise(self, *shape: int) -> Tensor:
        own = self.generator if self.device.type == "cpu" else None
        return torch.randn(shape, generator=own, device=self.device)
