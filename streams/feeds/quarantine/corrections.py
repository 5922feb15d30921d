"""What a person corrects of a delivery in quarantine: checked, written down, and put over what it says."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from schemas.errors import InvalidRecordError, PoisonError
from schemas.invariants import require_patient, require_text
from streams.feeds.admission import Correction
from streams.feeds.quarantine.packing import zone_named
from streams.feeds.readers.options import ReadOptions

PATIENT_ID: Final = "patient_id"
TIMEZONE: Final = "timezone"
ACQUIRED_AT: Final = "acquired_at"
WARD_ID: Final = "ward_id"
SITE_ID: Final = "site_id"

#: What can be corrected. A zone is that of times in the file that carry none; the others win over the file.
FIELDS: Final = (PATIENT_ID, TIMEZONE, ACQUIRED_AT, WARD_ID, SITE_ID)


class CorrectionError(PoisonError):
    """A correction that cannot be applied; the message names field and rule, never what was given."""

    code = "CORRECTION"


def checked(correction: Correction) -> dict[str, str]:
    """Return what a correction says, stripped, if all of it can be applied.

    Raises
    ------
    CorrectionError
        When it says nothing, or something that no ECG can have.
    """
    unknown = sorted(set(correction) - set(FIELDS))
    if unknown:
        raise CorrectionError(
            f"{len(unknown)} fields cannot be corrected; those that can: {', '.join(FIELDS)}"
        )
    given = {field: correction[field].strip() for field in FIELDS if correction.get(field, "").strip()}
    if not given:
        raise CorrectionError(f"it corrects nothing; give one of {', '.join(FIELDS)}")
    try:
        if PATIENT_ID in given:
            require_patient(given[PATIENT_ID])
        for field in (WARD_ID, SITE_ID):
            require_text(field, given.get(field, ""))
    except InvalidRecordError as error:
        raise CorrectionError(str(error)) from None
    _require_zone(given.get(TIMEZONE))
    _require_moment(given.get(ACQUIRED_AT))
    return given


def merged(corrections: Iterable[Correction]) -> dict[str, str]:
    """Put corrections over each other, the newest last: of each field the last word counts."""
    whole: dict[str, str] = {}
    for correction in corrections:
        whole |= correction
    return whole


def corrected(options: ReadOptions, correction: Correction) -> ReadOptions:
    """Put a checked correction over what the way in said; the same again gives the same."""
    given: dict[str, Any] = {field: correction[field] for field in (WARD_ID, SITE_ID) if field in correction}
    if PATIENT_ID in correction:
        given["corrected_patient_id"] = correction[PATIENT_ID]
    if TIMEZONE in correction:
        given["timezone"] = zone_named(correction[TIMEZONE])
    if ACQUIRED_AT in correction:
        moment = datetime.fromisoformat(correction[ACQUIRED_AT])
        zone = given.get("timezone", options.timezone)
        given["corrected_acquired_at"] = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return replace(options, **given)


def written(correction: Correction) -> bytes:
    """Write a correction as the JSON of its act."""
    return json.dumps(dict(correction), sort_keys=True, ensure_ascii=False).encode()


def read_back(text: bytes) -> Correction:
    """Undo :func:`written`.

    Raises
    ------
    CorrectionError
        When it is not one of ours.
    """
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if not isinstance(plain, Mapping):
        raise CorrectionError("what was corrected cannot be read back; correct it again")
    return checked(plain)


def _require_zone(name: str | None) -> None:
    if name is None:
        return
    try:
        zone_named(name)
    except (ValueError, LookupError, OSError):
        raise CorrectionError(f"{TIMEZONE} must be a zone such as Europe/Rome or UTC") from None


def _require_moment(text: str | None) -> None:
    if text is None:
        return
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise CorrectionError(f"{ACQUIRED_AT} must be written like 2026-01-31T08:15:00+01:00") from None
