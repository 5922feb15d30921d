"""What a stage is to the runner: a verb from a batch of one record type to a batch of results.

A stage holds no I/O. Where its results go (a topic, a cache, a memory) is said here and done by the runner.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from schemas.recorded import Urgency

In_co = TypeVar("In_co", covariant=True)
In = TypeVar("In")

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


#: One result per record, in order; an exception in place of a result dead-letters that record alone.
Work = Callable[[Sequence[Received[Any]]], Sequence[object]]

#: Put results where they belong outside Kafka; must be idempotent, may raise RetriableError.
Effect = Callable[[Sequence[Any]], Awaitable[None]]

#: From a patient's state before (None: never seen) and one record to the state after and what to publish.
Decide = Callable[[bytes | None, Received[Any]], tuple[bytes, Sequence[object]]]


async def _nothing_to_do() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What a stage scores with, for its health: no part of its work.

    Attributes
    ----------
    device : str
        ``cpu``, or the CUDA device with its name.
    """

    device: str = "cpu"
    bundle_version: str = ""
    bundle_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[In]):
    """One verb and what the runner must know of it. Give exactly one of ``work`` and ``decide``.

    Attributes
    ----------
    name : str
        Its row in :data:`streams.topology.ROUTES`; also consumer group and metrics label.
    reads : type
        The record type it decodes.
    work : callable or None
        Of a stage without memory. Called in the worker's device thread with up to ``batch_max_items``
        records; may be called again with the same ones, or with parts of them when one of them raises.
    decide : callable or None
        Of a stage with memory per patient: called record by record in partition order. It must be pure:
        after a crash it is called again from the state before.
    effect : callable or None
        Awaited with the results of a batch, dead ones left out, before its records are acknowledged.
    beside : callable or None
        Awaited beside the work, from the first batch until it is cancelled at the end: what the stage looks
        after. It must not return, and what it raises ends the worker.
    start, stop : callable
        Awaited before the first and after the last batch: warming up, checking and closing what the stage
        needs. ``start`` may raise RetriableError (tried again) or ConfigurationError (the worker gives up).
    scoring : Scoring
        Device, and bundle where it has one.
    """

    name: str
    reads: type[In]
    work: Work | None = None
    decide: Decide | None = None
    effect: Effect | None = None
    beside: Callable[[], Awaitable[None]] | None = None
    start: Callable[[], Awaitable[None]] = _nothing_to_do
    stop: Callable[[], Awaitable[None]] = _nothing_to_do
    scoring: Scoring = Scoring()

    def __post_init__(self) -> None:
        """Refuse a stage that has both verbs or none."""
        if (self.work is None) == (self.decide is None):
            raise ValueError(f"stage {self.name} needs exactly one of work and decide")


def is_urgent(record: object) -> bool:
    """Whether a record asks to be scored before routine ones."""
    return getattr(record, "urgency", None) is Urgency.STAT


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
