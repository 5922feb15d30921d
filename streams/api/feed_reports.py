"""How the sources of ECGs are doing, followed on ``feed.health.v1``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from schemas.codec import Codec
from schemas.errors import ConfigurationError, PoisonError, RetriableError
from schemas.feed import FeedHealth
from streams.access import Broker
from streams.adapters.kafka_follower import open_follower
from streams.topology import FEED_HEALTH

log = structlog.get_logger()


class FeedReports:
    """The newest report of each source; a :class:`streams.api.services.FeedReads`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._newest: dict[bytes, FeedHealth] = {}

    def sources(self) -> Sequence[FeedHealth]:
        """Newest report of each source, by way in, site and name."""
        return sorted(self._newest.values(), key=lambda health: (health.feed, health.site_id, health.source))

    def take(self, message: Any) -> None:
        """Keep one message; an emptied one is a source that is not watched any more."""
        try:
            health = self._codec.decode(message.value or b"", FeedHealth, headers=tuple(message.headers))
        except (PoisonError, RetriableError):
            self._newest.pop(message.key, None)
        else:
            self._newest[message.key] = health


@asynccontextmanager
async def open_feed_reports(
    broker: Broker, codec: Codec, budget_s: float = 60.0
) -> AsyncIterator[FeedReports]:
    """Follow the reports while the context lasts; where the site has no feeds there are none.

    Raises
    ------
    TopicBehindError
        When Kafka does not serve; trying again is harmless.
    """
    reports = FeedReports(codec)
    following = open_follower(broker, FEED_HEALTH, reports.take, budget_s)
    try:
        await following.__aenter__()
    except ConfigurationError:
        log.info("no_feed_reports", reason="the topic does not exist; run: diastole topics apply")
        yield reports
        return
    try:
        yield reports
    finally:
        await following.__aexit__(None, None, None)
