"""Gather all facts at once; whatever does not answer is away, and is told within some fifteen seconds."""

import asyncio
from collections.abc import Iterable

from ops.doctor.facts import Facts, FileFacts, HostFacts, Missed, RegistryFacts, ThresholdFacts
from ops.doctor.kafka_gathering import kafka_facts
from ops.doctor.local import file_facts, host_facts, settings_facts, threshold_facts
from ops.doctor.redis_gathering import redis_facts
from ops.doctor.registry_gathering import registry_facts
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.stage import UtcClock


async def gather(
    settings: Settings, feed_settings: FeedSettings, names: Iterable[str], now: UtcClock
) -> Facts:
    """Ask everything there is to ask.

    Parameters
    ----------
    names : iterable of str
        Variables of the environment that look like settings.
    """
    # The embedded parts of this machine answer at once; what computes is kept off their loop.
    local = asyncio.to_thread(_local, settings, feed_settings)
    kafka, redis, registry, (host, files, thresholds) = await asyncio.gather(
        kafka_facts(
            settings.kafka, settings.partitions, now(), with_silent=settings.silent_bundle is not None
        ),
        redis_facts(settings.redis, now),
        _registry(settings, now),
        local,
    )
    return Facts(
        now=now(),
        settings=settings_facts(names, ()),
        host=host,
        files=files,
        thresholds=thresholds,
        kafka=kafka,
        redis=redis,
        registry=registry,
    )


def without_settings(names: Iterable[str], problems: Iterable[str], now: UtcClock) -> Facts:
    """Facts where the settings are wrong, so that nothing can be asked with them."""
    return Facts(now=now(), settings=settings_facts(names, problems))


async def _registry(settings: Settings, now: UtcClock) -> RegistryFacts | Missed | None:
    return None if settings.registry_url is None else await registry_facts(settings.registry_url, now)


def _local(
    settings: Settings, feed_settings: FeedSettings
) -> tuple[HostFacts, tuple[FileFacts, ...], ThresholdFacts | None]:
    return host_facts(settings), file_facts(settings, feed_settings), threshold_facts(settings)
