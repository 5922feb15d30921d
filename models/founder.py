"""Net1D, the encoder family of ECGFounder: from a conditioned 12-lead ECG to an embedding.

One description serves two sizes: :data:`FULL`, whose parameters bear the names and shapes of the published
checkpoint ``12_lead_ECGFounder.pth`` (MIT; NEJM AI 2025, AIoa2401033), and :data:`COMPACT`, small enough to
be shipped and trained on two CPU cores. Normalisation layers are kept because the checkpoint holds them, and
are never applied (``use_bn=False`` there).
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from schemas.leads import LEADS_12

#: Squeeze-and-excitation narrows the channels by this factor.
_SQUEEZE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Size of an encoder.

    Attributes
    ----------
    base_filters : int
        Channels after the first convolution.
    filters, blocks : tuple of int
        Channels and number of blocks of each stage; the first block of a stage halves the length.
    group_width : int
        Channels of one group of the grouped convolution.
    n_outputs : int
        Width of the dense layer after the embedding.
    """

    base_filters: int
    filters: tuple[int, ...]
    blocks: tuple[int, ...]
    kernel_size: int = 16
    stride: int = 2
    group_width: int = 16
    n_outputs: int = 150

    @property
    def n_features(self) -> int:
        """Length of the embedding."""
        return self.filters[-1]


FULL: Final = EncoderConfig(
    base_filters=64, filters=(64, 160, 160, 400, 400, 1024, 1024), blocks=(2, 2, 2, 3, 3, 4, 4)
)
COMPACT: Final = EncoderConfig(
    base_filters=16, filters=(16, 32, 32, 64, 64, 128, 128), blocks=(1, 1, 1, 1, 1, 1, 1)
)


def same_padding(length: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, such that the output has ``ceil(length / stride)`` samples."""
    missing = max(0, (-(-length // stride) - 1) * stride + kernel_size - length)
    return missing // 2, missing - missing // 2


class SamePaddedConv(nn.Module):
    """A convolution whose output is as long as its input over its stride."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel_size, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C', ceil(T / stride))."""
        padding = same_padding(x.shape[-1], self.conv.kernel_size[0], self.conv.stride[0])
        out: Tensor = self.conv(functional.pad(x, padding))
        return out


class Block(nn.Module):
    """Narrow, grouped and narrow convolution, squeeze-and-excitation, and a shortcut around them."""

    def __init__(self, n_in: int, n_out: int, config: EncoderConfig, *, halves: bool, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.stride = config.stride if halves else 1
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(n_in), nn.BatchNorm1d(n_out), nn.BatchNorm1d(n_out)
        self.conv1 = SamePaddedConv(n_in, n_out, 1)
        self.conv2 = SamePaddedConv(
            n_out, n_out, config.kernel_size, self.stride, groups=n_out // config.group_width
        )
        self.conv3 = SamePaddedConv(n_out, n_out, 1)
        self.se_fc1 = nn.Linear(n_out, n_out // _SQUEEZE)
        self.se_fc2 = nn.Linear(n_out // _SQUEEZE, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C', ceil(T / stride))."""
        out = self.conv1(x if self.is_first else functional.silu(x))
        out = self.conv2(functional.silu(out))
        out = self.conv3(functional.silu(out))
        excitation = self.se_fc2(functional.silu(self.se_fc1(out.mean(dim=-1))))  # (B, C')
        summed: Tensor = out * torch.sigmoid(excitation)[:, :, None] + self._shortcut(x, out.shape[1])
        return summed

    def _shortcut(self, x: Tensor, n_out: int) -> Tensor:
        if self.stride > 1:
            padded = functional.pad(x, same_padding(x.shape[-1], self.stride, self.stride))
            x = functional.max_pool1d(padded, self.stride)
        before = (n_out - x.shape[1]) // 2
        return functional.pad(x, (0, 0, before, n_out - x.shape[1] - before))  # channels, zeros on both sides


class Stage(nn.Module):
    """Blocks of one width."""

    def __init__(
        self, n_in: int, n_out: int, n_blocks: int, config: EncoderConfig, *, is_first: bool
    ) -> None:
        super().__init__()
        self.block_list = nn.ModuleList(
            Block(n_in if j == 0 else n_out, n_out, config, halves=j == 0, is_first=is_first and j == 0)
            for j in range(n_blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C', ceil(T / stride))."""
        for block in self.block_list:
            x = block(x)
        return x


class Net1D(nn.Module):
    """The encoder.

    Parameters
    ----------
    config : EncoderConfig
        ``FULL`` has the 509 parameters and buffers of the published checkpoint, under its names.

    Examples
    --------
    >>> Net1D(COMPACT).embed(torch.zeros(2, 12, 5000)).shape
    torch.Size([2, 128])
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.first_conv = SamePaddedConv(
            len(LEADS_12), config.base_filters, config.kernel_size, config.stride
        )
        self.first_bn = nn.BatchNorm1d(config.base_filters)
        widths = (config.base_filters, *config.filters)
        self.stage_list = nn.ModuleList(
            Stage(widths[i], widths[i + 1], n_blocks, config, is_first=i == 0)
            for i, n_blocks in enumerate(config.blocks)
        )
        self.dense = nn.Linear(config.n_features, config.n_outputs)

    def embed(self, x: Tensor) -> Tensor:
        """Embed ECGs.

        Parameters
        ----------
        x : torch.Tensor
            float32, (B, 12, T), normalised as in :mod:`models.normalisation`.

        Returns
        -------
        torch.Tensor
            float32, (B, n_features): the mean over time of the last stage.
        """
        x = functional.silu(self.first_conv(x))
        for stage in self.stage_list:
            x = stage(x)
        embedding: Tensor = x.mean(dim=-1)
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """(B, 12, T) → (B, n_outputs)."""
        out: Tensor = self.dense(self.embed(x))
        return out
