"""The gateway of one feed, put together: readers, names, the log of what is there, quarantine, health."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, NoReturn, TypeVar

import structlog

from schemas.errors import RetriableError
from schemas.recorded import EcgRecorded
from streams.assembly import build_codec
from streams.feeds.feed_metrics import FeedMetrics
from streams.feeds.gateway import Gateway, Ports
from streams.feeds.health.report import open_watch
from streams.feeds.identity.names import Names, open_names
from streams.feeds.plausibility import remarks, require_plausible_time
from streams.feeds.publish import open_publisher
from streams.feeds.quarantine.keeper import Keeper, open_keeper
from streams.feeds.quarantine.opening import sealer_of
from streams.feeds.reading import open_reading
from streams.feeds.repeats import RepeatsIndex, open_repeats
from streams.feeds.settings import FeedSettings
from streams.health import Health, serve_health
from streams.settings import Settings
from streams.stage import UtcClock, utc_now

T = TypeVar("T")
log = structlog.get_logger()

#: While the log is caught up with, how often it is said how far, s.
_SAY_EVERY_S: Final = 5.0


class OpenGateway(Gateway):
    """A gateway connected to everything, with what some ways in need beside :meth:`~.Gateway.admit`.

    Attributes
    ----------
    names : Names
        Also takes merges of patients.
    keeper : Keeper
        Also holds the store of the quarantine.
    health : callable
        What the feed says of itself.
    """

    names: Names
    keeper: Keeper
    health: Callable[[], Health]
    repeats: RepeatsIndex

    async def until_over(self) -> NoReturn:
        """Wait, and raise once nothing more can be admitted; only a fresh process helps then.

        Raises
        ------
        RetriableError
            When others' ECGs are not learnt of any more.
        """
        await self.repeats.until_over()


@asynccontextmanager
async def open_gateway(
    feed: str, settings: Settings, feed_settings: FeedSettings, now: UtcClock = utc_now
) -> AsyncIterator[OpenGateway]:
    """Open the gateway of one way in; leaving the context ends what is on its way, within the drain budget.

    Kafka is waited for, with one line that says what to do; so is reading what was published since the last
    time. Then ``feed_ready`` is logged, and deliveries can be admitted. Where ``DIASTOLE_METRICS_PORT`` is
    set, health and metrics are served there from the beginning on.

    Parameters
    ----------
    feed : str
        The way in: ``folder``, ``dicom``, ``mllp``, ``http``; also its folder below ``DIASTOLE_HOME``.

    Raises
    ------
    ConfigurationError
        When waiting will not help: a topic is missing (make it with ``diastole topics apply``), a setting is
        wrong.
    """
    metrics, status = FeedMetrics(feed), _Status(feed)
    async with AsyncExitStack() as stack:
        await _serve_health(stack, settings, metrics, status)
        opened = _Opening(stack, status, settings)
        codec = build_codec(settings)
        reads = await stack.enter_async_context(open_reading(feed_settings.readers, feed_settings.limits()))
        publishes = await opened.once_there(lambda: open_publisher(settings.kafka, codec, now, within_s=None))
        names = await opened.once_there(lambda: open_names(settings, feed_settings, codec, now))
        keeper = await opened.once_there(
            lambda: open_keeper(
                settings.kafka, codec, sealer_of(feed_settings), now, within_s=feed_settings.ack_budget_s
            )
        )
        repeats = await opened.once_there(
            lambda: open_repeats(
                settings.kafka,
                codec,
                settings.home / "feeds" / feed,
                timedelta(hours=feed_settings.repeat_window_h),
                on_progress=_saying(feed),
                now=now,
            )
        )
        watch = await opened.once_there(
            lambda: open_watch(feed, settings, feed_settings, codec, now, metrics.registry)
        )
        ports = Ports(
            reads=reads,
            judges=_judged,
            names=names,
            repeats=repeats,
            publishes=publishes,
            keeps=keeper,
            watches=watch,
        )
        gateway = OpenGateway(ports, metrics, ack_budget_s=feed_settings.ack_budget_s, now=now)
        gateway.names, gateway.keeper = names, keeper
        gateway.repeats, gateway.health = repeats, status.health
        status.gateway, status.repeats = gateway, repeats
        log.info("feed_ready", feed=feed, broker=settings.broker, idempotent=publishes.is_idempotent)
        try:
            yield gateway
        finally:
            is_drained = await gateway.drain(settings.drain_budget_s)
            log.info("drained" if is_drained else "drain_incomplete", feed=feed, left=gateway.n_in_flight)
            await gateway.abandon()


class _Status:
    """What the feed says of itself while it opens and runs."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self.gateway: Gateway | None = None
        self.repeats: RepeatsIndex | None = None
        self.held_up_by: str | None = None

    def health(self) -> Health:
        gateway = self.gateway
        return Health(
            stage=f"feed-{self._feed}",
            assigned=gateway is not None,
            held_up_by=self.held_up_by or (self.repeats.held_up_by if self.repeats is not None else None),
            in_flight=gateway.n_in_flight if gateway is not None else 0,
            idle_s=0.0,
            stalled=self.repeats is not None and not self.repeats.is_following,
        )


class _Opening:
    """Opens one thing after the other, waiting for those that are not there yet."""

    def __init__(self, stack: AsyncExitStack, status: _Status, settings: Settings) -> None:
        self._stack = stack
        self._status = status
        self._first_s = settings.retry_first_s
        self._most_s = settings.retry_most_s

    async def once_there(self, build: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        pause_s = self._first_s
        while True:
            try:
                opened = await self._stack.enter_async_context(build())
            except RetriableError as error:
                if self._status.held_up_by != error.code:
                    log.warning("held_up", code=error.code, reason=str(error), then="trying again")
                self._status.held_up_by = error.code
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._most_s)
            else:
                self._status.held_up_by = None
                return opened


def _judged(ecg: EcgRecorded, now: datetime) -> tuple[str, ...]:
    """Judge what depends on the hour; the waveform was judged where it was read."""
    require_plausible_time(ecg.acquired_at, now)
    return remarks(ecg, now)


def _saying(feed: str) -> Callable[[int, int], None]:
    """Log how far catching up is, now and then."""
    clock = asyncio.get_running_loop().time
    say_at = clock() + _SAY_EVERY_S

    def say(read: int, due: int) -> None:
        nonlocal say_at
        if clock() >= say_at:
            say_at = clock() + _SAY_EVERY_S
            log.info("reading_what_is_there", feed=feed, read=read, due=due)

    return say


async def _serve_health(
    stack: AsyncExitStack, settings: Settings, metrics: FeedMetrics, status: _Status
) -> None:
    if settings.metrics_port is None:
        return
    server = await serve_health(settings.metrics_host, settings.metrics_port, status.health, metrics.registry)
    stack.callback(server.close)
    port = server.sockets[0].getsockname()[1]
    log.info("health_served", stage=status.health().stage, host=settings.metrics_host, port=port)
