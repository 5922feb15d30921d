"""One ECG as it was acquired: what a feed publishes to ``ecg.recorded.v1``."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.invariants import (
    MAX_AGE_YEARS,
    freeze_array,
    require,
    require_number,
    require_patient,
    require_text,
    require_texts,
    require_utc,
    require_uuid,
)

#: Sample rates a record may claim at all. What lies within, but outside the 100–2000 Hz that can be
#: conditioned, is a lawful record that featurize answers for; what lies outside is a broken feed.
MIN_SAMPLE_RATE_HZ = 50.0
MAX_SAMPLE_RATE_HZ = 4000.0

#: 16 leads cover the 12 standard ones and V3R, V4R, V7–V9 or Frank's X, Y, Z in part.
MAX_LEADS = 16
MAX_LEAD_NAME_CHARS = 16

#: All leads together: 12 leads × 1000 Hz × 5 min, and some; 8 MB, the largest message the topics take.
MAX_SAMPLES = 4_000_000

#: 1 mV per unit: int16 then spans ±32 V, more than any electrode sees.
MAX_UV_PER_UNIT = 1000.0


class Sex(StrEnum):
    """Sex as the source states it."""

    UNKNOWN = "UNKNOWN"
    FEMALE = "FEMALE"
    MALE = "MALE"


class Urgency(StrEnum):
    """How soon the care team needs the answer; STAT is scored before ROUTINE."""

    ROUTINE = "ROUTINE"
    STAT = "STAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class CartStatement:
    """What the cart itself measured, kept to compare ours with; None where it states nothing.

    Intervals in ms, axes in degrees (−180 to 180], rate in beats a minute. Never an input of the model.
    """

    heart_rate_bpm: float | None = None
    p_duration_ms: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    p_axis_deg: float | None = None
    qrs_axis_deg: float | None = None
    t_axis_deg: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers no ECG has; raises InvalidRecordError."""
        for field in fields(self):
            low, high = _CART_BOUNDS[field.name.rpartition("_")[2]]
            require_number(f"cart.{field.name}", getattr(self, field.name), low, high)


#: By unit; what lies outside is no measurement but a code for "none" (29999 in SCP-ECG, 32767 elsewhere).
_CART_BOUNDS: Final = {"bpm": (0, 1000), "ms": (0, 10_000), "deg": (-180, 180)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EcgRecorded:
    """One ECG as acquired.

    Attributes
    ----------
    ecg_id : str
        UUIDv5, see :func:`schemas.identity.ecg_id`.
    patient_id : str
        The site's patient identifier; the Kafka key of every record of this patient.
    acquired_at : datetime
        UTC; start of the recording. Order is by this, never by arrival.
    site_id, ward_id, device_id : str
        Where it was recorded; empty when the source does not say.
    age_years : float or None
        Age at acquisition.
    has_pacemaker : bool or None
        As the source states it; None when it does not.
    sample_rate_hz : float
    lead_names : tuple of str
        As the source names them, in the order of the rows of ``samples``.
    uv_per_unit : float
        Microvolts per unit of ``samples``.
    samples : numpy.ndarray
        int16, (n_leads, n_samples), units of ``uv_per_unit`` µV; read-only.
    source_system, source_format, source_uid : str
        Who exported it, in which format, under which UID (empty when it has none).
    acquired_zone : str
        Zone of the source's clock, an offset (``+01:00``) or a name (``Europe/Rome``); empty when not known.
    is_zone_assumed : bool
        True when the source stated no zone and the site's setting was taken.
    cart : CartStatement or None
        The cart's own measurements.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    sample_rate_hz: float
    lead_names: tuple[str, ...]
    uv_per_unit: float
    samples: npt.NDArray[np.int16]
    site_id: str = ""
    ward_id: str = ""
    device_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    has_pacemaker: bool | None = None
    urgency: Urgency = Urgency.ROUTINE
    source_system: str = ""
    source_format: str = ""
    source_uid: str = ""
    acquired_zone: str = ""
    is_zone_assumed: bool = False
    cart: CartStatement | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be an ECG; raises InvalidRecordError."""
        require_uuid("ecg_id", self.ecg_id)
        require_patient(self.patient_id)
        require_utc("acquired_at", self.acquired_at)
        require_number("sample_rate_hz", self.sample_rate_hz, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)
        require_number("uv_per_unit", self.uv_per_unit, high=MAX_UV_PER_UNIT)
        require(self.uv_per_unit > 0, "uv_per_unit", "must be above 0")
        require_number("age_years", self.age_years, 0, MAX_AGE_YEARS)
        require_texts(
            self,
            (
                "site_id",
                "ward_id",
                "device_id",
                "source_system",
                "source_format",
                "source_uid",
                "acquired_zone",
            ),
        )
        _require_leads(self.lead_names)
        _require_samples(self)


def _require_leads(lead_names: tuple[str, ...]) -> None:
    require(1 <= len(lead_names) <= MAX_LEADS, "lead_names", f"must name 1 to {MAX_LEADS} leads")
    require(len(set(lead_names)) == len(lead_names), "lead_names", "must differ from each other")
    for name in lead_names:
        require_text("lead_names", name, max_chars=MAX_LEAD_NAME_CHARS, min_chars=1)


def _require_samples(ecg: EcgRecorded) -> None:
    freeze_array(ecg, "samples", np.int16)
    require(ecg.samples.ndim == 2, "samples", "must be (n_leads, n_samples)")
    require(ecg.samples.shape[0] == len(ecg.lead_names), "samples", "must have one row per lead name")
    require(1 <= ecg.samples.size <= MAX_SAMPLES, "samples", f"must hold 1 to {MAX_SAMPLES} samples in all")
