"""Delivery as a process: book, channels and membership opened in order, and closed in the other."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from streams.adapters.kafka_membership import open_membership
from streams.assembly import build_codec
from streams.deliver.book import open_case_book
from streams.deliver.channels.assembly import open_channels
from streams.deliver.channels.channel import Channel
from streams.deliver.channels.guarded import ChannelMetrics
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.deliver.routing import Routes
from streams.deliver.sending import LinkOf
from streams.deliver.service import STAGE, Deliverer
from streams.feeds.serving import serve_until_told
from streams.health import serve_health
from streams.settings import Settings
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_ALERT

log = structlog.get_logger()

#: Consumer group of all deliver processes of a site.
GROUP: Final = f"diastole-{STAGE}"


def links_to(inbox_url: str) -> LinkOf:
    """Say where the page of an alert is, given where the inbox is; "" when that is not known.

    >>> links_to("https://inbox.example/")("a1"), links_to("")("a1")
    ('https://inbox.example/alerts/a1', '')
    """
    base = inbox_url.rstrip("/")
    return lambda alert_id: f"{base}/alerts/{alert_id}" if base else ""


@asynccontextmanager
async def open_delivery(
    settings: Settings,
    routes: Routes,
    channels: Mapping[str, Channel],
    *,
    link_of: LinkOf,
    registry: CollectorRegistry | None = None,
    now: UtcClock = utc_now,
) -> AsyncIterator[Deliverer]:
    """Open the book, read up to now, and join the other deliver processes; ``run`` then delivers.

    Raises
    ------
    RetriableError
        When Kafka does not serve; trying again is harmless.
    ConfigurationError
        When a topic does not exist.
    """
    codec = build_codec(settings)
    async with open_case_book(settings.kafka, codec, now=now, writer=STAGE) as book:
        metrics = DeliverMetrics(registry)
        deliverer = Deliverer(book, routes, channels, now=now, link_of=link_of, metrics=metrics)
        async with open_membership(
            settings.kafka,
            ECG_ALERT,
            GROUP,
            deliverer.own,
            session_timeout_s=settings.session_timeout_s,
        ):
            yield deliverer


async def run_delivery(settings: Settings, routes: Routes, base: Path, inbox_url: str = "") -> None:
    """Deliver until SIGTERM or Ctrl-C; what is under way then may end, and the rest goes to other processes.

    Parameters
    ----------
    base : Path
        Folder that paths in the routes are relative to.
    inbox_url : str
        Where the inbox answers, for links in notices; "" leaves links out.

    Raises
    ------
    DiastoleError
        As :func:`open_delivery` and :func:`streams.deliver.channels.assembly.open_channels`.
    DeliverFaultError
        When the process must be started anew.
    """
    registry = CollectorRegistry()
    async with open_channels(routes, base, ChannelMetrics(registry)) as channels:
        opening = open_delivery(settings, routes, channels, link_of=links_to(inbox_url), registry=registry)

        async def serve(deliverer: Deliverer, stop: asyncio.Event) -> None:
            await _serve(deliverer, stop, settings, registry)

        await serve_until_told(opening, serve)


async def _serve(
    deliverer: Deliverer, stop: asyncio.Event, settings: Settings, registry: CollectorRegistry
) -> None:
    health = None
    if settings.metrics_port is not None:
        health = await serve_health(settings.metrics_host, settings.metrics_port, deliverer.health, registry)
        log.info("health_listens", port=health.sockets[0].getsockname()[1])
    running, stopping = asyncio.create_task(deliverer.run()), asyncio.create_task(stop.wait())
    log.info("delivering")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait({running, stopping})
        if health is not None:
            health.close()
    log.info("delivery_ended")
