"""From what a reader found to the EcgRecorded it publishes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from schemas.errors import InvalidRecordError
from schemas.identity import ecg_id
from schemas.invariants import MAX_AGE_YEARS
from schemas.recorded import CartStatement, EcgRecorded, Sex
from streams.feeds.readers.leads import require_twelve_leads, shown_words
from streams.feeds.readers.options import ReadOptions, require_acquired_at, require_patient_id
from streams.feeds.readers.scaling import Channel, odd_scales, to_one_scale
from streams.feeds.refusal import FeedRefusedError, RefusalReason


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a reader found in a file, before the operator's options fill the gaps.

    Attributes
    ----------
    channels : sequence of Channel
        Those of the twelve leads alone, under their standard names.
    left_out : sequence of str
        The source's names of its other channels.
    acquired_at : datetime or None
        Aware, or naive where the source states neither zone nor offset.
    cart : CartStatement or None
        The cart's own measurements.
    notes : sequence of str
        What the reader itself assumed or left out; nothing of a patient.
    """

    channels: Sequence[Channel]
    sample_rate_hz: float
    source_format: str
    left_out: Sequence[str] = ()
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
    cart: CartStatement | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """An ECG read from a file, and what the operator should know of how it was read.

    Attributes
    ----------
    notes : tuple of str
        What was assumed or left out; without patient identifiers.
    """

    ecg: EcgRecorded
    notes: tuple[str, ...] = ()


def assemble(found: Found, options: ReadOptions) -> Reading:
    """Make the record; the same file and options always make the same record with the same id.

    Raises
    ------
    FeedRefusedError
        When leads, rate, time or patient are missing.
    """
    if not found.sample_rate_hz > 0.0:
        raise FeedRefusedError(
            f"its sampling rate is {found.sample_rate_hz} Hz, expected above 0; export it again",
            RefusalReason.IMPLAUSIBLE_RATE,
        )
    leads = [channel.name for channel in found.channels]
    n_samples = found.channels[0].counts.size if found.channels else 0
    require_twelve_leads([*leads, *found.left_out], n_samples / found.sample_rate_hz)
    patient_id = require_patient_id(found.patient_id, options)
    acquired_at = require_acquired_at(found.acquired_at, options)
    uv_per_unit, samples = to_one_scale(found.channels)
    try:
        ecg = _record(found, options, patient_id, acquired_at, uv_per_unit, samples)
    except InvalidRecordError as error:
        raise FeedRefusedError(
            f"it breaks a rule of the record: {error}; correct it at its source", RefusalReason.INVALID_RECORD
        ) from None
    return Reading(ecg=ecg, notes=tuple(_notes(found, options)))


def _notes(found: Found, options: ReadOptions) -> Iterator[str]:
    yield from found.notes
    if _is_naive(found, options):
        yield f"time carries no zone, read as {options.timezone}"
    if found.left_out:
        names = shown_words(found.left_out)
        yield f"left out, none of the twelve leads or one of them again: {names}"
    if odd := odd_scales(found.channels):
        yield f"stored in another scale than the other leads: {', '.join(odd)}; see that their size is right"
    if found.age_years is not None and _possible_age(found.age_years) is None:
        yield "its age is none a person can have, read as unknown"


def _is_naive(found: Found, options: ReadOptions) -> bool:
    moment = options.corrected_acquired_at or found.acquired_at
    return moment is not None and moment.tzinfo is None


def _zone(found: Found, options: ReadOptions) -> str:
    """Name the zone of the source's clock: its offset where it states one, else the site's setting."""
    moment = options.corrected_acquired_at or found.acquired_at or options.acquired_at
    zone = moment.tzinfo if moment is not None and moment.tzinfo is not None else options.timezone
    return str(zone).removeprefix("UTC") or "UTC"


def _possible_age(age_years: float | None) -> float | None:
    return age_years if age_years is not None and 0.0 <= age_years <= MAX_AGE_YEARS else None


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
        age_years=_possible_age(found.age_years),
        sex=found.sex,
        has_pacemaker=found.has_pacemaker,
        urgency=options.urgency,
        source_system=found.source_system,
        source_format=found.source_format,
        source_uid=found.source_uid,
        acquired_zone=_zone(found, options),
        is_zone_assumed=_is_naive(found, options),
        cart=found.cart,
    )
