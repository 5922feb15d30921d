"""Raw samples of any rate, unit and lead order → twelve leads, 10 s at 500 Hz, in mV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from models.leads import LeadPlan, plan_leads
from models.resample import DURATION_S, to_band_500_hz
from schemas.errors import PoisonError
from schemas.leads import LEADS_8, LEADS_12

#: Rates that are conditioned. Below 100 Hz a QRS is a handful of samples; above 2000 Hz no resting ECG is
#: recorded, so such a rate is a mistake in the header.
MIN_RATE_HZ: Final = 100.0
MAX_RATE_HZ: Final = 2000.0

_MODEL_ROWS: Final = [LEADS_12.index(lead) for lead in LEADS_8]
_UV_PER_MV: Final = 1000.0
_INT16: Final = np.iinfo(np.int16)


class UnconditionableError(PoisonError):
    """The samples cannot become 10 s at 500 Hz: too short, or of an unsupported rate."""

    code: ClassVar[str] = "UNCONDITIONABLE"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioned:
    """A batch of ECGs after :func:`condition`.

    Attributes
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV, leads :data:`schemas.leads.LEADS_12` at 500 Hz.
        Zero in missing leads.
    missing_leads : tuple of str
        Leads that were neither there nor derivable. One V lead missing makes an ECG not scorable.
    """

    mv: npt.NDArray[np.float32]
    missing_leads: tuple[str, ...]


def is_supported_rate(sample_rate_hz: float) -> bool:
    """Whether this rate can be conditioned (NaN cannot)."""
    return bool(MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ)


def is_long_enough(n_samples: int, sample_rate_hz: float) -> bool:
    """Whether there are 10 s; one sample less is allowed, as some exporters count intervals."""
    return n_samples + 1 >= DURATION_S * sample_rate_hz


def condition(
    samples: npt.NDArray[np.generic],
    *,
    sample_rate_hz: float,
    lead_names: Sequence[str],
    uv_per_unit: float | npt.NDArray[np.float64] = 1.0,
) -> Conditioned:
    """Bring a batch of equally recorded ECGs to twelve leads, 10 s at 500 Hz, in mV.

    The leads are named, ordered and, where limb leads are missing, derived (:mod:`models.leads`), then
    resampled and filtered without phase shift to 0.4–75 Hz, 50 and 60 Hz notched (:mod:`models.resample`),
    always in the same band, so that the output does not depend on the source's rate. From a longer recording
    **the first 10 s** are taken: ``acquired_at`` is the start of the recording, so the score belongs to that
    instant, and what carts append (calibration pulses, later strips) stays out.

    Parameters
    ----------
    samples : numpy.ndarray
        (n_ecgs, n_rows, n_samples), integer or floating. NaN and infinite samples count as 0.
    sample_rate_hz : float
        100 to 2000.
    lead_names : sequence of str
        Name of each row, as the source writes it; rows of other leads are ignored.
    uv_per_unit : float or numpy.ndarray
        µV per unit, one number or one for each ECG; 1000 for samples in mV.

    Raises
    ------
    UnconditionableError
        Rate outside 100–2000 Hz, less than 10 s, or not one name for each row.

    Notes
    -----
    Each ECG's result depends on that ECG alone, bit for bit, whatever else is in the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from schemas.leads import LEADS_8
    >>> ecgs = np.zeros((2, 8, 2500), dtype=np.int16)
    >>> condition(ecgs, sample_rate_hz=250, lead_names=LEADS_8, uv_per_unit=4.88).mv.shape
    (2, 12, 5000)
    """
    raw_mv = twelve_leads_mv(
        samples, sample_rate_hz=sample_rate_hz, lead_names=lead_names, uv_per_unit=uv_per_unit
    )
    missing = plan_leads(tuple(lead_names)).missing
    return Conditioned(mv=to_band_500_hz(raw_mv, sample_rate_hz), missing_leads=missing)


def twelve_leads_mv(
    samples: npt.NDArray[np.generic],
    *,
    sample_rate_hz: float,
    lead_names: Sequence[str],
    uv_per_unit: float | npt.NDArray[np.float64] = 1.0,
) -> npt.NDArray[np.float32]:
    """Do the first half of :func:`condition`: twelve leads in mV, at the source's rate, unfiltered.

    Same parameters and errors; :func:`models.resample.to_band_500_hz` does the other half.

    Returns
    -------
    numpy.ndarray
        float32, (n_ecgs, 12, n), mV, the first 10 s and at most one sample more; zero in missing leads.
    """
    _require_conditionable(samples, sample_rate_hz, lead_names)
    # One sample more than 10 s lets the resampler round either way; the rest is never looked at.
    n_looked_at = int(np.ceil(DURATION_S * sample_rate_hz)) + 1
    units = np.asarray(samples[:, :, :n_looked_at], dtype=np.float32)
    if samples.dtype.kind == "f":
        units = np.nan_to_num(units, nan=0.0, posinf=0.0, neginf=0.0)
    return _combine(units, plan_leads(tuple(lead_names)), np.broadcast_to(uv_per_unit, (len(samples),)))


def model_input_uv(mv: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Model input of conditioned ECGs: the eight independent leads in whole µV.

    The signal is in the conditioned band (0.4–75 Hz, mains notched) and otherwise untouched, not normalised:
    ECGFounder's own 0.67–40 Hz and z-score can be applied to it. What exceeds ±32.767 mV saturates there.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n_ecgs, 12, 5000), mV.

    Returns
    -------
    numpy.ndarray
        int16, (n_ecgs, 8, 5000), µV, leads :data:`schemas.leads.LEADS_8`.
    """
    return eight_leads_uv(mv)


