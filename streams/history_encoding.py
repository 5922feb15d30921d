"""A history point in few bytes: a name that is its identity, and a body.

::

    name    ecg_id as the 16 bytes of its UUID │ bundle version, UTF-8
    body    version u8 │ phenotype u8 │ quality u8 (1/100)
            │ probability, low, high  3 × u16 (1/10 000)
            │ heart rate, PR, QRS, QTc  4 × u16 (1/10 bpm, 1/10 ms)
            │ e', e'/a'  2 × u16 (1/100 cm/s, 1/100); from version 2 on
            │ sex u8 │ age u16 (1/10 year) │ bytes of ward, of site  2 × u16 │ ward, site, UTF-8; in version 3
            │ reasons, UTF-8, separated by newlines

A point is written as version 3 with the place it was recorded at, as version 2 without.

All numbers are little-endian; 0xFFFF stands for None, which is why None can never be read as 0. Patient and
acquisition time are not part of the bytes: the store's key and order hold them.
"""

import hashlib
import math
import struct
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.errors import ConfigurationError
from schemas.recorded import Sex
from schemas.risk import Phenotype, RiskAssessed
from streams.history import EncodedPoint, HistoryPoint, Place, history_point, place_of
from streams.stage import Received

#: Fields may be added behind a new number; a reader of each must stay until no cache holds it.
BODY_VERSION: Final = 3

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PLACELESS: Final = 2
_BODIES: Final = {
    1: struct.Struct("<BBB3H4H"),
    2: struct.Struct("<BBB3H4H2H"),
    3: struct.Struct("<BBB3H4H2H"),
}
_PLACE: Final = struct.Struct("<BHHH")
_SEXES: Final = (Sex.UNKNOWN, Sex.FEMALE, Sex.MALE)
_PHENOTYPES: Final = (Phenotype.NOT_SCORED, Phenotype.LOW, Phenotype.HIGH)
_NONE: Final = 0xFFFF
_PER_PROBABILITY: Final = 10_000  # probabilities carry 4 decimals
_PER_MEASUREMENT: Final = 10  # up to 6553.4 ms or bpm, far beyond any ECG
_PER_MOTION: Final = 100  # up to 655.34 cm/s, far beyond any heart
_PER_AGE: Final = 10


class HistoryVersionError(ConfigurationError):
    """The cache holds points this Diastole cannot read."""

    code = "HISTORY_VERSION"


def encoded_points(batch: Sequence[Received[RiskAssessed]]) -> list[EncodedPoint]:
    """Make one point per assessment, in order, as the store keeps it: the work of the history stage.

    Done here, not on the way to the store: what cannot be encoded must cost itself, not the stage.
    """
    return [encode_assessment(received.record) for received in batch]


def encode_assessment(risk: RiskAssessed) -> EncodedPoint:
    """Encode what the history keeps of an assessment, and where the patient lay."""
    return encode_point(history_point(risk), place_of(risk))


def encode_point(point: HistoryPoint, place: Place | None = None) -> EncodedPoint:
    """Encode all of a point."""
    return EncodedPoint(
        patient_id=point.patient_id,
        acquired_us=microseconds(point.acquired_at),
        name=encode_name(point),
        body=encode_body(point, place),
    )


def patient_digest(patient_id: str) -> str:
    """Stand-in for an identifier in keys, 32 hexadecimal digits."""
    return hashlib.sha256(patient_id.encode()).hexdigest()[:32]


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970; exact in a sorted set's double until 2255."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    """Undo :func:`microseconds`, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def encode_name(point: HistoryPoint) -> bytes:
    """Name the point by its identity: equal for two points exactly when ecg_id and bundle version are."""
    return uuid.UUID(point.ecg_id).bytes + point.bundle_version.encode()


def encode_body(point: HistoryPoint, place: Place | None = None) -> bytes:
    """Encode everything but identity, patient and time; numbers are rounded to their unit."""
    version = _PLACELESS if place is None else BODY_VERSION
    risks = (point.probability, point.probability_low, point.probability_high)
    measured = (point.heart_rate_bpm, point.pr_ms, point.qrs_ms, point.qtc_ms)
    moved = (point.e_prime_cm_s, point.e_over_a)
    numbers = _BODIES[version].pack(
        version,
        _PHENOTYPES.index(point.phenotype),
        round(100 * min(1.0, max(0.0, point.quality_score))),
        *(_packed(risk, _PER_PROBABILITY) for risk in risks),
        *(_packed(measure, _PER_MEASUREMENT) for measure in measured),
        *(_packed(motion, _PER_MOTION) for motion in moved),
    )
    return numbers + _encode_place(place) + "\n".join(point.not_scored_reasons).encode()


