"""What the operator adds to what a file says."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from schemas.recorded import Urgency
from streams.feeds.refusal import FeedRefusedError

#: YYYYMMDDHHMM[SS[.f…]][±ZZZZ]: the DT of DICOM (PS3.5 §6.2) and the TS of HL7 v3 write moments alike.
_COMPACT: Final = re.compile(r"(\d{12})(\d{2})?(?:\.(\d{1,9}))?([+-]\d{4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What to assume where the file is silent; what the file says wins.

    Attributes
    ----------
    timezone : tzinfo
        Zone of local times in the file that carry no offset. UTC unless said otherwise, which is stated
        in the command's help because most carts write local time.
    acquired_at : datetime or None
        Aware; start of the recording, for files that give none.
    patient_id : str
        For files that name no patient; empty when unknown.
    urgency : Urgency
        What the sender says of the whole batch of files.
    """

    timezone: tzinfo = field(default=UTC)
    acquired_at: datetime | None = None
    patient_id: str = ""
    site_id: str = ""
    ward_id: str = ""
    urgency: Urgency = Urgency.ROUTINE


def utc_offset(text: str) -> tzinfo:
    """Turn ``±ZZZZ`` (hours and minutes east of UTC) into a zone.

    >>> utc_offset("-0130").utcoffset(None)
    datetime.timedelta(days=-1, seconds=81000)
    """
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5])))


def parse_moment(text: str, zone: tzinfo) -> datetime | None:
    """Read ``YYYYMMDDHHMM[SS[.f…]][±ZZZZ]`` as UTC; ``zone`` counts only where the text has no offset.

    Returns
    -------
    datetime or None
        None when the text is not a moment down to the minute: a mere date cannot order a patient's ECGs.

    >>> from datetime import UTC
    >>> parse_moment("20130125105919.5+0100", UTC).isoformat()
    '2013-01-25T09:59:19.500000+00:00'
    >>> parse_moment("20130125", UTC) is None
    True
    """
    match = _COMPACT.fullmatch(text.strip())
    if match is None:
        return None
    minutes, seconds, fraction, offset = match.groups()
    try:
        moment = datetime.strptime(minutes + (seconds or "00"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - zone follows
    except ValueError:
        return None
    moment += timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    return moment.replace(tzinfo=utc_offset(offset) if offset else zone).astimezone(UTC)


def require_acquired_at(found: datetime | None, options: ReadOptions) -> datetime:
    """Return the start of the recording in UTC, from the file or else from the options.

    Raises
    ------
    FeedRefusedError
        When neither gives one.
    """
    moment = found or options.acquired_at
    if moment is None:
        raise FeedRefusedError(
            "the file does not say when the ECG was acquired; "
            "give it with --acquired-at 2026-01-31T08:15:00+01:00"
        )
    return moment.astimezone(UTC)


def require_patient_id(found: str, options: ReadOptions) -> str:
    """Return the patient identifier, from the file or else from the options.

    Raises
    ------
    FeedRefusedError
        When neither gives one; an ECG is never filed under a made-up patient.
    """
    patient_id = found.strip() or options.patient_id.strip()
    if not patient_id:
        raise FeedRefusedError("the file names no patient; give the site's identifier with --patient-id")
    return patient_id
