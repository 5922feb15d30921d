"""Where the waves of a tissue-Doppler curve stand: peaks, onsets and ends, for whole batches at once.

A curve is the velocity of the mitral annulus over one cycle, sample i at i/n of the way from R to the next R:
s' upward in ejection, e' downward in early and a' downward in late diastole. The places are searched in real
time, because systole shortens little when the heart beats faster and diastole bears nearly all of it.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

#: s' peaks after the isovolumic spike, which lies in the first 60 ms, and no later than 350 ms or half a
#: cycle after R (ejection ends near 350 ms at 70 a minute, and its peak lies in the first half of it).
_S_PEAK_FROM_MS: Final = 60.0
_S_PEAK_TO_MS: Final = 350.0
_S_PEAK_TO_SHARE: Final = 0.5
#: e' does not peak, and early and late wave do not part, within 100 ms after the fall of s': isovolumic
#: relaxation takes at least 40 ms and the rise of e' as long. Keeps the isovolumic notch out.
_PARTED_AFTER_MS: Final = 100.0
#: a' peaks within 260 ms before the next R: it follows the P wave, and PR is 300 ms at most.
_A_PEAK_BEFORE_R_MS: Final = 260.0
#: Early and late wave are two where the curve between them comes back by this much.
LEAST_PARTING_CM_S: Final = 0.5
#: Where it does not come back, one wave rides on the other's slope as a shoulder: between these shares of the
#: higher peak the slope falls to this share of its steepest. Of a raised cosine it keeps 0.7 there, and of a
#: half sine 0.4.
_SHOULDER_BAND: Final = (0.3, 0.9)
_SHOULDER_SLOPE: Final = 0.3
#: A wave begins where a raised cosine through its crossings of 20 % and 50 % of the peak would: the crossings
#: are sure, the foot itself is not. cos φ is 1 − 2 · 0.2 and 1 − 2 · 0.5 there, which puts the foot
#: acos 0.6 / (acos 0 − acos 0.6) = 1.44 times their distance before the first. A half sine's foot is put
#: 8 % of its duration too early by this, one of power 1.2 of a raised cosine 2 % too late.
_LOW, _HALF = 0.2, 0.5
_FOOT: Final = math.acos(1 - 2 * _LOW) / (math.acos(1 - 2 * _HALF) - math.acos(1 - 2 * _LOW))
_TINY: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waves:
    """Waves of curves (B, S): peaks in cm/s as magnitudes, places in samples from R with fractions.

    All are finite; whether a wave is there is for the reader to judge by its size, and by ``is_parted``.

    Attributes
    ----------
    is_parted : torch.Tensor
        bool: whether a late wave stands apart from the early one. Where not, ``e_peak`` is that of the one
        diastolic wave there is, and ``a_peak`` has no meaning.
    """

    s_peak: Tensor
    e_peak: Tensor
    a_peak: Tensor
    is_parted: Tensor
    s_onset: Tensor
    s_end: Tensor
    e_onset: Tensor


def find_waves(curves: Tensor, rr_ms: Tensor) -> Waves:
    """Find the waves.

    Parameters
    ----------
    curves : torch.Tensor
        float32, (B, S, n), cm/s, finite.
    rr_ms : torch.Tensor
        float32, (B,), ms, finite.

    Notes
    -----
    Places are chosen without gradients; peaks and crossings, read from the curve there, carry them.
    """
    with torch.no_grad():
        s_at, diastole_at, e_at, a_at, is_parted = _places(curves, rr_ms)
    s_peak = _read(curves, s_at)
    down = -curves
    e_peak, a_peak = _read(down, e_at), _read(down, a_at)
    s_onset = _foot_before(curves, s_peak, s_at)
    s_end = _foot_after(curves, s_peak, s_at)
    e_onset = _foot_before(down, e_peak, torch.maximum(e_at, diastole_at))
    return Waves(
        s_peak=s_peak,
        e_peak=e_peak,
        a_peak=a_peak,
        is_parted=is_parted,
        s_onset=s_onset,
        s_end=s_end,
        e_onset=e_onset,
    )


def _places(curves: Tensor, rr_ms: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Places of the s' peak, its fall, the e' and the a' peak; whether e' and a' are two: each (B, S)."""
    n = curves.shape[-1]
    index = torch.arange(n, device=curves.device)
    ms_per_sample = rr_ms[:, None, None] / n  # (B, 1, 1)
    at_ms = index * ms_per_sample  # (B, 1, n)
    latest_ms = (_S_PEAK_TO_SHARE * rr_ms).clamp(max=_S_PEAK_TO_MS)[:, None, None]
    s_at = _highest(curves, (at_ms >= _S_PEAK_FROM_MS) & (at_ms <= latest_ms))
    fallen = (curves < _LOW * _read(curves, s_at)[..., None]) & (index > s_at[..., None])
    fall_at = torch.where(fallen, index, n - 1).amin(dim=-1)  # (B, S)
    down = -curves
    diastole = index >= fall_at[..., None]
    early = torch.where(diastole, down, -torch.inf).cummax(dim=-1).values
    late_allowed = diastole & (at_ms >= rr_ms[:, None, None] - _A_PEAK_BEFORE_R_MS)
    late = torch.where(late_allowed, down, -torch.inf).flip(-1).cummax(dim=-1).values.flip(-1)
    may_part = index * ms_per_sample >= fall_at[..., None] * ms_per_sample + _PARTED_AFTER_MS
    # How deep the valley between is; what rises above the baseline is a rebound and makes it no deeper.
    depth = torch.where(may_part, torch.minimum(early, late) - down.clamp(min=0.0), -torch.inf)
    valley = depth.max(dim=-1)
    is_parted, split = valley.values >= LEAST_PARTING_CM_S, valley.indices[..., None]
    highest_at = _highest(down, diastole)
    early_at, late_at = _shoulders(down, highest_at, may_part & diastole)
    is_late = _at(late_allowed, highest_at)
    on_rise = ~is_parted & is_late & (early_at >= 0)
    on_fall = ~is_parted & ~on_rise & _at(late_allowed, late_at.clamp(min=0)) & (late_at >= 0)
    e_at = torch.where(is_parted, _highest(down, diastole & (index <= split)), highest_at)
    a_at = torch.where(is_parted, _highest(down, late_allowed & (index >= split)), highest_at)
    e_at, a_at = torch.where(on_rise, early_at, e_at), torch.where(on_fall, late_at, a_at)
    return s_at, fall_at, e_at, a_at, is_parted | on_rise | on_fall


