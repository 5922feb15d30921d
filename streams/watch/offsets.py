"""Whether a stage moves, from what its group has committed and what its topic holds; pure.

::

    ───────────┬────────────┬──────
     committed │   unread   │ end        still: unread records, and `committed` where it was
    ───────────┴────────────┴──────
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets:
    """Of one partition: the first record the group has not committed, and the end."""

    committed: int
    end: int

    @property
    def unread(self) -> int:
        """How many offsets are not committed."""
        return max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLook:
    """What Kafka says of one stage.

    Attributes
    ----------
    offsets : mapping of int to Offsets
        By partition of the stage's input.
    n_members : int or None
        Workers in its group; None where Kafka does not tell.
    is_settled : bool
        Whether the group has shared its partitions out and goes on; while it has not, nothing moves.
    wait_s : float
        How long the oldest record waits that was unread at the look before too, by Kafka's time of it, s.
    """

    offsets: Mapping[int, Offsets]
    n_members: int | None = None
    is_settled: bool = True
    wait_s: float = 0.0

    @property
    def unread(self) -> int:
        """How many offsets of all partitions are not committed."""
        return sum(each.unread for each in self.offsets.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A stage's movement up to a look.

    Attributes
    ----------
    at : datetime
        UTC; of the look.
    moved_at : datetime
        UTC; the last look at which it had committed something, or had nothing to.
    still : mapping of int to datetime
        For each partition with unread records, likewise of it alone.
    """

    offsets: Mapping[int, Offsets]
    at: datetime
    moved_at: datetime
    still: Mapping[int, datetime] = field(default_factory=dict)


def moved(before: Movement | None, offsets: Mapping[int, Offsets], now: datetime) -> Movement:
    """Take one look in; the first says nothing of movement yet."""
    unread = {number: each for number, each in offsets.items() if each.unread}
    has_moved = before is None or any(_has_moved(before, number, each) for number, each in offsets.items())
    return Movement(
        offsets=offsets,
        at=now,
        moved_at=now if before is None or has_moved or not unread else before.moved_at,
        still={number: _still_since(before, number, each, now) for number, each in unread.items()},
    )


def _has_moved(before: Movement, number: int, offsets: Offsets) -> bool:
    known = before.offsets.get(number)
    return known is None or known.committed != offsets.committed


def _still_since(before: Movement | None, number: int, offsets: Offsets, now: datetime) -> datetime:
    if before is None or _has_moved(before, number, offsets):
        return now
    # What was not there at the look before came after it.
    return before.still.get(number, before.at)
