"""What a stage is to the runner: a verb from a batch of one record type to a batch of effects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

In_co = TypeVar("In_co", covariant=True)

#: Wall clock in UTC, passed in wherever a stage needs the time of day.
UtcClock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Received(Generic[In_co]):
    """One decoded record with where it came from.

    Attributes
    ----------
    published_at : datetime
        UTC; the Kafka timestamp of the message.
    """

    record: In_co
    published_at: datetime
    topic: str = ""
    partition: int = 0
    offset: int = 0


def utc_now() -> datetime:
    """Read the wall clock; the only place in ``streams`` that does."""
    return datetime.now(UTC)


def require_same_length(stage: str, n_in: int, out: Sequence[object]) -> None:
    """Refuse a stage result that lost or invented records.

    Raises
    ------
    AssertionError
        When the stage returned another number of results than it was given records.
    """
    if len(out) != n_in:
        raise AssertionError(f"{stage} returned {len(out)} results for {n_in} records")