def eight_leads_uv(mv: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Eight independent leads of twelve in whole µV, saturating at ±32.767 mV.

    Parameters
    ----------
    mv : numpy.ndarray
        float32, (n, 12, n_samples), mV.

    Returns
    -------
    numpy.ndarray
        int16, (n, 8, n_samples), µV, leads :data:`schemas.leads.LEADS_8`.
    """
    uv = np.rint(mv[:, _MODEL_ROWS] * np.float32(_UV_PER_MV))
    saturated: npt.NDArray[np.int16] = np.clip(uv, _INT16.min, _INT16.max).astype(np.int16)
    return saturated


def _combine(
    units: npt.NDArray[np.float32], plan: LeadPlan, uv_per_unit: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Weighted sums of rows, in a fixed order (no BLAS, whose order depends on shapes): (B, 12, n) in mV."""
    leads = np.zeros((units.shape[0], len(LEADS_12), units.shape[2]), dtype=np.float32)
    for lead, row in zip(*np.nonzero(plan.weights), strict=True):
        leads[:, lead] += np.float32(plan.weights[lead, row]) * units[:, row]
    mv_per_unit = (np.asarray(uv_per_unit) / _UV_PER_MV).astype(np.float32)
    leads *= mv_per_unit[:, None, None]
    return leads


def _require_conditionable(
    samples: npt.NDArray[np.generic], sample_rate_hz: float, lead_names: Sequence[str]
) -> None:
    if samples.ndim != 3 or samples.shape[1] != len(lead_names):
        raise UnconditionableError(
            f"samples of shape {samples.shape} with {len(lead_names)} lead names: "
            "give (n_ecgs, n_rows, n_samples) and one name for each row"
        )
    if not is_supported_rate(sample_rate_hz):
        raise UnconditionableError(f"{sample_rate_hz} Hz is outside {MIN_RATE_HZ:g}–{MAX_RATE_HZ:g} Hz")
    if not is_long_enough(samples.shape[2], sample_rate_hz):
        raise UnconditionableError(
            f"{samples.shape[2]} samples at {sample_rate_hz:g} Hz are less than {DURATION_S:g} s"
        )
