"""Faults that show in the conditioned signal: no signal, noise, wrong unit, wrong leads."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from models.lead_faults import lead_findings
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
_MIN_BEATS: Final = 3


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
        found += lead_findings(mv[i], r_peaks[i], measurements[i], given=given)
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
