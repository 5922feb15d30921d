"""The running median of many rows in whole-tensor operations: for a GPU, and for gradients to pass by."""

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def running_median(rows: Tensor, width: int) -> Tensor:
    """Compute the median of the samples around each sample, with zeros before and after the row.

    All windows descend side by side through the bits of their median's rank in the row, highest first: prefix
    sums tell how many samples of a window have a 0 there (a wavelet matrix). 13 rounds for 5000 samples.

    Parameters
    ----------
    rows : torch.Tensor
        float32, (n_rows, n_samples).
    width : int
        Samples of the window, odd.

    Returns
    -------
    torch.Tensor
        float32, (n_rows, n_samples), on the device of ``rows``, equal to ``scipy.signal.medfilt`` of each
        row; undefined for rows that hold NaN. No gradient flows through it.

    Examples
    --------
    >>> running_median(torch.tensor([[3.0, 1.0, 2.0, 5.0]]), 3)
    tensor([[1., 2., 2., 2.]])
    """
    n = rows.shape[-1]
    ordered, ranks = _ranked(functional.pad(rows, (width // 2, width // 2)))  # (R, N), N = n + width − 1
    position = torch.arange(ranks.shape[-1], device=rows.device)
    first = position[:n].expand(len(rows), n)  # (R, n): where the window's samples lie in this round
    last = first + width
    n_below = torch.full_like(first, width // 2)
    median_rank = torch.zeros_like(first)
    for bit in reversed(range(ranks.shape[-1].bit_length())):
        is_zero = 1 - ((ranks >> bit) & 1)
        zeros_before = functional.pad(is_zero.cumsum(dim=-1), (1, 0))  # (R, N + 1)
        n_zeros = zeros_before[:, -1:]
        first_zero, last_zero = zeros_before.gather(1, first), zeros_before.gather(1, last)
        n_window_zeros = last_zero - first_zero
        has_zero = n_below < n_window_zeros  # (R, n): the median, at this bit
        n_below = torch.where(has_zero, n_below, n_below - n_window_zeros)
        first = torch.where(has_zero, first_zero, n_zeros + first - first_zero)
        last = torch.where(has_zero, last_zero, n_zeros + last - last_zero)
        median_rank |= (~has_zero).long() << bit
        # Samples with a 0 move to the front, in order, those with a 1 behind them: windows stay together.
        before = zeros_before[:, :-1]
        moved = torch.where(is_zero == 1, before, n_zeros + position - before)
        ranks = torch.empty_like(ranks).scatter_(1, moved, ranks)
    return ordered.gather(1, median_rank)


def _ranked(rows: Tensor) -> tuple[Tensor, Tensor]:
    ordered, order = rows.sort(dim=-1)
    position = torch.arange(rows.shape[-1], device=rows.device).expand_as(order)
    return ordered, torch.empty_like(order).scatter_(1, order, position)
