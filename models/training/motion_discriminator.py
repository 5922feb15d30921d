"""The discriminator: tells measured tissue-Doppler curves from drawn ones, knowing the ECG."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from models.median_beat import AFTER_R, BEFORE_R
from models.motion import N_CONTEXT, standardised, unit_beats
from schemas.featurized import MODEL_INPUT_LEADS
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS

#: Curves are judged in units of 8 cm/s, about what waves measure.
_CM_S: Final = 8.0
#: The beat is looked at in steps of 10 ms: enough to see the waves, too coarse to know an ECG by its noise.
_STEP: Final = 5
_LEAK: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorConfig:
    """Size of a discriminator."""

    curve_channels: tuple[int, ...] = (32, 64, 64)
    beat_channels: tuple[int, ...] = (32, 32)
    n_hidden: int = 96


class MotionDiscriminator(nn.Module):
    """A projection discriminator (Miyato and Koyama, ICLR 2018), spectrally normalised throughout.

    Its answer is what the curves alone look like, plus how well what they show fits what the ECG shows.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.curve_convs = _halving(MOTION_WALLS, config.curve_channels, kernel_size=7)
        n_curve = config.curve_channels[-1] * _length(MOTION_SAMPLES, len(config.curve_channels))
        self.curve = spectral_norm(nn.Linear(n_curve, config.n_hidden))
        self.beat_convs = _halving(MODEL_INPUT_LEADS, config.beat_channels, kernel_size=7)
        n_times = _length((BEFORE_R + AFTER_R) // _STEP, len(config.beat_channels))
        self.ecg = spectral_norm(nn.Linear(config.beat_channels[-1] * n_times + N_CONTEXT, config.n_hidden))
        self.answer = spectral_norm(nn.Linear(config.n_hidden, 1))

    def forward(self, curves: Tensor, beats_uv: Tensor, context: Tensor) -> Tensor:
        """Judge.

        Parameters
        ----------
        curves : torch.Tensor
            float32, (B, 2, 128), cm/s.
        beats_uv, context : torch.Tensor
            As the generator gets them.

        Returns
        -------
        torch.Tensor
            float32, (B,): above 0 it holds the curves for measured.
        """
        return self.judge(curves, self.seen(beats_uv, context))

    def seen(self, beats_uv: Tensor, context: Tensor) -> Tensor:
        """(B, 8, 550) µV and (B, 3) → (B, n_hidden)."""
        beats, rms_uv = unit_beats(beats_uv)
        coarse = functional.avg_pool1d(beats, _STEP)  # (B, 8, 110)
        joined = torch.cat([_through(self.beat_convs, coarse), standardised(context, rms_uv)], dim=1)
        seen: Tensor = self.ecg(joined)
        return seen

    def judge(self, curves: Tensor, seen: Tensor) -> Tensor:
        """(B, 2, 128) and (B, n_hidden) → (B,)."""
        looks = functional.leaky_relu(self.curve(_through(self.curve_convs, curves / _CM_S)), _LEAK)
        answer: Tensor = self.answer(looks)[:, 0] + (looks * seen).sum(dim=1)
        return answer


def _halving(n_in: int, channels: tuple[int, ...], kernel_size: int) -> nn.ModuleList:
    widths = (n_in, *channels)
    return nn.ModuleList(
        spectral_norm(nn.Conv1d(widths[i], widths[i + 1], kernel_size, stride=2, padding=kernel_size // 2))
        for i in range(len(channels))
    )


def _length(n: int, halvings: int) -> int:
    for _ in range(halvings):
        n = -(-n // 2)
    return n


def _through(convs: nn.ModuleList, x: Tensor) -> Tensor:
    for conv in convs:
        x = functional.leaky_relu(conv(x), _LEAK)
    return x.flatten(1)