def _shoulders(down: Tensor, highest_at: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Places of shoulders before and after the highest sample: each (B, S), −1 where there is none."""
    index = torch.arange(down.shape[-1], device=down.device)
    slope = torch.gradient(down, dim=-1)[0]
    share = down / _read(down, highest_at)[..., None].clamp(min=_TINY)
    in_band = allowed & (share >= _SHOULDER_BAND[0]) & (share <= _SHOULDER_BAND[1])
    places = []
    for side, rise in ((index < highest_at[..., None], slope), (index > highest_at[..., None], -slope)):
        steepest = torch.where(side & allowed, rise, -torch.inf).amax(dim=-1)
        flattest = torch.where(side & in_band, rise, torch.inf).min(dim=-1)
        places.append(torch.where(flattest.values <= _SHOULDER_SLOPE * steepest, flattest.indices, -1))
    return places[0], places[1]


def _at(mask: Tensor, at: Tensor) -> Tensor:
    """Whether a mask, (B, 1 or S, n), holds at samples (B, S)."""
    return mask.expand(*at.shape, mask.shape[-1]).gather(-1, at[..., None]).squeeze(-1)


def _highest(curves: Tensor, allowed: Tensor) -> Tensor:
    return torch.where(allowed, curves, -torch.inf).argmax(dim=-1)


def _read(curves: Tensor, at: Tensor) -> Tensor:
    """(B, S, n) at samples (B, S) → (B, S)."""
    return curves.gather(-1, at[..., None]).squeeze(-1)


def _foot_after(curves: Tensor, peak: Tensor, peak_at: Tensor) -> Tensor:
    half, low = (_crossing(curves, share * peak, peak_at) for share in (_HALF, _LOW))
    return low + _FOOT * (low - half)


def _foot_before(curves: Tensor, peak: Tensor, peak_at: Tensor) -> Tensor:
    last = curves.shape[-1] - 1
    return last - _foot_after(curves.flip(-1), peak, last - peak_at)


def _crossing(curves: Tensor, level: Tensor, peak_at: Tensor) -> Tensor:
    """Where a curve first falls through a level after its peak, in samples with fractions; else its end."""
    last = curves.shape[-1] - 1
    index = torch.arange(last + 1, device=curves.device)
    below = (curves < level[..., None]) & (index > peak_at[..., None])
    after = torch.where(below, index, last).amin(dim=-1).clamp(min=1)
    high, low = _read(curves, after - 1), _read(curves, after)
    share = (high - level) / (high - low).clamp(min=_TINY)
    return after - 1 + share.clamp(0.0, 1.0)
