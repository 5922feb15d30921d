"""Keeps count of what each source of one feed delivers; implements :class:`streams.feeds.ports.WatchesFeeds`.

Decides and remembers only. What is due is handed to :mod:`streams.feeds.health.report`, which writes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

import structlog

from schemas.alert import TechnicalAlarm
from schemas.feed import FeedHealth
from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Delivery, Origin
from streams.feeds.health.source import SourceKey, WatchedSource, key_of, restored, text_of
from streams.metrics import OTHER

log = structlog.get_logger()

#: Sources told apart. A hospital has some hundred carts; whoever sends under ever new names is one source.
MOST_SOURCES: Final = 500


def _nobody_waits() -> None:
    return None


class FeedWatch:
    """The sources of one feed.

    Parameters
    ----------
    feed : str
        The way in; sources of other feeds are left to theirs.
    watched_since : datetime
        UTC; when this process began to listen.
    zone : tzinfo
        By which the hours of a day and weekends are counted.
    """

    def __init__(self, feed: str, watched_since: datetime, zone: tzinfo = UTC) -> None:
        self._feed = feed
        self._watched_since = watched_since
        self._zone = zone
        self._sources: dict[SourceKey, WatchedSource] = {}
        #: Called when something should be told at once; set by who tells it.
        self.on_news: Callable[[], None] = _nobody_waits

    def note(self, delivery: Delivery, admission: Admission, ecg: EcgRecorded | None) -> None:
        """Count one delivery, accepted or not. Never raises: nothing about counting may cost an ECG."""
        source = self._source(delivery.origin)
        jump_s = source.note(delivery.received_at, admission, ecg)
        if jump_s is not None:
            log.warning("clock_jumped", feed=self._feed, source=source.key[1], by_s=jump_s)
        if source.spoke_at is not None:
            self.on_news()

    def follow(self, health: FeedHealth) -> None:
        """Take in a report: of this feed before its restart, or of another process of the same feed.

        A source that both receive is counted by whoever reported last; its silence is judged by what came to
        either of them.
        """
        if health.feed != self._feed:
            return
        key = (health.feed, health.source, health.site_id)
        known = self._sources.get(key)
        if known is None or not known.is_ours:
            self._sources[key] = restored(health)
        elif health.last_received_at is not None:
            known.heard(health.last_received_at)

    def was_deaf(self, until: datetime) -> None:
        """Note that nothing could be received up to now: sources have their time to speak first."""
        self._watched_since = until

    def alarms(self, now: datetime) -> Iterator[tuple[WatchedSource, TechnicalAlarm]]:
        """Give the alarms that are due, each with the source to be told once Kafka has it."""
        for source in list(self._sources.values()):
            if source.is_changed:
                source.listen(self._zone)
            alarm = source.alarm(now, self._watched_since)
            if alarm is not None:
                yield source, alarm

    def reports(self, now: datetime, *, is_whole: bool) -> Iterator[tuple[WatchedSource, FeedHealth]]:
        """Give the reports that are due: of what changed, or of all sources that deliver here."""
        for source in list(self._sources.values()):
            if source.is_changed or (is_whole and source.is_ours):
                yield source, source.health(now)

    def _source(self, origin: Origin) -> WatchedSource:
        # Its feed is the one that is followed, whatever the way in calls itself.
        key = key_of(replace(origin, feed=self._feed))
        if key not in self._sources and len(self._sources) >= MOST_SOURCES:
            key = (self._feed, OTHER, "")
        return self._sources.setdefault(key, WatchedSource(key=key))


def key_bytes(health: FeedHealth) -> bytes:
    """Kafka key of a report."""
    return text_of((health.feed, health.source, health.site_id)).encode()
