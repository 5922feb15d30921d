"""Delivery on a Kafka that is a list: processes that share it, and that stop dead wherever a test says."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaConnectionError
from notices import RAISED_AT, alert_of

from schemas.alert import Priority
from schemas.audit import CareAction, CareScope, CareVerb
from schemas.codec import Codec
from schemas.identity import action_id, subject_id
from schemas.registry import FileRegistry
from streams.adapters.kafka_follower import TopicBehindError
from streams.deliver.book import FollowedBook
from streams.deliver.channels.notice import Notice
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.deliver.routing import ChannelKind, ChannelSettings, Retry, Route, Routes
from streams.deliver.service import Deliverer
from streams.topology import CARE_AUDIT, ECG_ALERT

CODEC = Codec(FileRegistry())
MINUTE = timedelta(minutes=1)
DEADLINE_S = 20.0


def routes_of(*channels: str, second: tuple[str, ...] = (), **changes: Any) -> Routes:
    """Everybody at level 0 over these channels, the senior at level 1 after ten minutes."""
    names = (*channels, *second, "senior")
    given = {
        "version": "test",
        "routes": (
            Route(name="ward", levels=(0,), recipient="ward doctor", channels=channels, second=second),
            Route(name="senior", levels=(1,), recipient="senior doctor", channels=("senior",)),
        ),
        "channels": {name: ChannelSettings(name=name, kind=ChannelKind.WEBHOOK) for name in names},
        "ladder": dict.fromkeys((Priority.HIGH, Priority.MEDIUM), (timedelta(0), 10 * MINUTE)),
        "retry": Retry(attempts=2, first_s=5, longest_s=60),
        **changes,
    }
    return Routes(**given)


@dataclass
class Clock:
    """A wall clock moved by hand."""

    at: datetime = RAISED_AT

    def __call__(self) -> datetime:
        return self.at


@dataclass
class World:
    """What outlives a process: the log, the clock, and what the channels were handed."""

    clock: Clock = field(default_factory=Clock)
    log: list[tuple[str, Any]] = field(default_factory=list)
    processes: list["Process"] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, Callable[[Notice], BaseException | None]] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    at_once: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_at_once: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    is_away: bool = False
    steps: int = 0
    stop_dead_at: int = 0

    def write(self, topic: str, record: object) -> None:
        """Put a record on the log; everybody who is alive is told."""
        message = SimpleNamespace(
            value=CODEC.encode(record),
            headers=(),
            offset=len(self.log),
            partition=0,
            timestamp=self.clock.at.timestamp() * 1000,
        )
        self.log.append((topic, message))
        for process in self.processes:
            process.read()

    def raise_alert(self, number: int = 1, **changes: Any) -> str:
        """Raise the ``number``-th alert, of a patient of its own."""
        given = {"acquired_at": self.clock.at, "patient_id": f"P{number}", **changes}
        alert = alert_of(number, **given)
        self.write(ECG_ALERT, alert)
        return alert.alert_id

    def act(self, alert_id: str, verb: CareVerb = CareVerb.ACKNOWLEDGED, **more: Any) -> None:
        """Let a nurse act."""
        name = action_id(verb=verb, alert_id=alert_id, actor="nurse", at=str(len(self.log)))
        self.write(
            CARE_AUDIT,
            CareAction(
                action_id=name,
                alert_id=alert_id,
                verb=verb,
                actor="nurse",
                acted_at=self.clock.at,
                origin="inbox",
                **more,
            ),
        )

    def mute_ward(self, ward_id: str, until: datetime) -> None:
        """Keep a ward quiet from now on."""
        name = subject_id(scope="WARD", subject=ward_id)
        act = CareAction(
            action_id=action_id(verb="MUTED", alert_id=name, actor="nurse", at=str(len(self.log))),
            alert_id=name,
            verb=CareVerb.MUTED,
            actor="nurse",
            acted_at=self.clock.at,
            origin="inbox",
            scope=CareScope.WARD,
            subject=ward_id,
            expires_at=until,
        )
        self.write(CARE_AUDIT, act)

    def pass_time(self, time: timedelta) -> None:
        """Move the clock, and wake everybody: somebody looked at a patient."""
        self.clock.at += time
        name = subject_id(scope="PATIENT", subject="P9")
        act = CareAction(
            action_id=action_id(verb="VIEWED", alert_id=name, actor="nurse", at=str(len(self.log))),
            alert_id=name,
            verb=CareVerb.VIEWED,
            actor="nurse",
            acted_at=self.clock.at,
            origin="inbox",
            scope=CareScope.PATIENT,
            subject="P9",
        )
        self.write(CARE_AUDIT, act)

    def acts(self, verb: CareVerb) -> list[CareAction]:
        """All acts of a kind on the log."""
        acts = [CODEC.decode(message.value, CareAction) for topic, message in self.log if topic == CARE_AUDIT]
        return [act for act in acts if act.verb is verb]

    def keys(self, channel: str) -> list[str]:
        """Idempotency keys a channel was handed and took."""
        return [key for name, key in self.taken if name == channel]


async def until(holds: Callable[[], bool]) -> None:
    """Let everybody go on until something holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110  # many things may change it
            await asyncio.sleep(0)


