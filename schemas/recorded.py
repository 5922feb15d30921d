"""One ECG as it was acquired: what a feed publishes to ``ecg.recorded.v1``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Sex(StrEnum):
    """Sex as the source states it."""

    UNKNOWN = "UNKNOWN"
    FEMALE = "FEMALE"
    MALE = "MALE"


class Urgency(StrEnum):
    """How soon the care team needs the answer; STAT is scored before ROUTINE."""

    ROUTINE = "ROUTINE"
    STAT = "STAT"


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
