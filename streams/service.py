"""One stage as a running service: wait for what it needs, run, notice trouble, drain, leave."""

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import Executor
from typing import Any, Final

import structlog

from streams.adapters.kafka_app import StageApp, build_app
from streams.adapters.kafka_probe import KafkaProbe
from streams.adapters.kafka_state import KafkaState
from streams.adapters.kafka_transport import FaustTransport, message_of
from streams.device_thread import DeviceThread
from streams.ending import Ending
from streams.health import Health, rounded, serve_health
from streams.metrics import StageMetrics
from streams.needs import StartUnfinishedError, await_needs
from streams.outcome import RecordCodec
from streams.progress import Progress
from streams.retry import Retrying
from streams.runner import StageRunner
from streams.settings import Settings
from streams.stage import Stage, utc_now
from streams.topology import Route
from streams.watchdog import Watchdog
from streams.wiring import build_runner

log = structlog.get_logger()

#: Longest times, s, for tasks to end once cancelled, for Kafka's client to commit and leave, for the rest to
#: close. Together with the drain (at most 50 s) they stay below what the supervisor waits before it kills.
_CANCEL_S: Final = 3.0
_LEAVE_S: Final = 10.0
_CLOSE_S: Final = 3.0


class StageService:
    """Runs one stage of one route until told to stop.

    Parameters
    ----------
    stop : asyncio.Event
        Set it to drain and leave.
    ending : Ending
        Filled in; tells :func:`streams.worker.exit_code_of` how to end the process.
    """

    def __init__(
        self,
        stage: Stage[Any],
        route: Route,
        codec: RecordCodec,
        settings: Settings,
        stop: asyncio.Event,
        ending: Ending,
    ) -> None:
        self._stage = stage
        self._route = route
        self._codec = codec
        self._settings = settings
        self._stop = stop
        self._ending = ending
        self._metrics = StageMetrics(stage.name)
        self._progress = Progress(time.monotonic)
        self._probe = KafkaProbe(settings.kafka, route.group)
        self._waiting = self._retrying()
        self._runner: StageRunner | None = None
        self._app: StageApp | None = None

    async def run(self) -> None:
        """Run until stopped; returns after a clean leave.

        Raises
        ------
        DiastoleError
            When the worker cannot go on; nothing unsettled has been acknowledged. ``ending`` says more.
        """
        health = await self._serve_health()
        budget_s = self._settings.drain_budget_s
        try:
            if await await_needs(self._stage, self._route, self._probe, self._waiting, self._stop, budget_s):
                self._ending.had_begun = True
                await self._run_connected()
        except StartUnfinishedError:
            self._ending.incomplete = True
            raise
        finally:
            if health is not None:
                health.close()
            await self._close()

    def health(self) -> Health:
        """Say how the service is."""
        return Health(
            stage=self._stage.name,
            assigned=self._app is not None and self._app.flows,
            held_up_by=self._held_up_by(),
            in_flight=self._progress.in_flight,
            idle_s=round(self._progress.clock_s() - self._progress.last_s, 1),
            stalled=self._watchdog().is_stalled(),
            lag=self._progress.lag,
            wait_s=round(self._progress.wait_s(utc_now()), 1),
            behind_after_s=self._settings.behind_after_s,
            last_result_age_s=rounded(self._progress.done_age_s()),
            scoring=self._stage.scoring,
        )

    def _held_up_by(self) -> str | None:
        running = self._runner.held_up_by if self._runner is not None else None
        return running or self._waiting.held_up_by

    def _retrying(self) -> Retrying:
        settings = self._settings
        return Retrying(self._stage.name, settings.retry_first_s, settings.retry_most_s, self._metrics)

    async def _serve_health(self) -> asyncio.Server | None:
        if self._settings.metrics_port is None:
            return None
        server = await serve_health(
            self._settings.metrics_host, self._settings.metrics_port, self.health, self._metrics.registry
        )
        port = server.sockets[0].getsockname()[1]
        log.info("health_served", stage=self._stage.name, host=self._settings.metrics_host, port=port)
        return server

    async def _run_connected(self) -> None:
        device = DeviceThread(f"{self._stage.name}-device")
        try:
            await self._run_on(device)
        finally:
            device.shutdown(wait=False)

    async def _run_on(self, device: Executor) -> None:
        app, runner = self._build(device)
        self._app, self._runner = app, runner
        app.on_rebalance_begins = runner.abandon
        app.on_rebalance_done = runner.resume
        starting = asyncio.create_task(app.start())
        watched = [
            asyncio.create_task(work)
            for work in (runner.run(), self._watchdog().run(), app.until_ended(self._stop))
        ]
        if self._stage.beside is not None:
            watched.append(asyncio.ensure_future(self._stage.beside()))
        try:
            await _first_of(starting, watched)
            await self._drain(runner, watched[:2])
        finally:
            await self._leave(app, runner, [starting, *watched])

    def _build(self, executor: Executor) -> tuple[StageApp, StageRunner]:
        async def on_event(event: Any) -> None:
            await runner.admit(message_of(event))

        app = build_app(self._route.group, self._route.consumes, on_event, self._settings)
        transport = FaustTransport(app)
        state = None
        if self._route.remembers is not None:
            state = KafkaState(self._settings.kafka, self._route.remembers, transport)
        runner = build_runner(
            self._stage,
            self._route,
            codec=self._codec,
            transport=transport,
            executor=executor,
            settings=self._settings,
            metrics=self._metrics,
            progress=self._progress,
            state=state,
        )
        return app, runner

    async def _drain(self, runner: StageRunner, working: Collection[asyncio.Task[None]]) -> None:
        """Finish what is in flight, within the budget and unless the work fails meanwhile.

        After a failure nothing is drained: what is not acknowledged comes again, to a worker that is well.
        """
        draining = asyncio.create_task(runner.drain(self._settings.drain_budget_s))
        await asyncio.wait({draining, *working}, return_when=asyncio.FIRST_COMPLETED)
        for task in working:
            if task.done():
                draining.cancel()
                task.result()
        log.info(
            "drained" if await draining else "drain_incomplete",
            stage=self._stage.name,
            in_flight=self._progress.in_flight,
        )

    async def _leave(self, app: StageApp, runner: StageRunner, tasks: Collection[asyncio.Task[None]]) -> None:
        """Commit and leave the group, unless work is left behind or something does not end.

        Of work that is cut off, a part may lie in Kafka's client, which sends it when it is stopped: a state
        could be written after the next owner of the partition has read the states. So a worker that leaves
        work behind ends as if killed: nothing more is sent, and after the session timeout Kafka hands the
        partitions on.
        """
        left_behind = self._progress.in_flight
        runner.abandon()
        ended = await _end(tasks, _CANCEL_S)
        if left_behind or not ended or not await self._stop_client(app):
            log.warning("leaving_at_once", stage=self._stage.name, left_behind=left_behind)
            self._ending.incomplete = True

    async def _stop_client(self, app: StageApp) -> bool:
        app.forget_unacknowledged()
        # No wait_for: Faust's waiting for acknowledgements swallows the cancellation and goes on.
        stopping = asyncio.create_task(app.stop())
        await asyncio.wait({stopping}, timeout=_LEAVE_S)
        return stopping.done() and stopping.exception() is None

    async def _close(self) -> None:
        closing = [asyncio.ensure_future(closed) for closed in (self._probe.close(), self._stage.stop())]
        ended, left = await asyncio.wait(closing, timeout=_CLOSE_S)
        if left or any(task.exception() for task in ended):
            self._ending.incomplete = True

    def _watchdog(self) -> Watchdog:
        return Watchdog(
            stall_s=self._settings.watchdog_stall_s,
            progress=self._progress,
            metrics=self._metrics,
            lag=self._lag,
            has_records=self._has_records,
            is_held_up=lambda: self._held_up_by() is not None,
        )

    async def _lag(self) -> int:
        if self._app is None:
            return 0
        return await self._probe.lag(self._route.consumes, self._app.known_ends(self._route.consumes))

    async def _has_records(self) -> bool:
        if self._app is None:
            return False
        return await self._probe.has_records(self._route.consumes, self._app.known_ends(self._route.consumes))


async def _first_of(starting: asyncio.Task[None], watched: list[asyncio.Task[None]]) -> None:
    """Wait for the first of them to end, starting aside, and raise what it raised."""
    pending = {starting, *watched}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if done - {starting}:
            starting.cancel()
            return


async def _end(tasks: Collection[asyncio.Task[None]], budget_s: float) -> bool:
    """Cancel tasks; whether all of them ended within the budget."""
    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=budget_s)
    return not left
