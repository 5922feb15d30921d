"""Small checks the records make on themselves when they are built.

Each raises :class:`~schemas.errors.InvalidRecordError` naming the field and the rule, never the value: what
is in a record is about a patient, and messages end in logs and headers.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import InvalidRecordError

#: Canonical text form of a UUID (RFC 9562 §4), lower case, so that equal ids are equal strings.
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: Years a recording can be of. Far ends are parse errors of a feed, and break arithmetic on times later on.
_YEARS: Final = range(1900, 2201)

_NO_OFFSET: Final = timedelta(0)

MAX_NAME_CHARS: Final = 256
MAX_TEXT_CHARS: Final = 10_000
MAX_AGE_YEARS: Final = 130


def require(holds: bool, field: str, rule: str) -> None:
    """Refuse the record unless ``holds``."""
    if not holds:
        raise InvalidRecordError(f"{field} {rule}")


def require_uuid(field: str, text: str | None) -> None:
    """Refuse all but the canonical text of a UUID; None is an id that is not there."""
    if text is not None and not _UUID.fullmatch(text):
        raise InvalidRecordError(f"{field} must be a UUID in lower case with hyphens")


def require_utc(field: str, at: datetime | None) -> None:
    """Refuse a time that is naive, in another zone than UTC, or absurd."""
    if at is None:
        return
    if at.utcoffset() != _NO_OFFSET:
        raise InvalidRecordError(f"{field} must be aware and in UTC")
    if at.year not in _YEARS:
        raise InvalidRecordError(f"{field} must lie in the years {_YEARS[0]} to {_YEARS[-1]}")


def require_number(field: str, number: float | None, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuse NaN, infinities, numpy scalars Avro cannot carry, and what lies outside [low, high]."""
    if number is None:
        return
    if not isinstance(number, (float, int)) or not math.isfinite(number):
        raise InvalidRecordError(f"{field} must be a finite Python number")
    if not low <= number <= high:
        raise InvalidRecordError(f"{field} must lie in [{low:g}, {high:g}]")


def require_text(field: str, text: str, max_chars: int = MAX_NAME_CHARS, min_chars: int = 0) -> None:
    """Refuse a text that is too short, too long, or cannot be written as UTF-8."""
    if not min_chars <= len(text) <= max_chars:
        raise InvalidRecordError(f"{field} must have {min_chars} to {max_chars} characters")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidRecordError(f"{field} must not hold surrogates")


def require_texts(record: Any, fields: Sequence[str]) -> None:
    """Refuse the record if one of its short texts is too long or cannot be written as UTF-8."""
    for field in fields:
        require_text(field, getattr(record, field))


def require_codes(field: str, codes: Sequence[str], max_codes: int = 256) -> None:
    """Refuse a list of codes that is too long or holds an empty or overlong one."""
    require(len(codes) <= max_codes, field, f"must have at most {max_codes} entries")
    for code in codes:
        require_text(field, code, min_chars=1)


def require_patient(patient_id: str) -> None:
    """Refuse a patient identifier that is empty, overlong or not printable."""
    require_text("patient_id", patient_id, max_chars=128, min_chars=1)
    require(patient_id.isprintable() and not patient_id.isspace(), "patient_id", "must be printable")


def freeze_array(
    record: Any, field: str, dtype: type[np.generic], shape: tuple[int, ...] | None = None
) -> None:
    """Check the array in ``field`` and replace it by a read-only view of it.

    The view shares memory: whoever built the record hands the array over and writes to it no more.
    """
    array: npt.NDArray[Any] | None = getattr(record, field)
    if array is None:
        return
    require(
        isinstance(array, np.ndarray) and array.dtype == dtype, field, f"must be a {dtype.__name__} array"
    )
    require(shape is None or array.shape == shape, field, f"must have the shape {shape}")
    if array.flags.writeable:
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(record, field, view)  # the record is frozen for everybody else
