"""Where a time axis carries ticks, and what stands at them, in the reader's zone."""

from datetime import datetime, timedelta, tzinfo
from typing import Final

#: Steps people count in; the longest serves twenty years.
_STEPS: Final = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=28),
    timedelta(days=91),
    timedelta(days=182),
    timedelta(days=364),
    timedelta(days=1820),
)
_DAY: Final = timedelta(days=1)


def time_ticks(since: datetime, until: datetime, most: int, zone: tzinfo) -> list[tuple[datetime, str]]:
    """Choose at most ``most`` ticks between two instants, at whole steps of the local clock.

    Returns
    -------
    list of (datetime, str)
        Aware, in ``zone``, with the label: the hour below a day, else the date.

    >>> from datetime import UTC
    >>> ticks = time_ticks(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC), 5, UTC)
    >>> [label for _, label in ticks]
    ['1 Mar', '3 Mar', '5 Mar', '7 Mar']
    """
    step = next((each for each in _STEPS if (until - since) // each < most), _STEPS[-1])
    # Local midnight, stepped on the wall clock: a tick stays at midnight when summer time begins.
    wall = since.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    ticks = []
    while (at := wall.replace(tzinfo=zone)) <= until:
        if at >= since:
            ticks.append((at, _label(wall, step, until - since)))
        wall += step
    return ticks[:most]


def _label(wall: datetime, step: timedelta, span: timedelta) -> str:
    if step < _DAY and (wall.hour or wall.minute):
        return f"{wall:%H:%M}"
    day = f"{wall.day} {wall:%b}"
    return f"{day} {wall:%Y}" if span > timedelta(days=400) else day
