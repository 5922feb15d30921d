"""Durations as people write them: ``10s``, ``5m``, ``8h``, ``3d``."""

import re
from datetime import timedelta
from typing import Final

from schemas.errors import ConfigurationError

_UNITS: Final = {
    "ms": "milliseconds",
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises
    ------
    ConfigurationError
        When it is none.

    >>> parse_duration("1.5h")
    datetime.timedelta(seconds=5400)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"{text} is no duration; write it like 500ms, 10s, 5m, 8h, 3d or 2w")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})
