"""The play: services, workers, what is published, and reading along until everything has ended."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ops.demo.cast import DemoWard
from ops.demo.plan import DemoOutcome, DemoPlan
from ops.demo.publishing import Sender, open_sender
from ops.demo.view import View
from ops.ledger import LEDGER_TOPICS, Ledger
from ops.services import RunningBroker, RunningRedis, start_broker, start_redis
from ops.topic_reader import TopicReader, open_topic_reader
from ops.topics import apply_topics
from ops.worker_processes import WORKER_ENVIRONMENT, running_api, running_delivery, running_workers
from schemas.codec import Codec
from streams.adapters.redis_history import RedisHistory
from streams.history import HistoryPoint
from streams.stage import utc_now
from streams.topology import ROUTES, WAVEFORM_ROUTE

_POLL_S: Final = 0.1
#: After the last ECG ended, how long to wait for what follows from it: alerts, and dead letters of alert.
_SETTLE_S: Final = 2.0


class Stopwatch:
    """Measures one phase after the other."""

    def __init__(self) -> None:
        self.phases_s: dict[str, float] = {}
        self._since_s = time.monotonic()

    def lap(self, phase: str) -> float:
        """End a phase and return how long it took, seconds."""
        now_s = time.monotonic()
        self.phases_s[phase], self._since_s = now_s - self._since_s, now_s
        return self.phases_s[phase]


async def play_demo(plan: DemoPlan, home: Path, codec: Codec, view: View) -> DemoOutcome:
    """Play the demo on servers of its own, which end with it. SIGINT and SIGTERM end it early, cleanly.

    Raises
    ------
    ServiceError
        When a server or a worker does not start.
    """
    watch = Stopwatch()
    with _stop_on_signal() as stop, ExitStack() as stack:
        view.say(f"Data folder: {home}")
        broker = stack.enter_context(start_broker(plan.broker, home))
        redis = stack.enter_context(start_redis(home))
        applied = await apply_topics(broker.bootstrap, plan.partitions)
        view.done(
            f"Broker ({_KIND[plan.broker]}), Redis and {len(applied.created)} topics ready "
            f"after {watch.lap('services'):.1f} s"
        )
        environment = _environment(plan, home, broker, redis)
        await _start_workers(stack, ROUTES, home, environment, view, stop)
        watch.lap("workers")
        ward = DemoWard(beds=plan.beds, rounds=plan.rounds, every=plan.every, until=utc_now())
        outcome = await _Play(plan, home, ward, codec, view, stop, watch).run(broker, redis)
        view.waits("Stopping workers, Redis and broker")
    return outcome


_KIND: Final = {"embedded": "embedded", "apache": "Apache Kafka"}


@contextmanager
def _stop_on_signal() -> Iterator[asyncio.Event]:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _environment(plan: DemoPlan, home: Path, broker: RunningBroker, redis: RunningRedis) -> Mapping[str, str]:
    return {
        **WORKER_ENVIRONMENT,
        "DIASTOLE_BROKER": broker.bootstrap,
        "DIASTOLE_REDIS_URL": redis.url,
        "DIASTOLE_HOME": str(home),
        "DIASTOLE_PARTITIONS": str(plan.partitions),
    }


async def _start_workers(
    stack: ExitStack,
    stages: Iterable[str],
    home: Path,
    environment: Mapping[str, str],
    view: View,
    stop: asyncio.Event,
) -> None:
    names = tuple(stages)
    started_s = time.monotonic()

    def says_ready(stage: str) -> None:
        if not stop.is_set():
            view.done(f"Worker {stage} ready after {time.monotonic() - started_s:.1f} s")

    view.waits(f"Starting {len(names)} workers: {', '.join(names)} (10 to 30 s)")
    workers = running_workers(names, home, environment, says_ready, stop.is_set)
    await asyncio.to_thread(stack.enter_context, workers)


class _Play:
    """The part of the demo in which everything runs."""

    def __init__(
        self,
        plan: DemoPlan,
        home: Path,
        ward: DemoWard,
        codec: Codec,
        view: View,
        stop: asyncio.Event,
        watch: Stopwatch,
    ) -> None:
        self._plan, self._home, self._ward, self._codec = plan, home, ward, codec
        self._view, self._stop, self._watch = view, stop, watch
        self._ledger = Ledger()

    async def run(self, broker: RunningBroker, redis: RunningRedis) -> DemoOutcome:
        reading = open_topic_reader(broker.bootstrap, LEDGER_TOPICS, self._codec, from_beginning=True)
        sending = open_sender(self._plan, self._ward, broker.bootstrap, self._codec, self._view)
        async with reading as reader, sending as sender:
            await self._play(reader, sender)
            outcome = await self._outcome(redis.url)
            if self._stop.is_set():
                return outcome
            self._view.conclude(outcome)
            if self._plan.keep:
                await self._keep(reader, sender, broker, redis, outcome)
        return outcome

    async def _play(self, reader: TopicReader, sender: Sender) -> None:
        playing = asyncio.create_task(sender.play())
        while not playing.done() and not self._stop.is_set():
            await self._look(reader)
        if not playing.done():
            playing.cancel()
            await asyncio.wait([playing])
            return
        published = playing.result()
        self._watch.lap("play")
        await self._look_until(reader, lambda: self._has_ended(published), self._plan.ends_within_s)
        await self._look_until(reader, lambda: False, _SETTLE_S)
        self._watch.lap("finish")

    def _has_ended(self, published: int) -> bool:
        return self._ledger.messages_in >= published and not self._ledger.open_count

    async def _look_until(self, reader: TopicReader, holds: Callable[[], bool], within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        while not (holds() or self._stop.is_set()) and time.monotonic() < deadline_s:
            await self._look(reader)

    async def _look(self, reader: TopicReader) -> None:
        for seen in await reader.poll(_POLL_S):
            if self._ledger.enter(seen):
                self._view.saw(seen, self._ledger)
        self._view.tick(self._ledger)

    async def _outcome(self, redis_url: str) -> DemoOutcome:
        outcome = DemoOutcome(
            ledger=self._ledger,
            home=self._home,
            deteriorating=self._ward.deteriorating(),
            phases_s=self._watch.phases_s,
            interrupted=self._stop.is_set(),
        )
        if not outcome.alerted:
            return outcome
        history = await _most_telling_history(outcome.alerted, redis_url)
        return DemoOutcome(
            ledger=outcome.ledger,
            home=outcome.home,
            deteriorating=outcome.deteriorating,
            history=history,
            phases_s=outcome.phases_s,
            interrupted=outcome.interrupted,
        )

    async def _keep(
        self,
        reader: TopicReader,
        sender: Sender,
        broker: RunningBroker,
        redis: RunningRedis,
        outcome: DemoOutcome,
    ) -> None:
        patient_id = outcome.history[0].patient_id if outcome.history else outcome.deteriorating[0]
        environment = _environment(self._plan, self._home, broker, redis)
        with ExitStack() as stack:
            await _start_workers(
                stack, [WAVEFORM_ROUTE.stage], self._home, environment, self._view, self._stop
            )
            self._view.waits("Starting the care team's pages (5 to 20 s)")
            stack.enter_context(running_delivery(self._home, environment))
            pages = running_api(self._home, environment, self._stop.is_set)
            inbox = await asyncio.to_thread(stack.enter_context, pages)
            if not self._stop.is_set():
                self._view.say(_how_to_look_inside(inbox, broker.bootstrap, redis.url, patient_id))
            await self._encore(reader, sender)

    async def _encore(self, reader: TopicReader, sender: Sender) -> None:
        encore = asyncio.create_task(sender.encore())
        while not self._stop.is_set() and not encore.done():
            await self._look(reader)
        encore.cancel()
        await asyncio.wait([encore])
        if not encore.cancelled():
            encore.result()  # raises what ended it


async def _most_telling_history(patient_ids: list[str], redis_url: str) -> list[HistoryPoint]:
    """Return the history that shows most of what can happen, e' and e'/a' first, as Redis has it."""
    history = RedisHistory(redis_url)
    try:
        all_points = [await history.read(patient_id) for patient_id in patient_ids]
    finally:
        await history.close()
    return max(all_points, key=_shows)


def _shows(points: list[HistoryPoint]) -> tuple[bool, int]:
    has_motion = any(point.e_over_a is not None for point in points)
    return has_motion, sum(point.probability is None for point in points)


def _how_to_look_inside(inbox: str, bootstrap: str, redis_url: str, patient_id: str) -> str:
    return "\n".join(
        (
            "",
            f"The care team's inbox: {inbox}",
            f"  this patient: {inbox}patients/{patient_id}",
            "",
            "Everything stays up and the ward plays on, until Ctrl-C. In another shell:",
            "",
            "  . .venv/bin/activate",
            f"  export DIASTOLE_BROKER={bootstrap}",
            f"  export DIASTOLE_REDIS_URL={redis_url}",
            f"  diastole history show {patient_id}",
            "  diastole tail ecg.risk.v1",
            "  diastole tail ecg.alert.v1 --from-beginning",
            "  diastole publish YOUR-ECG.dcm",
            "",
        )
    )
