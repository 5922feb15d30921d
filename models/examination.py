"""All that is learnt from equally recorded ECGs: quality, beats, measurements and the model's input."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.band_faults import band_findings
from models.featurizing import FeaturizedArrays, featurize_arrays
from models.leads import LeadPlan, plan_leads
from models.measurements import without_leads
from models.quality import Finding, Reason, judge
from models.raw_faults import raw_findings
from models.resample import to_band_500_hz
from models.signal import is_long_enough, is_supported_rate, twelve_leads_mv
from schemas.featurized import Measurements, Quality

_WITHOUT_SIGNAL: Final = (Reason.MISSING_LEAD, Reason.LEAD_OFF, Reason.FLAT)
_FOLLOW_FROM_OFF: Final = (Reason.FLAT, Reason.NOT_EINTHOVEN)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """One ECG examined.

    Attributes
    ----------
    model_input_uv : numpy.ndarray or None
        int16, (8, 5000), µV, read-only; None if it must not be scored.
    median_beat_uv : numpy.ndarray or None
        int16, (8, 550), µV, read-only; None if it must not be scored, or no whole beat lies in it.
    """

    quality: Quality
    measurements: Measurements
    r_peaks: tuple[int, ...] = ()
    model_input_uv: npt.NDArray[np.int16] | None = None
    median_beat_uv: npt.NDArray[np.int16] | None = None


def examine(
    samples: npt.NDArray[np.generic],
    *,
    sample_rate_hz: float,
    lead_names: Sequence[str],
    uv_per_unit: float | npt.NDArray[np.float64],
    stated: Sequence[Sequence[Finding]],
    waived: Collection[Reason] = (),
) -> list[Examined]:
    """Examine a batch of ECGs that share rate, length and lead names.

    Parameters
    ----------
    samples : numpy.ndarray
        (n_ecgs, n_rows, n_samples), units.
    uv_per_unit : float or numpy.ndarray
        µV per unit, one number or one for each ECG; positive.
    stated : sequence of sequence of Finding
        For each ECG what is known of it beside its samples: a pacemaker, a clock that is wrong.
    waived : collection of Reason
        What is not judged, because these sources cannot be held to it: samples without a unit.

    Returns
    -------
    list of Examined
        In order. An ECG too short or of an unsupported rate is examined no further; any other is measured,
        and scored unless a reason blocks it (:data:`models.quality.RULES`).
    """
    plan = plan_leads(tuple(lead_names))
    missing: list[Finding] = [(Reason.MISSING_LEAD, lead) for lead in plan.missing]
    refused = _refusals(samples.shape[2], sample_rate_hz)
    if refused or not plan.given:
        return [
            Examined(quality=judge([*refused, *missing, *known]), measurements=Measurements())
            for known in stated
        ]
    raw_mv = twelve_leads_mv(
        samples, sample_rate_hz=sample_rate_hz, lead_names=lead_names, uv_per_unit=uv_per_unit
    )
    raw = raw_findings(raw_mv, sample_rate_hz=sample_rate_hz, given=plan.given)
    mv = to_band_500_hz(raw_mv, sample_rate_hz)
    arrays = featurize_arrays(mv)
    band = band_findings(mv, arrays.r_peaks, arrays.measurements, given=plan.given)
    found = [[*missing, *stated[i], *raw[i], *band[i]] for i in range(len(mv))]
    judged = [[finding for finding in each if finding[0] not in waived] for each in found]
    return [_examined(plan, findings, arrays, i) for i, findings in enumerate(judged)]


def _refusals(n_samples: int, sample_rate_hz: float) -> list[Finding]:
    if not is_supported_rate(sample_rate_hz):
        return [(Reason.UNSUPPORTED_RATE, "")]
    return [] if is_long_enough(n_samples, sample_rate_hz) else [(Reason.TOO_SHORT, "")]


def _examined(plan: LeadPlan, findings: list[Finding], arrays: FeaturizedArrays, row: int) -> Examined:
    quality = judge(_said_once(findings))
    dead = {lead for reason, lead in findings if reason in _WITHOUT_SIGNAL}
    beat_uv = arrays.beats_uv[row]
    return Examined(
        quality=quality,
        measurements=without_leads(arrays.measurements[row], plan.resting_on(dead)),
        r_peaks=tuple(arrays.r_peaks[row].tolist()),
        model_input_uv=_kept(arrays.inputs_uv[row]) if quality.acceptable else None,
        median_beat_uv=_kept(beat_uv) if quality.acceptable and beat_uv.any() else None,
    )


def _kept(uv: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    own = uv.copy()  # not a view that keeps the whole batch alive
    own.flags.writeable = False
    return own


def _said_once(findings: list[Finding]) -> list[Finding]:
    """Each finding once; a lead that is off is not called flat or contradictory as well."""
    off = {lead for reason, lead in findings if reason is Reason.LEAD_OFF}
    once = dict.fromkeys(findings)
    return [finding for finding in once if not (finding[0] in _FOLLOW_FROM_OFF and finding[1] in off)]
