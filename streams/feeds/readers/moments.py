"""Moments as sources write them: with an offset, or in a local time whose zone the site must know."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

#: YYYYMMDDHHMM[SS[.f…]][±ZZZZ]: the DT of DICOM (PS3.5 §6.2) and the TS of HL7 v3 write moments alike.
_COMPACT: Final = re.compile(r"(\d{12})(\d{2})?(?:\.(\d{1,9}))?([+-]\d{4})?", re.ASCII)

#: What ISO 8601 and FHIR write, down to the minute at least.
_EXTENDED: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)

_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})", re.ASCII)

#: The offsets DICOM allows (PS3.5 §6.2, VR DT), and the world has: UTC−12 to UTC+14.
_WEST_MOST: Final = timedelta(hours=-12)
_EAST_MOST: Final = timedelta(hours=14)


def utc_offset(text: str) -> tzinfo | None:
    """Turn ``±ZZZZ`` (hours and minutes east of UTC) into a zone; None when there is no such offset.

    >>> utc_offset("-0130").utcoffset(None)
    datetime.timedelta(days=-1, seconds=81000)
    >>> utc_offset("+9900") is None
    True
    """
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[3]) > 59:
        return None
    east = timedelta(hours=int(match[2]), minutes=int(match[3])) * (-1 if match[1] == "-" else 1)
    return timezone(east) if _WEST_MOST <= east <= _EAST_MOST else None


def parse_moment(text: str) -> datetime | None:
    """Read ``YYYYMMDDHHMM[SS[.f…]][±ZZZZ]``: aware where it carries an offset, else naive, a local time.

    Returns
    -------
    datetime or None
        None when the text is not a moment down to the minute (a mere date cannot order a patient's ECGs), or
        when its offset is none that exists.

    >>> parse_moment("20130125105919.5+0100").isoformat()
    '2013-01-25T10:59:19.500000+01:00'
    >>> parse_moment("201301251059").isoformat()
    '2013-01-25T10:59:00'
    >>> parse_moment("20130125") is None, parse_moment("201301251059+9900") is None
    (True, True)
    """
    match = _COMPACT.fullmatch(text.strip())
    if match is None:
        return None
    minutes, seconds, fraction, offset = match.groups()
    zone = utc_offset(offset) if offset else None
    if offset and zone is None:
        return None
    try:
        moment = datetime.strptime(minutes + (seconds or "00"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - zone follows
    except ValueError:
        return None
    moment = moment.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]))
    return moment.replace(tzinfo=zone)


def parse_iso_moment(text: str) -> datetime | None:
    """Read ``YYYY-MM-DDThh:mm[:ss[.f…]][Z|±hh:mm]``: aware where it carries an offset, else a local time.

    Returns
    -------
    datetime or None
        None when the text is not a moment down to the minute, or its offset is none that exists.

    >>> parse_iso_moment("2013-01-25T10:59:19.5+01:00").isoformat()
    '2013-01-25T10:59:19.500000+01:00'
    >>> parse_iso_moment("2013-01-25") is None, parse_iso_moment("2013-01-25T10:59+23:00") is None
    (True, True)
    """
    if _EXTENDED.fullmatch(text.strip()) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return None
    east = moment.utcoffset()
    return moment if east is None or _WEST_MOST <= east <= _EAST_MOST else None
