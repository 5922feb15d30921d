"""Synthetic cardiac motion: a conditional generator from the median beat to tissue-Doppler velocities.

Definition, shapes and weights are our own; those of the published study (a generative adversarial network
from a resting 12-lead ECG to tissue-Doppler velocities) are not public. The generator is trained against a
discriminator on pairs of ECG and tissue Doppler (:mod:`models.training.motion`). With noise it draws curves
that may belong to an ECG; without noise it gives its one answer, and how far that is likely to be off.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.features import COLUMN_NAMES, MEASUREMENT_PARTS
from models.median_beat import AFTER_R, BEFORE_R
from models.motion_measurements import N_VELOCITIES
from schemas.featurized import MODEL_INPUT_LEADS
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS

#: What the generator knows beside the beat. ``amplitude_known`` is 1, or missing where a source gives its
#: samples without a unit: the size of the beat is not looked at then.
CONTEXT_COLUMNS: Final = ("heart_rate_bpm", "rr_sd_ms", "amplitude_known")

_RATE, _RR_SD = (COLUMN_NAMES.index(name) for name in CONTEXT_COLUMNS[:2])
_VOLTAGES: Final = tuple(COLUMN_NAMES.index(name) for name in MEASUREMENT_PARTS["voltage"])

#: Centre and scale of the context: rate in beats a minute; logarithms of the RR deviation in ms (20 ms in
#: sinus rhythm, 150 in fibrillation) and of the beat's root mean square in µV (80 to 430 in adults).
_RATE_BPM: Final = (72.0, 14.0)
_LOG_RR_SD: Final = (math.log(25.0), 0.8)
_LOG_RMS: Final = (math.log(170.0), 0.3)
_CLIP: Final = 4.0  # of a standardised number: one absurd rate must not decide
#: Each number of the context comes with a flag for being missing.
N_CONTEXT: Final = 2 * len(CONTEXT_COLUMNS)
_QUIET_UV: Final = 1.0  # a root mean square below the least step of an ECG is no beat

#: Curves leave the network in units of 8 cm/s, about what waves measure.
_CM_S: Final = 8.0
#: A binomial kernel over 5 of 128 samples, about 30 ms at 70 a minute: tissue Doppler, sampled every 5 ms and
#: averaged over a sample volume, has no corners.
_SMOOTHING: Final = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
#: Deviations between 0.05 and 7.4 cm/s.
_LOG_SD_RANGE: Final = (-3.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionConfig:
    """Size of a generator.

    Attributes
    ----------
    channels, kernel_sizes, strides : tuple of int
        Of the convolutions over the beat; kernel sizes are odd.
    n_pooled : int
        Channels kept of the last one, at each time, before all times are joined.
    n_hidden : int
        Length of what is known of the heart.
    n_noise : int
        Length of the noise.
    decoder_channels : tuple of int
        Of the convolutions over the curve; each doubles its length, from 128 / 2ⁿ to 128.
    """

    channels: tuple[int, ...] = (32, 64, 96, 96)
    kernel_sizes: tuple[int, ...] = (15, 7, 7, 7)
    strides: tuple[int, ...] = (4, 2, 2, 2)
    n_pooled: int = 32
    n_hidden: int = 128
    n_noise: int = 8
    decoder_channels: tuple[int, ...] = (48, 48, 32, 24)
    decoder_kernel_size: int = 5


def context_rows(features: Tensor | npt.NDArray[np.float32]) -> Tensor:
    """Take the context from feature rows.

    Parameters
    ----------
    features : torch.Tensor or numpy.ndarray
        float32, (B, len(models.features.COLUMNS)).

    Returns
    -------
    torch.Tensor
        float32, (B, 3), :data:`CONTEXT_COLUMNS`; the amplitude counts as unknown where every voltage is.
    """
    rows = torch.as_tensor(features)
    has_unit = ~torch.isnan(rows[:, _VOLTAGES]).all(dim=1)
    known = torch.where(has_unit, 1.0, torch.nan).to(rows.dtype)
    return torch.stack([rows[:, _RATE], rows[:, _RR_SD], known], dim=1)


def has_beat(beats_uv: Tensor) -> Tensor:
    """Whether there is a median beat at all: bool, (B,). Where not, curves have no meaning."""
    return (beats_uv != 0).flatten(1).any(dim=1)


def unit_beats(beats_uv: Tensor) -> tuple[Tensor, Tensor]:
    """Divide beats by their own root mean square, float32, (B,), µV; a beat of zeros stays one."""
    uv = beats_uv.float()
    rms_uv = uv.square().mean(dim=(1, 2)).sqrt()
    return uv / rms_uv.clamp(min=_QUIET_UV)[:, None, None], rms_uv


def standardised(context: Tensor, rms_uv: Tensor) -> Tensor:
    """Context and size of the beat, each with a flag for being missing, as 0: float32, (B, 6)."""
    numbers = torch.stack(
        [
            (context[:, 0] - _RATE_BPM[0]) / _RATE_BPM[1],
            (context[:, 1].clamp(min=1.0).log() - _LOG_RR_SD[0]) / _LOG_RR_SD[1],
            (rms_uv.clamp(min=_QUIET_UV).log() - _LOG_RMS[0]) / _LOG_RMS[1],
        ],
        dim=1,
    )
    is_missing = torch.isnan(context)
    numbers = numbers.clamp(-_CLIP, _CLIP).masked_fill(is_missing, 0.0)
    return torch.cat([numbers, is_missing.float()], dim=1)


class BeatEncoder(nn.Module):
    """A median beat and its context → what is known of the heart."""

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        widths = (MODEL_INPUT_LEADS, *config.channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], size, stride=stride, padding=size // 2)
            for i, (size, stride) in enumerate(zip(config.kernel_sizes, config.strides, strict=True))
        )
        n_times = BEFORE_R + AFTER_R
        for stride in config.strides:
            n_times = -(-n_times // stride)
        self.pool = nn.Conv1d(widths[-1], config.n_pooled, 1)
        self.hidden = nn.Linear(config.n_pooled * n_times + N_CONTEXT, config.n_hidden)
        self.mixed = nn.Linear(config.n_hidden, config.n_hidden)

    def forward(self, beats_uv: Tensor, context: Tensor) -> Tensor:
        """(B, 8, 550) µV and (B, 3) → (B, n_hidden)."""
        x, rms_uv = unit_beats(beats_uv)
        for conv in self.convs:
            x = functional.silu(conv(x))
        joined = torch.cat([functional.silu(self.pool(x)).flatten(1), standardised(context, rms_uv)], dim=1)
        hidden = functional.silu(self.hidden(joined))
        known: Tensor = functional.silu(hidden + self.mixed(hidden))
        return known


class CurveDecoder(nn.Module):
    """What is known of the heart, and noise → velocity curves."""

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        widths = config.decoder_channels
        self.n_start = MOTION_SAMPLES >> len(widths)
        self.start = nn.Linear(config.n_hidden + config.n_noise, widths[0] * self.n_start)
        size = config.decoder_kernel_size
        self.convs = nn.ModuleList(
            nn.Conv1d(widths[max(i - 1, 0)], width, size, padding=size // 2) for i, width in enumerate(widths)
        )
        self.end = nn.Conv1d(widths[-1], MOTION_WALLS, size, padding=size // 2)

    def forward(self, known: Tensor, noise: Tensor) -> Tensor:
        """(B, n_hidden) and (B, n_noise) → (B, 2, 128), cm/s."""
        x = functional.silu(self.start(torch.cat([known, noise], dim=1)))
        x = x.view(len(x), -1, self.n_start)  # (B, C, 128 / 2ⁿ)
        for conv in self.convs:
            x = x[..., None].expand(-1, -1, -1, 2).flatten(2)  # each sample twice
            x = functional.silu(conv(x))
        return smoothed(self.end(x).float() * _CM_S)


def smoothed(curves: Tensor) -> Tensor:
    """Smooth over neighbouring samples, in full precision whatever computes the rest: (B, 2, 128)."""
    n, half = curves.shape[-1], len(_SMOOTHING) // 2
    padded = functional.pad(curves, (half, half), mode="replicate")
    pieces = [weight * padded[..., i : i + n] for i, weight in enumerate(_SMOOTHING)]
    return torch.stack(pieces).sum(dim=0)


class MotionGenerator(nn.Module):
    """The generator.

    Buffers
    -------
    log_sd_shift : (6,)
        Added to what the network says of its own deviation, so that its 90 % intervals hold 90 % of people
        it was not trained on.

    Examples
    --------
    >>> curves, log_sd = MotionGenerator(MotionConfig())(torch.ones(3, 8, 550), torch.full((3, 3), torch.nan))
    >>> curves.shape, log_sd.shape
    (torch.Size([3, 2, 128]), torch.Size([3, 6]))
    """

    log_sd_shift: Tensor

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = BeatEncoder(config)
        self.decoder = CurveDecoder(config)
        self.spread = nn.Linear(config.n_hidden, N_VELOCITIES)
        self.register_buffer("log_sd_shift", torch.zeros(N_VELOCITIES))

    def forward(
        self, beats_uv: Tensor, context: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Generate curves.

        Parameters
        ----------
        beats_uv : torch.Tensor
            int16 or float, (B, 8, 550), µV: median beats as in
            :attr:`schemas.featurized.EcgFeaturized.median_beat_uv`. A beat of zeros means none, see
            :func:`has_beat`; what comes out then is finite and has no meaning.
        context : torch.Tensor
            float32, (B, 3), :data:`CONTEXT_COLUMNS`; NaN is missing.
        noise : torch.Tensor or None
            float32, (B, n_noise), standard normal; None is zeros: the answer.

        Returns
        -------
        curves : torch.Tensor
            float32, (B, 2, 128), cm/s; septal, lateral; from R to the next R.
        log_sd : torch.Tensor
            float32, (B, 6): logarithm of the standard deviation in cm/s of what
            :func:`models.motion_measurements.measure_motion` gives as s', e', a', septal and lateral.
        """
        known: Tensor = self.encoder(beats_uv, context)
        return self.curves(known, noise), self.log_sd(known)

    def curves(self, known: Tensor, noise: Tensor | None = None) -> Tensor:
        """(B, n_hidden) and (B, n_noise) → (B, 2, 128): draw from what is known of the heart already."""
        if noise is None:
            noise = known.new_zeros(len(known), self.config.n_noise)
        drawn: Tensor = self.decoder(known, noise)
        return drawn

    def log_sd(self, known: Tensor) -> Tensor:
        """(B, n_hidden) → (B, 6)."""
        bounded: Tensor = self.spread(known).float().clamp(*_LOG_SD_RANGE)
        return bounded + self.log_sd_shift
