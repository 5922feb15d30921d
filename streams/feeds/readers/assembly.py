"""From what a reader found to the EcgRecorded it publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from schemas.errors import InvalidRecordError
from schemas.identity import ecg_id
from schemas.recorded import EcgRecorded, Sex
from streams.feeds.readers.leads import require_twelve_leads
from streams.feeds.readers.options import ReadOptions, require_acquired_at, require_patient_id
from streams.feeds.readers.scaling import Channel, to_one_scale
from streams.feeds.refusal import FeedRefusedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a reader found in a file, before the operator's options fill the gaps."""

    channels: Sequence[Channel]
    sample_rate_hz: float
    source_format: str
    acquired_at: datetime | None = None
    patient_id: str = ""
    source_uid: str = ""
    source_system: str = ""
    site_id: str = ""
    ward_id: str = ""
    device_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    has_pacemaker: bool | None = None


def assemble(found: Found, options: ReadOptions) -> EcgRecorded:
    """Make the record; the same file and options always make the same record with the same id.

    Raises
    ------
    FeedRefusedError
        When leads, rate, time or patient are missing.
    """
    names = tuple(channel.name for channel in found.channels)
    if not found.sample_rate_hz > 0.0:
        raise FeedRefusedError(f"its sampling rate is {found.sample_rate_hz} Hz, expected above 0")
    n_samples = found.channels[0].counts.size if found.channels else 0
    require_twelve_leads(names, n_samples, found.sample_rate_hz)
    patient_id = require_patient_id(found.patient_id, options)
    acquired_at = require_acquired_at(found.acquired_at, options)
    uv_per_unit, samples = to_one_scale(found.channels)
    try:
        return _record(found, options, patient_id, acquired_at, uv_per_unit, samples)
    except InvalidRecordError as error:
        raise FeedRefusedError(f"it breaks a rule of the record: {error}") from None


def _record(
    found: Found,
    options: ReadOptions,
    patient_id: str,
    acquired_at: datetime,
    uv_per_unit: float,
    samples: npt.NDArray[np.int16],
) -> EcgRecorded:
    return EcgRecorded(
        ecg_id=ecg_id(
            source_uid=found.source_uid, patient_id=patient_id, acquired_at=acquired_at, samples=samples
        ),
        patient_id=patient_id,
        acquired_at=acquired_at,
        sample_rate_hz=found.sample_rate_hz,
        lead_names=tuple(channel.name for channel in found.channels),
        uv_per_unit=uv_per_unit,
        samples=samples,
        site_id=options.site_id or found.site_id,
        ward_id=options.ward_id or found.ward_id,
        device_id=found.device_id,
        age_years=found.age_years,
        sex=found.sex,
        has_pacemaker=found.has_pacemaker,
        urgency=options.urgency,
        source_system=found.source_system,
        source_format=found.source_format,
        source_uid=found.source_uid,
    )
