"""How wrong a cart's clock is, told from when its ECGs say they were acquired and when they came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: The newest ECGs that are looked at: a clock that is set right is seen as right after so many.
N_LOOKED_AT: Final = 10

#: Fewer say nothing of a clock that runs behind: each of them may simply have come late.
_LEAST: Final = 5

#: ECGs that all come later than this are an archive or a cart without a network; its clock is not the reason.
_MOST_BEHIND_S: Final = 12 * 3600.0

#: A recording lasts 10 s and takes some more to be sent; below this a clock is as right as one can tell.
RIGHT_WITHIN_S: Final = 120.0

#: What is off by this, within what a delivery takes, is a clock that was not put forward or back.
_HOUR_S: Final = 3600.0
_HOUR_WITHIN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from acquired to received of the newest ECGs of one source, oldest first."""

    delays_s: tuple[float, ...] = ()

    def after(self, acquired_at: datetime, received_at: datetime) -> "Delays":
        """Take one more ECG in."""
        delay_s = (received_at - acquired_at) / timedelta(seconds=1)
        return Delays((*self.delays_s, delay_s)[-N_LOOKED_AT:])

    def skew_s(self) -> float | None:
        """How far the cart's clock runs ahead; see :func:`skew_of`."""
        return skew_of(self.delays_s)


def skew_of(delays_s: Sequence[float]) -> float | None:
    """Tell how far a clock runs ahead, s; negative when it runs behind, None when nothing can be said.

    An ECG cannot be received before it is acquired: the smallest delay below zero is a clock that runs ahead,
    by at least so much. Nor can it arrive at once: a clock runs behind by no more than the smallest delay,
    and by about that when several ECGs were sent right after they were taken.

    Examples
    --------
    >>> skew_of([15.0, 320.0, 14.0, 16.0, 90.0])
    -14.0
    >>> skew_of([-3585.0])
    3585.0
    >>> skew_of([320.0]) is None
    True
    """
    if not delays_s:
        return None
    least_s = min(delays_s)
    if least_s >= 0 and (len(delays_s) < _LEAST or least_s > _MOST_BEHIND_S):
        return None
    return -least_s


def skew_words(skew_s: float | None) -> str:
    """Say it in words, and what is probably wrong where that shows.

    Examples
    --------
    >>> skew_words(3590.0)
    '1 h ahead: daylight saving time or zone?'
    >>> skew_words(-20.0), skew_words(-1500.0), skew_words(None)
    ('right', 'up to 25 min behind, or sent late', '—')
    """
    if skew_s is None:
        return "—"
    if abs(skew_s) <= RIGHT_WITHIN_S:
        return "right"
    hours = round(skew_s / _HOUR_S)
    if hours and abs(skew_s - hours * _HOUR_S) <= _HOUR_WITHIN_S:
        cause = "daylight saving time or zone?" if abs(hours) == 1 else "zone?"
        return f"{abs(hours)} h {'ahead' if skew_s > 0 else 'behind'}: {cause}"
    if skew_s > 0:
        return f"{_span(skew_s)} ahead"
    return f"up to {_span(-skew_s)} behind, or sent late"


def jump_s(before_s: float | None, after_s: float | None) -> float | None:
    """Tell a clock that was put forward (+3600) or back (-3600) between two looks; None for anything else."""
    if before_s is None or after_s is None:
        return None
    moved_s = after_s - before_s
    for hour_s in (_HOUR_S, -_HOUR_S):
        if abs(moved_s - hour_s) <= _HOUR_WITHIN_S:
            return hour_s
    return None


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR_S else f"{seconds / _HOUR_S:.0f} h"
