"""Writes how sources are doing to ``feed.health.v1``, and silence to ``ecg.alert.v1``."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.codec import Codec
from schemas.errors import PoisonError, RetriableError
from schemas.feed import FeedHealth
from streams.adapters.kafka_follower import open_follower
from streams.envelope import envelope
from streams.feeds.health.gauges import SourceGauges
from streams.feeds.health.watch import FeedWatch, key_bytes
from streams.feeds.producer import open_producer
from streams.feeds.publish import AcknowledgedProducer
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_ALERT, FEED_HEALTH

log = structlog.get_logger()

#: Of the reports, every so many are of all sources, changed or not: their rates age.
_WHOLE_EVERY: Final = 20

_SEND_S: Final = 10.0
_LAST_S: Final = 5.0

#: The reports of 500 sources are read in a second.
_START_S: Final = 60.0

#: A report has at most 1024 gaps of 8 bytes and some names.
_REQUEST_BYTES: Final = 2**20


class Reporter:
    """Writes what a watch says is due.

    The alarm comes before the report that remembers it: a process that is killed in between raises it again,
    under the same id.
    """

    def __init__(
        self,
        watch: FeedWatch,
        gauges: SourceGauges,
        producer: AcknowledgedProducer,
        codec: Codec,
        now: UtcClock,
    ) -> None:
        self._watch = watch
        self._gauges = gauges
        self._producer = producer
        self._codec = codec
        self._now = now

    async def report(self, *, is_whole: bool = False) -> bool:
        """Write alarms, then reports; False when Kafka did not take all of it: the rest stays due."""
        now = self._now()
        try:
            async with asyncio.timeout(_SEND_S):
                for source, alarm in self._watch.alarms(now):
                    await self._send(ECG_ALERT, alarm.source.encode(), alarm)
                    source.alarmed(alarm)
                    has_ended = alarm.ended_at is not None
                    log.warning("feed_speaks" if has_ended else "feed_silent", source=alarm.source)
                for source, health in self._watch.reports(now, is_whole=is_whole):
                    source.is_changed = False
                    self._gauges.show(health)
                    try:
                        await self._send(FEED_HEALTH, key_bytes(health), health)
                    except BaseException:
                        source.is_changed = True
                        raise
        except (KafkaError, RetriableError, TimeoutError) as error:
            # Without Kafka nothing is admitted either, so nobody can be called silent for that time.
            self._watch.was_deaf(now)
            log.warning("feed_health_waits", code=type(error).__name__, then="with the next report")
            return False
        return True

    async def run(self, every_s: float, has_news: asyncio.Event) -> None:
        """Report every so often, and at once when there is news; until cancelled."""
        n_reports = 0
        while True:
            await self.report(is_whole=n_reports % _WHOLE_EVERY == 0)
            n_reports += 1
            try:
                async with asyncio.timeout(every_s):
                    await has_news.wait()
            except TimeoutError:
                continue
            finally:
                has_news.clear()

    async def _send(self, topic: str, key: bytes, record: Any) -> None:
        headers = envelope(record, stage="feed", topic=topic, incoming=(), now=self._now())
        await self._producer.send_and_wait(
            topic, value=self._codec.encode(record), key=key, headers=list(headers)
        )


@asynccontextmanager
async def open_watch(
    feed: str,
    settings: Settings,
    feed_settings: FeedSettings,
    codec: Codec,
    now: UtcClock = utc_now,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[FeedWatch]:
    """Watch the sources of a feed while the context lasts, from where the reports say it left off.

    Parameters
    ----------
    feed : str
        The way in: ``folder``, ``dicom``, ``mllp``, ``http``.
    registry : CollectorRegistry or None
        Where the gauges of sources go.

    Raises
    ------
    ConfigurationError
        When the topic does not exist.
    TopicBehindError, BrokerUnavailableError
        When Kafka does not serve; trying again is harmless.
    """
    watch = FeedWatch(feed, now(), ZoneInfo(settings.timezone))

    def follow(message: Any) -> None:
        try:
            watch.follow(_health(codec, message.value, message.headers))
        except PoisonError as error:
            log.warning("health_unreadable", code=error.code, offset=message.offset)

    has_news = asyncio.Event()
    async with (
        open_follower(settings.kafka, FEED_HEALTH, follow, _START_S),
        open_producer(settings.kafka, max_request_bytes=_REQUEST_BYTES, budget_s=_SEND_S) as producer,
    ):
        watch.on_news = has_news.set
        reporter = Reporter(watch, SourceGauges(registry), producer, codec, now)
        reporting = asyncio.create_task(reporter.run(feed_settings.report_every_s, has_news))
        try:
            yield watch
        finally:
            reporting.cancel()
            await asyncio.wait({reporting})
            await _last(reporter)


async def _last(reporter: Reporter) -> None:
    try:
        async with asyncio.timeout(_LAST_S):
            await reporter.report()
    except TimeoutError:
        log.warning("feed_health_unwritten", then="what came since the last report is not counted")


def _health(codec: Codec, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> FeedHealth:
    return codec.decode(value or b"", FeedHealth, headers=tuple(headers))