async def settled() -> None:
    """Let everybody go on until nothing more comes of itself."""
    for _ in range(200):
        await asyncio.sleep(0)


class Process:
    """One deliver process."""

    def __init__(self, world: World, routes: Routes) -> None:
        self.world = world
        self.is_dead = False
        self._n_read = 0
        self.book = FollowedBook(
            CODEC,
            SimpleNamespace(send_and_wait=self._send),  # type: ignore[arg-type]
            now=world.clock,
            window=timedelta(days=90),
            writer="deliver",
        )
        self.metrics = DeliverMetrics()
        channels = {name: ListedChannel(name, self) for name in routes.channels}
        self.deliverer = Deliverer(
            self.book, routes, channels, now=world.clock, metrics=self.metrics, link_of=lambda each: each
        )

    def read(self) -> None:
        """Fold what is new on the log, while alive and in reach of it."""
        if self.is_dead or self.world.is_away:
            return
        for topic, message in self.world.log[self._n_read :]:
            self._n_read += 1
            (self.book.on_act if topic == CARE_AUDIT else self.book.on_alert)(message)

    async def catch_up(self, budget_s: float) -> None:
        """As a follower of Kafka."""
        if self.world.is_away:
            raise TopicBehindError("away")
        self.read()

    async def step(self) -> None:
        """Between any two effects; the process may stop dead here, for ever."""
        self.world.steps += 1
        self.is_dead = self.is_dead or self.world.steps == self.world.stop_dead_at
        if self.is_dead:
            await asyncio.Event().wait()

    async def _send(self, topic: str, *, value: bytes, key: bytes, headers: object) -> None:
        await self.step()
        if self.world.is_away:
            raise KafkaConnectionError
        self.world.write(topic, CODEC.decode(value))
        await self.step()


class ListedChannel:
    """Takes notices, or does what the world says; tells the same notice by its key."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process, self._world = process, process.world

    async def send(self, notice: Notice, key: str) -> None:
        await self._process.step()
        world = self._world
        world.at_once[self.name] += 1
        world.most_at_once[self.name] = max(world.most_at_once[self.name], world.at_once[self.name])
        try:
            if self.name in world.held:
                await world.held[self.name].wait()
            error = world.answers.get(self.name, lambda notice: None)(notice)
        finally:
            world.at_once[self.name] -= 1
        if error is not None:
            raise error
        world.taken.append((self.name, key))
        await self._process.step()

    async def retract(self, notice: Notice, key: str) -> None:
        assert notice.is_over
        self._world.ends.append((self.name, key))


@asynccontextmanager
async def running(world: World, routes: Routes) -> AsyncIterator[Process]:
    """Start a process that owns all partitions; leaving stops it, or buries it."""
    process = Process(world, routes)
    world.processes.append(process)
    following = asyncio.create_task(process.book.follow(process))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await process.deliverer.own(frozenset({0}))
    delivering = asyncio.create_task(process.deliverer.run())
    try:
        yield process
    finally:
        world.processes.remove(process)
        tasks = {following, delivering}
        if process.is_dead:
            for work in tuple(process.deliverer._under_way.values()):  # nothing of the dead goes on
                work.cancel()
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)