def _encode_place(place: Place | None) -> bytes:
    if place is None:
        return b""
    ward, site = place.ward_id.encode(), place.site_id.encode()
    age = _packed(place.age_years, _PER_AGE)
    return _PLACE.pack(_SEXES.index(place.sex), age, len(ward), len(site)) + ward + site


def decode_place(body: bytes) -> Place | None:
    """Say where the patient lay; None when the point was written without."""
    if not body or body[0] < BODY_VERSION:
        return None
    sex, age, ward_bytes, site_bytes = _PLACE.unpack_from(body, _BODIES[BODY_VERSION].size)
    ward_at = _BODIES[BODY_VERSION].size + _PLACE.size
    site_at = ward_at + ward_bytes
    return Place(
        ward_id=body[ward_at:site_at].decode(),
        site_id=body[site_at : site_at + site_bytes].decode(),
        age_years=_unpacked(age, _PER_AGE),
        sex=_SEXES[sex],
    )


def _has_whole_place(body: bytes) -> bool:
    if body[0] < BODY_VERSION:
        return True
    at = _BODIES[BODY_VERSION].size
    return len(body) >= at + _PLACE.size and body[at] < len(_SEXES) and len(body) >= _end_of_place(body)


def _end_of_place(body: bytes) -> int:
    """Byte at which the reasons begin."""
    layout = _BODIES[body[0]]
    if body[0] < BODY_VERSION:
        return layout.size
    _, _, ward_bytes, site_bytes = _PLACE.unpack_from(body, layout.size)
    return int(layout.size + _PLACE.size + ward_bytes + site_bytes)


def decode_point(patient_id: str, acquired_at: datetime, name: bytes, body: bytes) -> HistoryPoint:
    """Put a point together again, of this version or an earlier one.

    Raises
    ------
    HistoryVersionError
        When the bytes are of another version, or damaged.
    """
    layout = _BODIES.get(body[0]) if body else None
    if layout is None or len(body) < layout.size or body[1] >= len(_PHENOTYPES) or not _has_whole_place(body):
        raise HistoryVersionError(
            f"the history holds points that are not of version 1 to {BODY_VERSION}; empty this Redis "
            "database and run diastole history rebuild"
        )
    _, phenotype, quality, *numbers = layout.unpack_from(body)
    probability, low, high = (_unpacked(number, _PER_PROBABILITY) for number in numbers[:3])
    heart_rate_bpm, pr_ms, qrs_ms, qtc_ms = (_unpacked(number, _PER_MEASUREMENT) for number in numbers[3:7])
    e_prime_cm_s, e_over_a = (_unpacked(number, _PER_MOTION) for number in numbers[7:] or (_NONE, _NONE))
    reasons = body[_end_of_place(body) :].decode()
    return HistoryPoint(
        patient_id=patient_id,
        ecg_id=str(uuid.UUID(bytes=name[:16])),
        bundle_version=name[16:].decode(),
        acquired_at=acquired_at,
        phenotype=_PHENOTYPES[phenotype],
        probability=probability,
        probability_low=low,
        probability_high=high,
        not_scored_reasons=tuple(reasons.split("\n")) if reasons else (),
        quality_score=quality / 100,
        heart_rate_bpm=heart_rate_bpm,
        pr_ms=pr_ms,
        qrs_ms=qrs_ms,
        qtc_ms=qtc_ms,
        e_prime_cm_s=e_prime_cm_s,
        e_over_a=e_over_a,
    )


def _packed(number: float | None, per_unit: int) -> int:
    if number is None or not math.isfinite(number):
        return _NONE
    # Clamped before it is rounded: the product of finite numbers may be infinite.
    return round(min(_NONE - 1, max(0, number * per_unit)))


def _unpacked(number: int, per_unit: int) -> float | None:
    return None if number == _NONE else number / per_unit
