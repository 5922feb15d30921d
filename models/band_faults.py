"""Faults that show in the conditioned signal: no signal, noise, wrong unit, wrong leads."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from models.quality import Finding, Reason
from schemas.featurized import Measurements
from schemas.leads import LEADS_12

Conditioned = npt.NDArray[np.float32]

_ROW: Final = {lead: row for row, lead in enumerate(LEADS_12)}
#: Peak to peak without the outermost 0.2 % (20 ms in 10 s, less than one QRS, more than one artefact).
_OUTER_PERCENT: Final = (0.2, 99.8)
_FLAT_MV: Final = 0.03
#: Low voltage is under 0.5 mV in limb and 1 mV in chest leads; the largest QRS of hypertrophy is some 8 mV.
_PLAUSIBLE_MV: Final = (0.15, 15.0)
#: Noise: the typical departure from the mean of 10 ms around; a heart is smooth there but for its QRS.
#: Clean carts show 1–3 µV; white noise of 0.1 mV (1 mm of hair on paper) shows 11–15 µV.
_SMOOTH: Final = 5
_NOISE_SHARE: Final = 0.012
_NOISE_MV: Final = 0.01
#: Rounding and filters of carts leave 1–3 % between I + III and II. Compared over 40 ms, so that noise of the
#: channels, which is not shared between them, is no breach of the law.
_EINTHOVEN_SHARE: Final = 0.2
_BROAD: Final = 20
_MIN_BEATS: Final = 3
_UNLIKE: Final = -0.3


def band_findings(
    mv: Conditioned,
    r_peaks: Sequence[npt.NDArray[np.int64]],
    measurements: Sequence[Measurements],
    *,
    given: Sequence[str],
) -> list[list[Finding]]:
    """Find the faults of each ECG of a batch.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV, conditioned.
    r_peaks, measurements : sequence
        One of each for each ECG.
    given : sequence of str
        Leads that were recorded.
    """
    rows = [_ROW[lead] for lead in given]
    low, high = np.percentile(mv[:, rows, ::2], _OUTER_PERCENT, axis=-1)
    size_mv = high - low  # (n_ecgs, n_given)
    noise_mv = _noise_mv(mv[:, rows])
    findings: list[list[Finding]] = []
    for i in range(len(mv)):
        found = _size_findings(size_mv[i], noise_mv[i], given)
        found += [(Reason.NO_BEATS, "")] if r_peaks[i].size < _MIN_BEATS else []
        found += _limb_findings(mv[i], given)
        swapped = r_peaks[i].size >= _MIN_BEATS and arms_swapped(mv[i], measurements[i])
        found += [(Reason.ARM_LEADS_SWAPPED, "")] if swapped else []
        findings.append(found)
    return findings


def _noise_mv(mv: Conditioned) -> npt.NDArray[np.float32]:
    rough = mv - uniform_filter1d(mv, _SMOOTH, axis=-1, mode="nearest")
    return np.asarray(1.4826 * np.median(np.abs(rough[..., ::3]), axis=-1))


def _size_findings(
    size_mv: npt.NDArray[np.float32], noise_mv: npt.NDArray[np.float32], given: Sequence[str]
) -> list[Finding]:
    if not _PLAUSIBLE_MV[0] <= float(size_mv.max(initial=0.0)) <= _PLAUSIBLE_MV[1]:
        return [(Reason.AMPLITUDE_IMPLAUSIBLE, "")]
    flat = size_mv < _FLAT_MV
    noisy = (noise_mv > np.maximum(_NOISE_MV, _NOISE_SHARE * size_mv)) & ~flat
    return [(Reason.FLAT, lead) for lead, is_flat in zip(given, flat, strict=True) if is_flat] + [
        (Reason.NOISE, lead) for lead, is_noisy in zip(given, noisy, strict=True) if is_noisy
    ]


def _limb_findings(mv: Conditioned, given: Sequence[str]) -> list[Finding]:
    """Einthoven's law, I + III = II, where all three were recorded."""
    if not {"I", "II", "III"} <= set(given):
        return []
    limb = uniform_filter1d(mv[[_ROW["I"], _ROW["II"], _ROW["III"]]].astype(np.float64), _BROAD, axis=-1)
    size = np.sqrt((limb**2).mean(axis=1))
    if not size.all():
        return []  # a lead without signal has its own finding
    residual = np.sqrt(((limb[0] + limb[2] - limb[1]) ** 2).mean())
    if residual <= _EINTHOVEN_SHARE * size.max():
        return []
    normal = limb / size[:, None]
    power, directions = np.linalg.eigh(normal @ normal.T / normal.shape[1])
    weights = directions[:, 0] * np.sign(directions[0, 0])  # of I, II, III in the sum nearest to zero
    fits = np.sqrt(max(power[0], 0.0)) <= _EINTHOVEN_SHARE and weights[1] < 0 < weights[2]
    return [(Reason.LEADS_RESCALED if fits else Reason.NOT_EINTHOVEN, "")]


def arms_swapped(mv: Conditioned, measured: Measurements) -> bool:
    """Whether the arm electrodes are exchanged: all of lead I is upside down, while V6 is as usual.

    A right axis turns the QRS of I alone; P tells them apart (its axis lies within ±90° in sinus rhythm) and,
    without P, T does.
    """
    lead_i, v6 = mv[_ROW["I"]].astype(np.float64), mv[_ROW["V6"]].astype(np.float64)
    norm = np.linalg.norm(lead_i) * np.linalg.norm(v6)
    if norm == 0 or float(lead_i @ v6) / norm > _UNLIKE:
        return False
    upright = measured.p_axis_deg if measured.p_axis_deg is not None else measured.t_axis_deg
    return upright is not None and abs(upright) > 90.0
