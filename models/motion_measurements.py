"""Measurements of tissue-Doppler curves: velocities, displacement, isovolumic and ejection times.

Peak velocities follow the recommendations for pulsed-wave tissue Doppler of the mitral annulus (Nagueh et
al., JASE 2016;29:277), the performance index Tei (J Cardiol 1995;26:357), here with all times read from one
tissue-Doppler beat. Where a wave begins and ends is our own definition (:mod:`models.motion_waves`).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.features import COLUMN_NAMES
from models.motion_waves import Waves, find_waves

#: Velocities of both sites as magnitudes, then what is made of them.
MOTION_COLUMNS: Final = (
    "s_prime_septal_cm_s",
    "e_prime_septal_cm_s",
    "a_prime_septal_cm_s",
    "s_prime_lateral_cm_s",
    "e_prime_lateral_cm_s",
    "a_prime_lateral_cm_s",
    "e_over_a",
    "displacement_septal_mm",
    "displacement_lateral_mm",
    "ivct_ms",
    "ivrt_ms",
    "ejection_ms",
    "performance_index",
)
#: The first of them: peak velocities, which the generator states an uncertainty for.
N_VELOCITIES: Final = 6

#: A fibrillating heart has no P wave, and RR intervals whose deviation is about 0.2 of their mean (Tateno and
#: Glass, Med Biol Eng Comput 2001); sinus rhythm stays below 0.07, breathing included.
FIBRILLATION_RR_SHARE: Final = 0.10
#: The noise of tissue Doppler: what is smaller is no wave.
_LEAST_WAVE_CM_S: Final = 0.5
#: Where the rate is not known, waves are searched as at 70 a minute; times are not stated then.
_USUAL_RR_MS: Final = 860.0
_MM_PER_CM_S_MS: Final = 10.0 / 1000.0  # cm/s × ms → mm

_RATE, _RR_SD, _PR = (COLUMN_NAMES.index(name) for name in ("heart_rate_bpm", "rr_sd_ms", "pr_ms"))


def is_fibrillating(features: Tensor | npt.NDArray[np.float32]) -> Tensor:
    """Whether the atria fibrillate: no P wave, and RR intervals that vary by more than 10 % of their mean.

    Parameters
    ----------
    features : torch.Tensor or numpy.ndarray
        float32, (B, len(models.features.COLUMNS)).

    Returns
    -------
    torch.Tensor
        bool, (B,); False where the RR intervals are not known.
    """
    rows = torch.as_tensor(features)
    return torch.isnan(rows[:, _PR]) & (rows[:, _RR_SD] / rr_ms(rows) > FIBRILLATION_RR_SHARE)


def rr_ms(features: Tensor | npt.NDArray[np.float32]) -> Tensor:
    """Cycle length by the heart rate: float32, (B,), ms; NaN where it is not known or 0."""
    rate_bpm = torch.as_tensor(features)[:, _RATE]
    return 60000.0 / torch.where(rate_bpm > 0.0, rate_bpm, torch.nan)


def measure_motion(curves: Tensor, rr_ms: Tensor, fibrillating: Tensor) -> Tensor:
    """Measure curves.

    Parameters
    ----------
    curves : torch.Tensor
        float32, (B, 2, n), cm/s; septal, lateral; sample i is at i/n of the way from R to the next R.
    rr_ms : torch.Tensor
        float32, (B,), ms; NaN is not known: displacement and times are NaN then, velocities are still there.
    fibrillating : torch.Tensor
        bool, (B,): there is no atrial contraction, hence no a', whatever the curve shows late.

    Returns
    -------
    torch.Tensor
        float32, (B, 13), :data:`MOTION_COLUMNS`. NaN is absent: a curve with gaps, a wave below 0.5 cm/s, a'
        in fibrillation or where no late wave is told from the early one (at very high rates both run into
        one, which then counts as e').

    Notes
    -----
    s' is the largest velocity in ejection, e' and a' the largest of the early and the late diastolic wave,
    which part where the curve between them comes back furthest; where it does not come back by 0.5 cm/s, the
    lower one is the shoulder on the slope of the higher. e'/a' is that of the means of both sites.
    Displacement is the integral of upward velocity from onset to end of s'. Times are those of the mean curve
    of both sites: ``ivct_ms`` from R, at about which the mitral valve closes, to the onset of s';
    ``ejection_ms`` from there to the end of s'; ``ivrt_ms`` on to the onset of e'; the performance index is
    (ivct + ivrt) / ejection. Onsets and ends as in :mod:`models.motion_waves`. Differentiable where finite;
    each row depends on its own curves alone.

    Examples
    --------
    >>> measure_motion(torch.zeros(1, 2, 128), torch.tensor([860.0]), torch.tensor([False])).isnan().all()
    tensor(True)
    """
    is_whole = torch.isfinite(curves).all(dim=-1).all(dim=-1)  # (B,)
    both = torch.where(is_whole[:, None, None], curves.float(), 0.0)
    is_timed = torch.isfinite(rr_ms) & (rr_ms > 0.0)
    searched_ms = torch.where(is_timed, rr_ms.float(), _USUAL_RR_MS)
    three = torch.cat([both, both.mean(dim=1, keepdim=True)], dim=1)  # (B, 3, n): septal, lateral, mean
    waves = find_waves(three, searched_ms)
    ms_per_sample = searched_ms / curves.shape[-1]
    velocities = _velocities(waves, fibrillating)
    timed = torch.cat(
        [_displacements_mm(three, waves, ms_per_sample), _times(waves, ms_per_sample)], dim=1
    )  # (B, 6)
    out = torch.cat(
        [
            velocities.flatten(1),
            _ratio(velocities[..., 1].mean(dim=1), velocities[..., 2].mean(dim=1))[:, None],
            torch.where(is_timed[:, None], timed, torch.nan),
        ],
        dim=1,
    )
    return torch.where(is_whole[:, None], out, torch.nan)


def _velocities(waves: Waves, fibrillating: Tensor) -> Tensor:
    """(B, 2, 3): s', e', a' of each site."""
    peaks = torch.stack([waves.s_peak, waves.e_peak, waves.a_peak], dim=-1)[:, :2]
    is_late = waves.is_parted[:, :2] & ~fibrillating[:, None]
    is_there = torch.stack([torch.ones_like(is_late), torch.ones_like(is_late), is_late], dim=-1)
    return torch.where(is_there & (peaks >= _LEAST_WAVE_CM_S), peaks, torch.nan)


def _displacements_mm(curves: Tensor, waves: Waves, ms_per_sample: Tensor) -> Tensor:
    """(B, 2): integral of upward velocity, samples on the border counting as far as they lie within."""
    index = torch.arange(curves.shape[-1], device=curves.device)
    onset, end = waves.s_onset[..., None], waves.s_end[..., None]
    within = (index - onset + 0.5).clamp(0.0, 1.0) * (end - index + 0.5).clamp(0.0, 1.0)
    mm = (curves.clamp(min=0.0) * within).sum(dim=-1) * ms_per_sample[:, None] * _MM_PER_CM_S_MS
    return torch.where(waves.s_peak >= _LEAST_WAVE_CM_S, mm, torch.nan)[:, :2]


def _times(waves: Waves, ms_per_sample: Tensor) -> Tensor:
    """(B, 4): isovolumic contraction and relaxation, ejection, performance index; NaN where out of order."""
    s_onset, s_end, e_onset = (
        place[:, 2] * ms_per_sample for place in (waves.s_onset, waves.s_end, waves.e_onset)
    )
    ivct, ejection, ivrt = s_onset, s_end - s_onset, e_onset - s_end
    has_s = waves.s_peak[:, 2] >= _LEAST_WAVE_CM_S
    has_e = waves.e_peak[:, 2] >= _LEAST_WAVE_CM_S
    ivct = torch.where(has_s & (ivct > 0.0), ivct, torch.nan)
    ejection = torch.where(has_s & (ejection > 0.0), ejection, torch.nan)
    ivrt = torch.where(has_s & has_e & (ivrt > 0.0), ivrt, torch.nan)
    return torch.stack([ivct, ivrt, ejection, _ratio(ivct + ivrt, ejection)], dim=1)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """NaN where either is; a gradient of 0 there, not NaN."""
    is_there = torch.isfinite(above) & torch.isfinite(below)
    safe = torch.where(is_there, above, 0.0) / torch.where(is_there, below, 1.0)
    return torch.where(is_there, safe, torch.nan)
