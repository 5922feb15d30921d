"""Leads that are mislabelled, turned over, or fed by electrodes that sit in each other's places.

What can be told from one ECG, and what cannot:

=========================== =======================================================================
exchange                    how it shows
=========================== =======================================================================
a lead's sign or name       limb leads contradict each other: Einthoven's and Goldberger's laws
right arm – left arm        all of I is upside down, and I is unlike V6
right arm – left leg        all of II is upside down, and II is unlike V6
V1–V6 in reverse            R falls from V1 to V6, and I is like V1 instead of V6
left arm – left leg         **cannot be told**: I and II change places, III turns over; a normal heart
                            with another axis looks the same, only an earlier ECG tells
right leg – an arm          one of II and III is nearly flat (``FLAT``, where it was recorded)
neighbours of V1–V6         not looked for: a heart turned a little looks the same
=========================== =======================================================================

Right-sided hearts, inferior infarction with a left axis, or atria that beat from below may imitate one sign;
each exchange needs two that are independent. Measured by exchanging the leads of 48 PTB-XL and 300 simulated
recordings: arms are noticed in 40 and 287, right arm and left leg in 33 and 238, a reversed chest in 45 and
300, a single limb lead upside down in all; of those and 700 more simulated ones as they are, none is called.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from models.leads import LIMB_FROM_I_II
from models.quality import Finding, Reason
from schemas.featurized import MODEL_INPUT_RATE_HZ, Measurements
from schemas.leads import LEADS_12

Conditioned = npt.NDArray[np.float32]
Limbs = npt.NDArray[np.float64]

_ROW: Final = {lead: row for row, lead in enumerate(LEADS_12)}
#: Rounding and filters of carts leave 1–3 % between I + III and II. Compared over 40 ms, so that noise of the
#: channels, which is not shared between them, is no breach of the law.
_CONTRADICTION_SHARE: Final = 0.2
_BROAD: Final = 20
#: A rescaled lead is like what the others say of it: cos φ at which 0.3 of it would be left over.
_LIKE: Final = 0.95
_UNLIKE: Final = -0.3
_QUITE_LIKE: Final = 0.9
#: By how much I is more like V1 than V6 in a chest that is reversed; of 353 sound ECGs the most is −0.3.
_MORE_LIKE_V1: Final = 0.5
_HALF_QRS: Final = round(0.06 * MODEL_INPUT_RATE_HZ)
#: Where P and T point in health, degrees; of two exchanges that would explain an ECG, the one that brings
#: them nearer to it is named.
_USUAL_AXIS_DEG: Final = 50.0


def lead_findings(
    mv: Conditioned, peaks: npt.NDArray[np.int64], measured: Measurements, *, given: Sequence[str]
) -> list[Finding]:
    """Find leads of one ECG that cannot be what they are called.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (12, 5000), mV, conditioned.
    peaks : numpy.ndarray
        R peaks; without any, electrodes are not judged.
    given : sequence of str
        Leads that were recorded.
    """
    return limb_findings(mv, given) + (electrode_findings(mv, peaks, measured) if peaks.size else [])


def limb_findings(mv: Conditioned, given: Sequence[str]) -> list[Finding]:
    """Check each limb lead that was recorded against what the other ones say of it.

    Of four and more, one that contradicts the rest is named. Leads that agree but for a gain each were
    normalised by the sender: they are called rescaled and may be scored.
    """
    broad = {
        lead: uniform_filter1d(mv[_ROW[lead]].astype(np.float64), _BROAD)
        for lead in LIMB_FROM_I_II
        if lead in given
    }
    # A dead lead has a finding of its own.
    limbs = {lead: signal for lead, signal in broad.items() if signal.any()}
    if _agree(limbs):
        return []
    odd = _odd_after_rescaling(limbs)
    if odd == []:
        return [(Reason.LEADS_RESCALED, "")]
    alone = [lead for lead in limbs if len(limbs) > 3 and _agree(_without(limbs, lead))]
    return [(Reason.NOT_EINTHOVEN, lead) for lead in alone[:1] or odd or [""]]


def _agree(limbs: dict[str, Limbs]) -> bool:
    """Whether each of the leads is, within tolerance, the least-squares sum of the others."""
    if len(limbs) < 3:
        return True
    signals = np.stack(list(limbs.values()))  # (n_leads, n_samples)
    mixing = np.array([LIMB_FROM_I_II[lead] for lead in limbs])  # (n_leads, 2)
    hat = mixing @ np.linalg.pinv(mixing)  # (n_leads, n_leads)
    left_over = (signals - hat @ signals) / (1.0 - np.diag(hat))[:, None]  # of a fit without that lead itself
    return float(_size(left_over).max()) <= _CONTRADICTION_SHARE * float(_size(signals).max())


def _odd_after_rescaling(limbs: dict[str, Limbs]) -> list[str] | None:
    """Leads at odds with the others whatever the (positive) gains; None when I, II and III themselves are."""
    if not {"I", "II", "III"} <= set(limbs):
        return None
    normal = np.stack([limbs[lead] / _size(limbs[lead]) for lead in ("I", "II", "III")])
    power, directions = np.linalg.eigh(normal @ normal.T / normal.shape[1])
    weights = directions[:, 0] * np.sign(directions[0, 0])  # of I, II, III in the sum nearest to zero
    if np.sqrt(max(power[0], 0.0)) > _CONTRADICTION_SHARE or not weights[1] < 0 < weights[2]:
        return None
    i_ii = np.stack([weights[0] * normal[0], -weights[1] * normal[1]])
    expected = {lead: np.array(LIMB_FROM_I_II[lead]) @ i_ii for lead in limbs}
    return [lead for lead, signal in limbs.items() if _likeness(signal, expected[lead]) < _LIKE]


def electrode_findings(
    mv: Conditioned, peaks: npt.NDArray[np.int64], measured: Measurements
) -> list[Finding]:
    """Electrodes in each other's places; at most one exchange is named."""
    # A chest in reverse leaves P alone; with P turned over it is I that is wrong, not V6.
    p_is_usual = measured.p_axis_deg is None or abs(measured.p_axis_deg) <= 90.0
    if p_is_usual and chest_reversed(mv, peaks):
        return [(Reason.CHEST_LEADS_REVERSED, "")]
    # Each is a reflection of the frontal plane: a P at θ shows at 180° − θ, or at −60° − θ.
    undone_deg: dict[Reason, float] = {}
    axis_deg = measured.p_axis_deg if measured.p_axis_deg is not None else measured.t_axis_deg
    if axis_deg is None:
        return []
    if arms_swapped(mv, measured):
        undone_deg[Reason.ARM_LEADS_SWAPPED] = 180.0 - axis_deg
    if arm_and_leg_swapped(mv, measured):
        undone_deg[Reason.ARM_LEG_LEADS_SWAPPED] = -60.0 - axis_deg
    return [(reason, "") for reason in sorted(undone_deg, key=lambda r: _from_usual_deg(undone_deg[r]))[:1]]


