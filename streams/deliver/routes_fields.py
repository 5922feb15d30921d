"""How the keys of a file of routes are read: each into what it means, or refused with its name."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, time, timedelta, tzinfo
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.alert import AlertKind, Priority
from schemas.errors import ConfigurationError
from streams.deliver.routing import SEVERITIES, ChannelKind, Hours

_LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")

#: Levels go up to 100 in the audit; nobody climbs ten.
_MOST_LEVELS: Final = 10

_Read = TypeVar("_Read")


class RoutesError(ConfigurationError):
    """The routes cannot be used; the message names the key and what it must be."""

    code = "ROUTES"


class Table:
    """A table of the file whose keys are taken one by one; what is left over is unknown."""

    def __init__(self, name: str, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise RoutesError(f"{name} must be a table; change it in the file")
        self.name, self._left = name, dict(given)

    def take(self, key: str, read: Callable[[Any], _Read], default: Any = None) -> _Read:
        """Read a key; without a default it must be there."""
        if key not in self._left and default is None:
            raise RoutesError(f"{self.name}: {key} is missing; add it")
        return at_key(f"{self.name}: {key}", read, self._left.pop(key, default))

    def maybe(self, key: str, read: Callable[[Any], _Read]) -> _Read | None:
        """Read a key that may be missing."""
        return self.take(key, read) if key in self._left else None

    def table(self, key: str) -> list[tuple[str, Any]]:
        """Return the entries of a table in this one."""
        given = self._left.pop(key, {})
        if not isinstance(given, Mapping):
            raise RoutesError(f"{key} must be a table; change it in the file")
        return list(given.items())

    def tables(self, key: str) -> list[Any]:
        """Return the entries of an array of tables."""
        given = self._left.pop(key, [])
        if not isinstance(given, list) or not given:
            raise RoutesError(f"{key} must be one or more [[{key}]] tables; add one")
        return given

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        for key in sorted(self._left):
            raise RoutesError(f"{self.name}: {key} is unknown; remove it or correct its spelling")


def at_key(where: str, read: Callable[[Any], _Read], given: Any) -> _Read:
    """Read, and say of which key what is wrong with it."""
    try:
        return read(given)
    except (TypeError, ValueError) as error:
        raise RoutesError(f"{where} {error}; change it in the file") from None


def number(given: Any, low: float, high: float) -> float:
    """Read a number between two."""
    if type(given) not in (int, float) or not low <= given <= high:
        raise ValueError(f"must be a number from {low:g} to {high:g}")
    return float(given)


def hours_long(given: Any, most: float) -> timedelta:
    """Read a span in hours."""
    return timedelta(hours=number(given, 0.01, most))


def seconds(given: Any) -> timedelta:
    """Read a span in seconds."""
    return timedelta(seconds=number(given, 1, 3600))


def text(given: Any) -> str:
    """Read a text that says something."""
    if not isinstance(given, str) or not 0 < len(given) <= 256:
        raise ValueError("must be a text of 1 to 256 characters")
    return given


def label(given: Any) -> str:
    """Read a name that may stand in a key."""
    if not isinstance(given, str) or not _LABEL.fullmatch(given):
        raise ValueError("must be 1 to 40 letters, digits, '.', '_' or '-'")
    return given


def list_of(given: Any, read: Callable[[Any], _Read]) -> tuple[_Read, ...]:
    """Read a list of one or more."""
    if not isinstance(given, list) or not given:
        raise ValueError("must be a list of one or more")
    return tuple(read(each) for each in given)


def texts(given: Any) -> tuple[str, ...]:
    """Read some texts."""
    return list_of(given, text)


def names(given: Any) -> tuple[str, ...]:
    """Read names, or none."""
    return () if given == [] else list_of(given, label)


def levels(given: Any) -> tuple[int, ...]:
    """Read levels of the ladder."""
    return tuple(
        sorted({int(level) for level in list_of(given, partial(number, low=0, high=_MOST_LEVELS - 1))})
    )


def severities(given: Any) -> tuple[Priority, ...]:
    """Read severities of alerts."""
    if not isinstance(given, list) or not given or not set(given) <= set(SEVERITIES):
        raise ValueError("must list HIGH, MEDIUM or both")
    return tuple(Priority(each) for each in given)


def kinds(given: Any) -> tuple[AlertKind, ...]:
    """Read kinds of alerts."""
    known = set(AlertKind) - {AlertKind.UNKNOWN}
    if not isinstance(given, list) or not set(given) <= known:
        raise ValueError(f"must list some of {', '.join(sorted(known))}")
    return tuple(AlertKind(each) for each in given)


def zone(given: Any) -> tzinfo:
    """Read a time zone."""
    try:
        return UTC if given == "UTC" else ZoneInfo(text(given))
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError("must be a time zone such as Europe/Rome") from None


def hours(given: Any) -> Hours:
    """Read a part of the day."""
    found = _HOURS.fullmatch(given) if isinstance(given, str) else None
    if found is None or given[:5] == given[6:]:
        raise ValueError("must be hours such as 07:00-19:00; leave it out for the whole day")
    since_h, since_min, until_h, until_min = map(int, found.groups())
    return Hours(since=time(since_h, since_min), until=time(until_h, until_min))


def rungs(given: Any) -> tuple[timedelta, ...]:
    """Read the minutes of a ladder."""
    after = list_of(given, partial(number, low=0, high=24 * 60))
    rises = all(first < second for first, second in pairwise(after))
    if after[0] != 0 or not rises or len(after) > _MOST_LEVELS:
        raise ValueError(f"must be minutes that start at 0 and rise, {_MOST_LEVELS} at most")
    return tuple(timedelta(minutes=each) for each in after)


def channel_kind(given: Any) -> ChannelKind:
    """Read the kind of a channel."""
    if given not in set(ChannelKind):
        raise ValueError(f"must be one of {', '.join(ChannelKind)}")
    return ChannelKind(given)


def address(given: Any) -> str:
    """Read an address that holds no secret."""
    if given == "":
        return ""
    if "@" in urlsplit(text(given)).netloc:
        raise ValueError("holds a name or a password; give them with secret_file or target_file")
    return str(given)


def path_in(given: Any, folder: Path) -> Path:
    """Read a path, taken from the file's folder."""
    return folder / Path(text(given)).expanduser()
