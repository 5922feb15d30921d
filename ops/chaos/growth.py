"""Does something grow? A slope that neither a restart nor a bump can fake.

A process that is started again begins anew, so only samples of one life are compared, and only those after
its warm-up. All pairs of them, of all lives, vote with their slope; the median is the answer (Theil and Sen).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

#: A worker meets its last batch shape and fills its buffers some minutes after it began, s: infer was seen to
#: take 20 MB more in its second and third minute.
WARM_UP_S: Final = 300.0

#: Two samples nearer than this say more about the allocator than about growth, s.
_LEAST_APART_S: Final = 120.0

#: In an hour, of what there is: more than this is growth. 10 % of a worker's 300 MB an hour fills 4 GB of a
#: node in five days, which an operator would see; noise of the allocator is 1 to 3 %.
_MOST_SHARE_AN_HOUR: Final = 0.10
#: Without regard to what there is: two handles, two threads, 20 MB.
_LEAST_GROWTH: Final = {"rss_mb": 20.0, "handles": 4.0, "threads": 2.0}
#: At least this share of pairs rises: without a trend half of them do.
_STEADY: Final = 0.75
#: Pairs taken of one life: more change the median by nothing.
_MOST_SAMPLES: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number of one process at one moment.

    Attributes
    ----------
    life : str
        Which process it is, over restarts of its name.
    at_s : float
        Since the soak began.
    age_s : float
        Since the process began.
    """

    life: str
    at_s: float
    age_s: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What the readings of one kind say.

    Attributes
    ----------
    per_hour : float or None
        Median slope; None when no process lived long enough to say.
    share_rising : float
        Of the pairs.
    longest_s : float
        The longest life that was judged, after its warm-up.
    """

    what: str
    typical: float
    per_hour: float | None
    share_rising: float
    longest_s: float

    @property
    def grows(self) -> bool:
        """Whether it does, steeply and steadily."""
        if self.per_hour is None or self.share_rising < _STEADY:
            return False
        least = _LEAST_GROWTH.get(self.what, 0.0)
        return self.per_hour > max(least, _MOST_SHARE_AN_HOUR * self.typical)


def growth(what: str, readings: Iterable[Reading], warm_up_s: float = WARM_UP_S) -> Growth:
    """Judge readings of one kind, such as the memory of all workers of a stage."""
    lives: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.age_s >= warm_up_s:
            lives[reading.life].append(reading)
    slopes = [slope for life in lives.values() for slope in _slopes(_thinned(life))]
    amounts = [reading.amount for life in lives.values() for reading in life]
    spans = [life[-1].at_s - life[0].at_s for life in lives.values()]
    return Growth(
        what=what,
        typical=median(amounts) if amounts else 0.0,
        per_hour=3600.0 * median(slopes) if slopes else None,
        share_rising=sum(slope > 0 for slope in slopes) / len(slopes) if slopes else 0.0,
        longest_s=max(spans, default=0.0),
    )


def _thinned(life: list[Reading]) -> list[Reading]:
    step = max(1, len(life) // _MOST_SAMPLES)
    return life[::step]


def _slopes(life: list[Reading]) -> list[float]:
    return [
        (later.amount - earlier.amount) / (later.at_s - earlier.at_s)
        for earlier, later in combinations(life, 2)
        if later.at_s - earlier.at_s >= _LEAST_APART_S
    ]
