"""When a source's silence is none of its rhythm: when more ECGs were due than it ever left out before.

::

    arrivals remembered   │  │   │ │      │   │  │       one in 15 minutes at most, of up to four weeks
    due in an hour        how many came at this hour on such days (weekdays, Saturdays, Sundays)
    a gap, in due ECGs    what was due while it lasted: nights and weekends of a clinic count nothing
    silence               a gap of more than twice what 99 of 100 earlier ones were, and of an hour at least

A cart that is switched off at six has nothing due until the morning; one that stands still at noon has two an
hour. Counting what was due makes one kind of gap of both, so that a few hundred of them say what is usual.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Final

from schemas.feed import MAX_GAPS

#: Arrivals closer than this to the one before are not remembered, so that a folder of a thousand files does
#: not push the rhythm out: 96 a day, of which 1024 are ten days, one weekend at least.
RESOLUTION_S: Final = 15 * 60.0

#: A shorter silence is nobody's matter: a technician has a coffee.
LEAST_SILENCE_S: Final = 3600.0

#: Of ECGs that come by chance, 99 of 100 gaps have less than 4.6 due; twice that is exceeded once in 10 000
#: gaps: one to five false alarms in a year of a simulated clinic, ward, emergency department or hospital.
#: What comes regularly varies less and is missed sooner.
_FACTOR: Final = 2.0
_USUAL: Final = 0.99

#: So few missing ECGs are no silence, however regular the source.
_LEAST_DUE: Final = 3.0

#: Without a whole week nothing is known of weekends, and with few gaps nothing of chance.
_LEAST_S: Final = 7.5 * 86_400
_LEAST_GAPS: Final = 30

#: Older arrivals say how the source was, not how it is.
MEMORY_S: Final = 28 * 86_400.0

_HOUR_S: Final = 3600.0
_HORIZON_S: Final = 14 * 86_400.0
_SATURDAY: Final = 5

#: Kind of day (4: weekday, 5, 6), hour.
_Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Arrivals of one source, thinned; see the picture above.

    Attributes
    ----------
    remembered_s : tuple of float
        Unix times, ascending, at least :data:`RESOLUTION_S` apart.
    last_s : float
        Unix time of the last arrival, remembered or not.
    """

    remembered_s: tuple[float, ...]
    last_s: float

    def after(self, arrival: datetime) -> "Rhythm":
        """Take one more arrival in; one that is older than the last changes nothing."""
        at_s = arrival.timestamp()
        if at_s <= self.last_s:
            return self
        if at_s - self.remembered_s[-1] < RESOLUTION_S:
            return Rhythm(remembered_s=self.remembered_s, last_s=at_s)
        kept = (*self.remembered_s, at_s)[-MAX_GAPS:]
        return Rhythm(remembered_s=kept[bisect_left(kept, at_s - MEMORY_S) :], last_s=at_s)

    def gaps_s(self) -> tuple[float, ...]:
        """Gaps between remembered arrivals, and the one from there to the last arrival, which may be 0."""
        pairs = zip(self.remembered_s, self.remembered_s[1:], strict=False)
        return (*(later - earlier for earlier, later in pairs), self.last_s - self.remembered_s[-1])


def begin(arrival: datetime) -> Rhythm:
    """Rhythm of a source that spoke for the first time."""
    return Rhythm(remembered_s=(arrival.timestamp(),), last_s=arrival.timestamp())


def restored(last_received_at: datetime, gaps_s: Sequence[float]) -> Rhythm:
    """Undo :meth:`Rhythm.gaps_s`."""
    at_s = last_received_at.timestamp()
    times = [at_s]
    for gap_s in reversed(gaps_s):
        at_s -= gap_s
        times.append(at_s)
    remembered = tuple(reversed(times[1:])) or (at_s,)
    return Rhythm(remembered_s=remembered, last_s=times[0])


def silent_after_s(rhythm: Rhythm, zone: tzinfo = UTC) -> float | None:
    """How long after the last arrival the source is silent against its rhythm, s.

    Parameters
    ----------
    zone : tzinfo
        Of the clock by which the people live who record the ECGs: days, hours and weekends are counted by it.

    Returns
    -------
    float or None
        None while less than a week or too few arrivals are remembered, or when too little is due within two
        weeks.
    """
    times = rhythm.remembered_s
    if len(times) <= _LEAST_GAPS or rhythm.last_s - times[0] < _LEAST_S:
        return None
    rates = _due_per_s(times, rhythm.last_s, zone)
    most_due = max(_LEAST_DUE, _FACTOR * _usual_due(times, rates, zone))
    due = 0.0
    for from_s, to_s, cell in _hours(rhythm.last_s, rhythm.last_s + _HORIZON_S, zone):
        rate = rates.get(cell, 0.0)
        if due + rate * (to_s - from_s) >= most_due:
            silent_s = from_s + (most_due - due) / rate
            return max(LEAST_SILENCE_S, silent_s - rhythm.last_s)
        due += rate * (to_s - from_s)
    return None


def _due_per_s(times: Sequence[float], last_s: float, zone: tzinfo) -> dict[_Cell, float]:
    """Arrivals a second at each hour of each kind of day, over all that is remembered."""
    spent_s: defaultdict[_Cell, float] = defaultdict(float)
    arrived: defaultdict[_Cell, int] = defaultdict(int)
    for from_s, to_s, cell in _hours(times[0], last_s, zone):
        spent_s[cell] += to_s - from_s
        arrived[cell] += bisect_left(times, to_s) - bisect_left(times, from_s)
    return {cell: arrived[cell] / spent for cell, spent in spent_s.items()}


def _usual_due(times: Sequence[float], rates: dict[_Cell, float], zone: tzinfo) -> float:
    """Count what was due in 99 of 100 gaps, the largest left out: it may have been an outage."""
    passed = [0.0]
    edges = [times[0]]
    for from_s, to_s, cell in _hours(times[0], times[-1], zone):
        edges.append(to_s)
        passed.append(passed[-1] + rates[cell] * (to_s - from_s))

    def due_until(at_s: float) -> float:
        place = max(1, bisect_left(edges, at_s))
        part = (at_s - edges[place - 1]) / (edges[place] - edges[place - 1])
        return passed[place - 1] + part * (passed[place] - passed[place - 1])

    dues = sorted(due_until(later) - due_until(earlier) for earlier, later in pairwise(times))
    return dues[min(math.ceil(_USUAL * len(dues)) - 1, len(dues) - 2)]


def _hours(from_s: float, to_s: float, zone: tzinfo) -> Iterator[tuple[float, float, _Cell]]:
    """Cut a span at full hours: begin, end, and which hour of which kind of day it is."""
    while from_s < to_s:
        hour = int(from_s // _HOUR_S)
        until_s = min(to_s, (hour + 1) * _HOUR_S)
        yield from_s, until_s, _cell(hour, zone)
        from_s = until_s


@lru_cache(maxsize=4096)  # six weeks of a few zones: the same hours are asked about again and again
def _cell(hour: int, zone: tzinfo) -> _Cell:
    here = datetime.fromtimestamp(hour * _HOUR_S, zone)
    return max(_SATURDAY - 1, here.weekday()), here.hour
