"""Whether limb leads obey the law that ties them together, and how they break it.

III = II − I (Einthoven), aVR = −(I + II)/2, aVL = I − II/2, aVF = II − I/2 (Goldberger): of the six only two
are free, so where three or more were stored they check each other. Carts compute four of them, so files obey
to a unit or two of rounding: 2.0 units at most in the real recordings this was tried on.

===================== =====================================================================================
how it is broken      what that means
===================== =====================================================================================
at single instants    one lead alone, by far more than rounding, while the law holds else: a damaged file
by one or two leads   the others agree as they are: a wrong name, sign or sensitivity, another time
by every lead's gain  each lead was brought to one size (normalised): lawful, and said downstream
throughout            no positive factors make them agree: they are not leads of one heart at one time
===================== =====================================================================================

What is between (noise of separate amplifiers, filters that differ) is left to :mod:`models.lead_faults`,
which does not score what it cannot trust. **Cannot be told**: anything about V1–V6 or of a recording that
stores I and II alone, electrodes exchanged on the patient (which obey the law), and a factor common to all
leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from models.leads import LIMB_FROM_I_II

Signals = npt.NDArray[np.float64]

#: Each stored lead is rounded, by half a unit or, truncated, by a whole one; what the others say of a lead is
#: a sum of up to four of them. Real files: 2.0 at most, and half of this in the root mean square.
_ROUNDING_UNITS: Final = 4.0
_ROUNDING_RMS_UNITS: Final = 2.0
#: A single sample is damaged from here on: in units, in µV (a quarter of a millimetre on paper), and in
#: multiples of what all but 2 % of the samples keep to; from 2 % on the law is broken throughout.
_DAMAGE_UNITS: Final = 8.0
_DAMAGE_UV: Final = 25.0
_DAMAGE_TIMES_BULK: Final = 10.0
_SPARSE_SHARE: Final = 0.02
#: Share of the breach at one instant that one lead alone explains, so that it is that lead's. A pacing spike,
#: which channels sampled one after the other see differently, is every lead's.
_ONE_LEAD_SHARE: Final = 0.9
#: A lead held at its extreme for so many samples in all is clipped there, and obeys nothing.
_CLIPPED_SAMPLES: Final = 3
#: Breach that is looked into, as a share of a lead's own size; the tolerance of a recorder's gain
#: (IEC 60601-2-25, 201.12.4.107.1.1: 5 %).
_BREACH_SHARE: Final = 0.05
#: Leads that agree but for one or two others leave over less, as a share.
_AGREEMENT_SHARE: Final = 0.02
#: Left over, as a share, where factors make leads agree; of 48 normalised recordings 0.003 at most.
_LEFT_OVER: Final = 0.1
#: The next best factors leave over so many times more, or the best ones are chance.
_CLEARLY: Final = 3.0
#: Left over as it is and with any factors, as shares of the leads' size: they have nothing to do with each
#: other.
_CONTRADICTION_SHARE: Final = 0.5
_UNRELATED_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """How the law is broken.

    Attributes
    ----------
    is_damage : bool
        At single instants.
    leads : tuple of str
        The leads at fault; empty when it cannot be said which.
    n_samples : int
        How many samples break it, of damage.
    """

    is_damage: bool
    leads: tuple[str, ...] = ()
    n_samples: int = 0


def breach_of(samples: npt.NDArray[np.int16], leads: tuple[str, ...], uv_per_unit: float) -> Breach | None:
    """Find how limb leads contradict each other beyond doubt; None when they do not.

    Parameters
    ----------
    samples : numpy.ndarray
        int16, (n_leads, n_samples), units of ``uv_per_unit`` µV.
    leads : tuple of str
        Standard names, one a row; others than limb leads are not looked at.

    Examples
    --------
    >>> i, ii = np.array([[0, 90, 5, 0], [0, 200, 9, 0]], dtype=np.int16)
    >>> breach_of(np.stack([i, ii, ii - i]), ("I", "II", "III"), 5.0) is None
    True
    """
    # A dead lead says nothing of the others; that it is dead is said downstream.
    rows = [row for row, lead in enumerate(leads) if lead in LIMB_FROM_I_II and np.ptp(samples[row])]
    if len(rows) < 3:
        return None
    names = tuple(leads[row] for row in rows)
    limbs = samples[rows].astype(np.float64)  # (n_limbs, n_samples)
    return _damage(limbs, names, uv_per_unit) or _contradiction(limbs, names)


def _beside(names: Sequence[str]) -> Signals:
    """Return the projection, (n, n), onto what I and II, however chosen, leave over of these leads."""
    mixing = np.array([LIMB_FROM_I_II[lead] for lead in names])  # (n, 2)
    beside: Signals = np.eye(len(names)) - mixing @ np.linalg.pinv(mixing)
    return beside


def _damage(limbs: Signals, names: tuple[str, ...], uv_per_unit: float) -> Breach | None:
    """Find single instants at which one lead alone leaves the law, that holds everywhere else."""
    beside = _beside(names)
    left_over = beside @ limbs  # (n_limbs, n_samples)
    left_over -= np.median(left_over, axis=1, keepdims=True)  # electrode offsets obey no law
    # An error of lead k leaves over its column of ``beside``; so much error of k alone would explain it best.
    errors = left_over / np.diag(beside)[:, None]
    explained = errors * left_over
    worst = explained.argmax(axis=0)  # (n_samples,)
    error = np.abs(np.take_along_axis(errors, worst[None], axis=0)[0])
    bulk = float(np.quantile(error, 1.0 - _SPARSE_SHARE))
    if bulk > _ROUNDING_UNITS:
        return None
    limit = max(_DAMAGE_UNITS, _DAMAGE_UV / uv_per_unit, _DAMAGE_TIMES_BULK * bulk)
    total = np.square(left_over).sum(axis=0)
    of_one_lead = np.take_along_axis(explained, worst[None], axis=0)[0] >= _ONE_LEAD_SHARE * total
    broken = (error > limit) & of_one_lead & ~_clipped(limbs)
    if not broken.any():
        return None
    at_fault = tuple(names[row] for row in np.unique(worst[broken])) if len(names) > 3 else ()
    return Breach(is_damage=True, leads=at_fault, n_samples=int(np.count_nonzero(broken)))


def _clipped(limbs: Signals) -> npt.NDArray[np.bool_]:
    """Instants at which any lead is held at its extreme."""
    clipped = np.zeros(limbs.shape[1], dtype=np.bool_)
    for extreme in (limbs.min(axis=1, keepdims=True), limbs.max(axis=1, keepdims=True)):
        held = limbs == extreme
        clipped |= held[np.count_nonzero(held, axis=1) >= _CLIPPED_SAMPLES].any(axis=0)
    return clipped


def _contradiction(limbs: Signals, names: tuple[str, ...]) -> Breach | None:
    cross = np.cov(limbs, bias=True)  # (n_limbs, n_limbs); all that is asked from here on
    sizes = np.sqrt(np.diag(cross))
    breaches = _breaches(cross, names)
    if (breaches <= _BREACH_SHARE * sizes + _ROUNDING_RMS_UNITS).all():
        return None
    for n_odd in (1, 2):
        for odd in combinations(range(len(names)), n_odd):
            rest = [row for row in range(len(names)) if row not in odd]
            if len(rest) >= 3 and _agree(cross[np.ix_(rest, rest)], [names[row] for row in rest]):
                return Breach(is_damage=False, leads=tuple(names[row] for row in odd))
    gains, left_over, is_clear = _gains(cross, names)
    if left_over <= _LEFT_OVER:
        # Positive factors for all: each lead was brought to one size.
        return Breach(is_damage=False) if is_clear and (gains <= 0.0).any() else None
    is_gross = breaches.max() > _CONTRADICTION_SHARE * sizes.max() and left_over > _UNRELATED_SHARE
    return Breach(is_damage=False) if is_gross else None


def _breaches(cross: Signals, names: Sequence[str]) -> Signals:
    """Root mean square, of each lead, of what the others say of it less what it is."""
    beside = _beside(names)
    return np.sqrt(np.maximum(np.diag(beside @ cross @ beside), 0.0)) / np.diag(beside)


def _agree(cross: Signals, names: Sequence[str]) -> bool:
    sizes = np.sqrt(np.diag(cross))
    return bool((_breaches(cross, names) <= _AGREEMENT_SHARE * sizes + _ROUNDING_RMS_UNITS).all())


def _gains(cross: Signals, names: Sequence[str]) -> tuple[Signals, float, bool]:
    """Return the factors with which all leads agree best, what is then left over, and whether they are clear.

    With L the leads at unit size and P the projection onto what breaks the law, ‖P diag(g) L‖² is
    gᵀ (P ∘ L Lᵀ) g: the best g of unit length is the eigenvector of the smallest eigenvalue.
    """
    sizes = np.sqrt(np.diag(cross))
    powers, directions = np.linalg.eigh(_beside(names) * (cross / np.outer(sizes, sizes)))
    shares = np.sqrt(np.maximum(powers, 0.0))
    gains = directions[:, 0] * np.sign(np.median(directions[:, 0]))
    return gains, float(shares[0]), bool(shares[1] > max(_CLEARLY * shares[0], _LEFT_OVER))
