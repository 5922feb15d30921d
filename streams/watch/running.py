"""The watch as a process: looks, asks, and tells, each at its own pace, so that none holds up the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.alert import TechnicalAlarm
from schemas.codec import Codec
from schemas.errors import ConfigurationError, RetriableError
from streams.adapters.kafka_follower import TopicBehindError, TopicFollower, open_follower
from streams.adapters.kafka_groups import GroupsProbe
from streams.assembly import build_codec
from streams.envelope import envelope
from streams.feeds.producer import BrokerUnavailableError, open_producer
from streams.feeds.publish import AcknowledgedProducer
from streams.feeds.serving import serve_until_told
from streams.health import serve_health
from streams.settings import Settings
from streams.stage import UtcClock, utc_now
from streams.topology import ALL_ROUTES, ECG_ALERT, LINK_ROUTE, ROUTES, SILENT_ROUTE, WAVEFORM_ROUTE
from streams.watch.asking import Address, ask, parsed_addresses
from streams.watch.judging import ASK_EVERY_S, LOOK_EVERY_S, Bounds
from streams.watch.ledger import AlarmLedger
from streams.watch.watch_metrics import WatchMetrics
from streams.watch.watcher import STAGE, Watcher

log = structlog.get_logger()

#: Alarms of the last so many days are read at the start: as far back as the inbox knows alerts.
_WINDOW: Final = timedelta(days=90)

#: Longest time to read them, to catch up before an alarm is written, and to write it, s.
_START_S: Final = 60.0
_CATCH_UP_S: Final = 5.0
_WRITE_S: Final = 5.0

_TELL_EVERY_S: Final = 0.5
_AGAIN_S: Final = 2.0
_REQUEST_BYTES: Final = 2**20


def watched_stages(settings: Settings) -> tuple[str, ...]:
    """Name the stages that are expected to run.

    Raises
    ------
    ConfigurationError
        When a setting names one that does not exist.
    """
    named = tuple(name.strip() for name in settings.watch_stages.split(",") if name.strip())
    unknown = [name for name in named if name not in ALL_ROUTES]
    if unknown:
        raise ConfigurationError(
            f"DIASTOLE_WATCH_STAGES: no stage {', '.join(unknown)}; there are {', '.join(ALL_ROUTES)}"
        )
    silent = () if settings.silent_bundle is None else (SILENT_ROUTE.stage,)
    return named or (*ROUTES, LINK_ROUTE.stage, WAVEFORM_ROUTE.stage, *silent)


async def run_watch(settings: Settings, now: UtcClock = utc_now) -> None:
    """Watch until SIGTERM or Ctrl-C; alarms that are out stay out, for the next watch to end.

    Raises
    ------
    ConfigurationError
        When a setting is wrong, or health cannot be served.
    """
    addresses, metrics = parsed_addresses(settings.watch_workers), WatchMetrics(CollectorRegistry())
    bounds = Bounds(
        stalled_after_s=settings.watch_stalled_after_s,
        missing_after_s=settings.watch_missing_after_s,
        behind_after_s=settings.behind_after_s,
    )
    codec = build_codec(settings)
    watcher = Watcher(watched_stages(settings), bounds, AlarmLedger(codec), metrics)

    async def serve(_: None, stop: asyncio.Event) -> None:
        await stop.wait()
        log.info("watch_ended")

    await serve_until_told(_watching(watcher, addresses, settings, codec, metrics, now), serve)


@asynccontextmanager
async def _watching(
    watcher: Watcher,
    addresses: Sequence[Address],
    settings: Settings,
    codec: Codec,
    metrics: WatchMetrics,
    now: UtcClock,
) -> AsyncIterator[None]:
    async with AsyncExitStack() as opened:
        if settings.metrics_port is not None:
            health = await serve_health(
                settings.metrics_host, settings.metrics_port, watcher.health, metrics.registry
            )
            opened.callback(health.close)
            port = health.sockets[0].getsockname()[1]
            log.info("health_served", stage=STAGE, host=settings.metrics_host, port=port)
        log.info("watching", stages=watched_stages(settings), workers=[each.name for each in addresses])
        tasks = [
            asyncio.create_task(each)
            for each in (
                _look(watcher, settings, now),
                _tell(watcher, settings, codec, now),
                *(_ask(watcher, address, now) for address in addresses),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _look(watcher: Watcher, settings: Settings, now: UtcClock) -> None:
    probe, routes = GroupsProbe(settings.kafka), [ALL_ROUTES[name] for name in watched_stages(settings)]
    try:
        while True:
            at = now()
            try:
                watcher.looked(await probe.look(routes, at), at)
            except RetriableError as error:
                watcher.blind(error.code, at)
                log.warning("watch_is_blind", code=error.code, then="looking again")
            await _until(at + timedelta(seconds=LOOK_EVERY_S), now)
    finally:
        await probe.close()


async def _ask(watcher: Watcher, address: Address, now: UtcClock) -> None:
    while True:
        at = now()
        watcher.asked(address, await ask(address, ASK_EVERY_S), at)
        await _until(at + timedelta(seconds=ASK_EVERY_S), now)


async def _until(due: datetime, now: UtcClock) -> None:
    # A clock put forward must not make this a loop without a pause, nor one put back a stop.
    await asyncio.sleep(min(max((due - now()).total_seconds(), 0.1), ASK_EVERY_S))


async def _tell(watcher: Watcher, settings: Settings, codec: Codec, now: UtcClock) -> None:
    """Write what is due, for ever; after any trouble with Kafka begin anew with reading what is there."""
    while True:
        try:
            watcher.ledger = AlarmLedger(codec)
            async with (
                open_producer(
                    settings.kafka, max_request_bytes=_REQUEST_BYTES, budget_s=_WRITE_S
                ) as producer,
                open_follower(
                    settings.kafka, ECG_ALERT, watcher.ledger.on_record, _START_S, since=now() - _WINDOW
                ) as follower,
            ):
                await _tell_with(watcher, follower, producer, codec, now)
        except (RetriableError, ConfigurationError) as error:
            watcher.held_up_by = error.code
            log.warning("held_up", stage=STAGE, code=error.code, reason=str(error), then="trying again")
            await asyncio.sleep(_AGAIN_S)


async def _tell_with(
    watcher: Watcher, follower: TopicFollower, producer: AcknowledgedProducer, codec: Codec, now: UtcClock
) -> None:
    while True:
        if not watcher.ledger.is_whole:
            raise TopicBehindError(f"{ECG_ALERT} cannot be read; check that the schema registry answers")
        watcher.held_up_by = None
        if watcher.due(now()):
            # Another watch may have written it meanwhile.
            await follower.catch_up(_CATCH_UP_S)
            for alarm in watcher.due(now()):
                await _write(alarm, producer, codec, now)
                watcher.ledger.take(alarm)
        await asyncio.sleep(_TELL_EVERY_S)


async def _write(alarm: TechnicalAlarm, producer: AcknowledgedProducer, codec: Codec, now: UtcClock) -> None:
    headers = envelope(alarm, stage=STAGE, topic=ECG_ALERT, incoming=(), now=now())
    try:
        async with asyncio.timeout(_WRITE_S):
            await producer.send_and_wait(
                ECG_ALERT, value=codec.encode(alarm), key=alarm.source.encode(), headers=list(headers)
            )
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"Kafka did not take an alarm in {_WRITE_S:g} s ({type(error).__name__}); check the broker"
        ) from None
    log.warning(
        "technical_alarm",
        kind=alarm.kind.value,
        source=alarm.source,
        has_ended=alarm.ended_at is not None,
    )
