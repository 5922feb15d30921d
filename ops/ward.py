"""A simulated ward that publishes in real time: every bed records in turn, as carts on a round would."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from models.cohorts.simulated import Ward
from schemas.errors import ConfigurationError, RetriableError
from streams.feeds.publish import EcgPublisher
from streams.stage import UtcClock

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How a ward records.

    Attributes
    ----------
    every : timedelta
        Simulated time between two ECGs of one bed; the beds are spread evenly over it.
    lasts : timedelta or None
        Simulated time from the first to the last recording; None never ends.
    speedup : float
        Simulated seconds per second.
    """

    every: timedelta
    lasts: timedelta | None = None
    speedup: float = 1.0

    def __post_init__(self) -> None:
        if self.every <= timedelta(0) or self.speedup <= 0.0:
            raise ConfigurationError("--every and --speedup must be above 0")
        if self.lasts is None and self.speedup != 1.0:
            raise ConfigurationError(
                "--speedup needs --for: without an end, its ECGs would lie in the future"
            )


def due_times(beds: int, plan: Round) -> Iterator[tuple[int, timedelta]]:
    """Yield (bed, simulated time since the start) of every recording, in order."""
    for number in itertools.count():
        at = plan.every * number / beds
        if plan.lasts is not None and at >= plan.lasts:
            return
        yield number % beds, at


async def run_ward(
    ward: Ward,
    plan: Round,
    publisher: EcgPublisher,
    *,
    started_at: datetime,
    now: UtcClock,
    on_published: Callable[[], None],
) -> int:
    """Publish the ward's recordings when they are due and return how many.

    A broker that does not acknowledge is waited for: the ECG is sent again under the same id until it is in.

    Parameters
    ----------
    started_at : datetime
        Simulated time of the first recording.
    """
    begun_at = now()
    count = 0
    for bed, at in due_times(ward.beds, plan):
        wait_s = (at / plan.speedup - (now() - begun_at)).total_seconds()
        await asyncio.sleep(max(wait_s, 0.0))
        ecg = await asyncio.to_thread(ward.record, bed, started_at + at)
        while True:
            try:
                await publisher.publish(ecg)
                break
            except RetriableError as error:
                log.warning("ward_waits", code=error.code, reason=str(error))
                await asyncio.sleep(1.0)
        count += 1
        on_published()
    return count
