"""The read API as a process: book, stores and feed reports opened in order, and closed in the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from models.bundle import DEFAULT_BUNDLE, MANIFEST_FILE, BundleError, load_bundle
from models.manifest import Manifest, ManifestError, from_json
from schemas.errors import ConfigurationError
from schemas.recorded import Sex
from streams.api.api_metrics import ApiMetrics
from streams.api.app import Api, build_api
from streams.api.audit import LookAudit
from streams.api.doors import Doors
from streams.api.event_log import EventLog, follow_book
from streams.api.feed_reports import open_feed_reports
from streams.api.pages.reading import PageParts
from streams.api.pages.router import add_pages
from streams.api.salience import Salience
from streams.api.services import Services
from streams.api.tokens import CareTokens
from streams.api.watch import STAGE, ReadyWatch
from streams.assembly import build_codec, build_history, build_wards, build_waveforms
from streams.deliver.book import open_case_book
from streams.deliver.routing import Routes
from streams.feeds.http.asking import is_loopback
from streams.feeds.http.serving import Address, Certificate, listen, serve_http
from streams.feeds.serving import serve_until_told
from streams.health import serve_health
from streams.policy import load_policy
from streams.settings import Settings
from streams.stage import UtcClock, utc_now
from streams.worklist import WardReads

log = structlog.get_logger()

#: Longest time for looks that are still to be written when the process ends, s.
_DRAIN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenApi:
    """The read API with all it stands on, open."""

    api: Api
    services: Services
    changes: EventLog
    metrics: ApiMetrics
    watch: ReadyWatch
    tasks: "tuple[asyncio.Task[None], ...]"


@asynccontextmanager
async def open_api(
    settings: Settings, routes: Routes, tokens: Path | None, now: UtcClock = utc_now
) -> AsyncIterator[OpenApi]:
    """Open everything, read the book up to now, and keep it up to date while the context lasts.

    Parameters
    ----------
    tokens : Path or None
        File of tokens; None where only this machine reaches it.

    Raises
    ------
    RetriableError
        When Kafka does not serve; trying again is harmless. Redis may come later.
    ConfigurationError
        When tokens, bundle or policy cannot be used, or a topic does not exist.
    """
    doors = Doors(tokens=None if tokens is None else CareTokens(tokens))
    folder = settings.bundle or DEFAULT_BUNDLE
    manifest, policy = read_manifest(folder), load_policy(settings.policy)
    codec, metrics, changes = build_codec(settings), ApiMetrics(), EventLog()
    async with AsyncExitStack() as opened:
        stores = build_history(settings), build_wards(settings), build_waveforms(settings)
        for store in stores:
            opened.push_async_callback(store.close)
        history, wards, waveforms = stores
        book = await opened.enter_async_context(open_case_book(settings.kafka, codec, now=now, writer=STAGE))
        feeds = await opened.enter_async_context(open_feed_reports(settings.kafka, codec))
        looks = LookAudit(book.append, now, metrics)
        services = Services(
            book=book,
            history=history,
            wards=wards,
            waveforms=waveforms,
            feeds=feeds,
            looks=looks,
            explains=Salience(lambda: load_bundle(folder), manifest.sha256, person_of(wards)),
            manifest=manifest,
            routes=routes,
            now=now,
        )
        parts = PageParts(services=services, doors=doors, policy=policy, zone=zone_of(settings.timezone))
        api = build_api(services, doors, changes, metrics, add_pages=lambda app: add_pages(app, parts))
        watch = ReadyWatch(services, metrics)
        tasks = tuple(
            asyncio.create_task(running) for running in (follow_book(book, changes), looks.run(), watch.run())
        )
        for task in tasks:
            opened.push_async_callback(_ended, task)
        opened.push_async_callback(looks.drain, _DRAIN_S)
        yield OpenApi(api=api, services=services, changes=changes, metrics=metrics, watch=watch, tasks=tasks)


async def run_api(
    settings: Settings,
    routes: Routes,
    address: Address,
    tokens: Path | None,
    certificate: Certificate | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C: then nothing new is taken, streams end, and what is under way may end.

    Raises
    ------
    DiastoleError
        As :func:`open_api`; also when the address cannot be listened on.
    """
    require_tokens(address.host, tokens)

    async def serve(opened: OpenApi, stop: asyncio.Event) -> None:
        await _serve(opened, stop, settings, address, certificate)

    await serve_until_told(open_api(settings, routes, tokens), serve)


def require_tokens(host: str, tokens: Path | None) -> None:
    """Refuse to listen where others reach it without tokens.

    Raises
    ------
    ConfigurationError
        When there are no tokens and the address is none of loopback.
    """
    if tokens is None and not is_loopback(host):
        raise ConfigurationError(
            f"without tokens the read API listens on loopback alone, not on {host}: make one with "
            "`diastole token new NAME --for care` and set DIASTOLE_CARE_TOKENS, or use --host 127.0.0.1"
        )


def read_manifest(folder: Path) -> Manifest:
    """Read what a bundle says of itself, without its weights.

    Raises
    ------
    BundleError
        When there is no manifest, or it is not as it should be.
    """
    try:
        return from_json((folder / MANIFEST_FILE).read_text())
    except (OSError, UnicodeDecodeError, ManifestError) as error:
        raise BundleError(f"{folder / MANIFEST_FILE} cannot be used ({type(error).__name__})") from None


def zone_of(name: str) -> tzinfo:
    """Return the zone in which pages show times; UTC needs no list of zones on the machine."""
    return UTC if name == "UTC" else ZoneInfo(name)


def person_of(wards: WardReads) -> Callable[[str], Coroutine[Any, Any, tuple[float | None, Sex]]]:
    """Look up age and sex of a patient, as far as they are known."""

    async def person(patient_id: str) -> tuple[float | None, Sex]:
        row = await wards.latest(patient_id)
        return (None, Sex.UNKNOWN) if row is None else (row.age_years, row.sex)

    return person


async def _serve(
    opened: OpenApi,
    stop: asyncio.Event,
    settings: Settings,
    address: Address,
    certificate: Certificate | None,
) -> None:
    health = None
    if settings.metrics_port is not None:
        health = await serve_health(
            settings.metrics_host, settings.metrics_port, opened.watch.health, opened.metrics.registry
        )
        log.info("health_listens", port=health.sockets[0].getsockname()[1])
    ending = asyncio.create_task(_end_streams(stop, opened))
    try:
        await serve_http(opened.api.guarded, listen(address), stop, settings.drain_budget_s, certificate)
        for task in opened.tasks:
            if task.done():
                task.result()
    finally:
        await _ended(ending)
        if health is not None:
            health.close()


async def _end_streams(stop: asyncio.Event, opened: OpenApi) -> None:
    """End what has no end of its own when told to stop, or when something in the background failed."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *opened.tasks}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        opened.changes.end()
    finally:
        stopping.cancel()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