def arms_swapped(mv: Conditioned, measured: Measurements) -> bool:
    """Whether the arm electrodes are exchanged: all of lead I is upside down, while V6 is as usual.

    A right axis turns the QRS of I alone; P tells them apart (its axis lies within ±90° in sinus rhythm) and,
    without P, T does.
    """
    if _likeness(mv[_ROW["I"]], mv[_ROW["V6"]]) > _UNLIKE:
        return False
    upright = measured.p_axis_deg if measured.p_axis_deg is not None else measured.t_axis_deg
    return upright is not None and abs(upright) > 90.0


def arm_and_leg_swapped(mv: Conditioned, measured: Measurements) -> bool:
    """Whether right arm and left leg are exchanged: II is upside down and aVR upright, while V6 is as usual.

    P must be turned over, and T or QRS with it: atria that beat from below turn P alone. Without P, T must.
    While I is quite like V6, both sit right, and the left axis that turns II is the heart's own.
    """
    i, ii, v6 = (mv[_ROW[lead]] for lead in ("I", "II", "V6"))
    if _likeness(ii, v6) > _UNLIKE or _likeness(i, v6) > _QUITE_LIKE:
        return False
    t_or_qrs = _is_down_in_ii(measured.t_axis_deg) or _is_down_in_ii(measured.qrs_axis_deg)
    if measured.p_axis_deg is None:
        return _is_down_in_ii(measured.t_axis_deg)
    return _is_down_in_ii(measured.p_axis_deg) and t_or_qrs


def chest_reversed(mv: Conditioned, peaks: npt.NDArray[np.int64]) -> bool:
    """Whether V1–V6 are attached in reverse: R falls towards V6, and I, of the left side, resembles V1."""
    lead_i, v1, v6 = (mv[_ROW[lead]] for lead in ("I", "V1", "V6"))
    if _likeness(lead_i, v1) - _likeness(lead_i, v6) < _MORE_LIKE_V1:
        return False
    return _net_qrs_mv(v1, peaks) > _net_qrs_mv(v6, peaks)


def _is_down_in_ii(axis_deg: float | None) -> bool:
    """Whether a wave is negative in II (60°) and positive in aVR (−150°)."""
    return axis_deg is not None and (axis_deg < -60.0 or axis_deg > 150.0)


def _net_qrs_mv(lead: npt.NDArray[np.float32], peaks: npt.NDArray[np.int64]) -> float:
    whole = peaks[(peaks >= _HALF_QRS) & (peaks < lead.size - _HALF_QRS)]
    qrs = lead[whole[:, None] + np.arange(-_HALF_QRS, _HALF_QRS + 1)]  # (n_beats, 61)
    return float(np.median(qrs.max(axis=1) + qrs.min(axis=1) - 2 * qrs[:, 0])) if whole.size else 0.0


def _from_usual_deg(axis_deg: float) -> float:
    return abs((axis_deg - _USUAL_AXIS_DEG + 180.0) % 360.0 - 180.0)


def _without(limbs: dict[str, Limbs], lead: str) -> dict[str, Limbs]:
    return {name: signal for name, signal in limbs.items() if name != lead}


def _size(signals: Limbs) -> Limbs:
    return np.asarray(np.sqrt((signals**2).mean(axis=-1)))


def _likeness(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    """Cosine of the angle between two signals, −1 to 1; 0 where one is nothing."""
    norm = float(np.linalg.norm(one.astype(np.float64)) * np.linalg.norm(other.astype(np.float64)))
    return float(one.astype(np.float64) @ other.astype(np.float64)) / norm if norm else 0.0
