"""Running the measurements: a backlog as fast as it goes, then fixed rates with Poisson arrivals."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ops.bench.load import Load, draw_load, poisson_arrivals
from ops.bench.stack import fresh_stack
from ops.bench.tally import Spread, Tally
from ops.bench.trend import LagTrend
from ops.services import BrokerKind
from ops.topic_reader import TopicReader, open_topic_reader
from ops.worker_processes import running_workers
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from streams.feeds.publish import EcgPublisher, open_publisher
from streams.stage import utc_now
from streams.topology import ECG_ALERT, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, ROUTES, dead_letter_topic

_TOPICS: Final = (ECG_RISK, ECG_ALERT, dead_letter_topic(ECG_RECORDED), dead_letter_topic(ECG_FEATURIZED))
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What to measure.

    Attributes
    ----------
    rates_per_s : tuple of float
        ECG/s of the open-loop runs, each ``lasts_s`` seconds long.
    settle_s : float
        Each of these runs begins with this long at its rate that is not counted.
    backlog : int
        ECGs of the run that is as fast as it goes.
    warm_up : int
        ECGs before the first run that are not counted.
    drain_s : float
        How long what is open after the last ECG may take to end.
    """

    rates_per_s: tuple[float, ...] = (20.0, 50.0)
    lasts_s: float = 20.0
    settle_s: float = 3.0
    backlog: int = 500
    warm_up: int = 100
    drain_s: float = 120.0
    partitions: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run.

    Attributes
    ----------
    rate_per_s : float or None
        What was asked for; None is the backlog.
    done_per_s : float
        ECGs ended, by the seconds from the first one due to the last one done.
    open_at_end : int
        ECGs not ended when the last one was sent.
    lost : int
        ECGs that never ended within the time given.
    trend : LagTrend
        How the lag moved.
    sustained : bool or None
        Whether the pipeline kept up; None for the backlog, which nothing keeps up with.
    parts : dict of str to Spread
        The way from due to risk in parts whose means add up to its mean.
    risk_to_alert : Spread
        Of the ECGs that raised an alert.
    """

    broker: str
    rate_per_s: float | None
    ecgs: int
    done_per_s: float
    open_at_end: int
    lost: int
    dead: int
    trend: LagTrend
    sustained: bool | None
    to_risk: Spread
    to_alert: Spread
    risk_to_alert: Spread
    parts: dict[str, Spread] = field(default_factory=dict)
    batch_sizes: dict[str, float] = field(default_factory=dict)


async def run_bench(
    plan: BenchPlan, kind: BrokerKind, home: Path, codec: Codec, say: Callable[[str], None]
) -> list[RunResult]:
    """Measure on fresh servers of one kind.

    Raises
    ------
    ServiceError
        When a server or a worker does not start.
    """
    async with fresh_stack(home, kind, plan.partitions) as stack:
        bootstrap = stack.broker.bootstrap
        say(f"{kind} broker: starting the workers")
        with ExitStack() as started:
            workers = running_workers(tuple(ROUTES), home, stack.environment)
            await asyncio.to_thread(started.enter_context, workers)
            load = await asyncio.to_thread(draw_load, utc_now())
            async with (
                open_publisher(bootstrap, codec) as publisher,
                open_topic_reader(bootstrap, _TOPICS, codec, from_beginning=True) as reader,
            ):
                return await _Bench(plan, kind, load, publisher, reader, say).run()


class _Bench:
    def __init__(
        self,
        plan: BenchPlan,
        kind: BrokerKind,
        load: Load,
        publisher: EcgPublisher,
        reader: TopicReader,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._kind, self._load = plan, kind, load
        self._publisher, self._reader, self._say = publisher, reader, say
        self._next_number = 0

    async def run(self) -> list[RunResult]:
        plan = self._plan
        await self._measure(None, [0.0] * plan.warm_up)
        results = []
        for rate in plan.rates_per_s:
            self._say(
                f"{self._kind} broker: {rate:g} ECG/s for {plan.lasts_s:g} s, after {plan.settle_s:g} s "
                "that do not count"
            )
            arrivals = list(poisson_arrivals(rate, plan.settle_s + plan.lasts_s, seed=int(rate)))
            results.append(await self._measure(rate, arrivals))
        # Last, so that nothing of it is left in any buffer when the rates are measured.
        self._say(f"{self._kind} broker: a backlog of {plan.backlog} ECGs")
        return [*results, await self._measure(None, [0.0] * plan.backlog)]

    async def _measure(self, rate: float | None, arrivals_s: list[float]) -> RunResult:
        ecgs = [self._load.ecg(self._next_number + n) for n in range(len(arrivals_s))]
        self._next_number += len(ecgs) + 4 - len(ecgs) % 4  # the next run begins with a new patient
        begun_at, begun_s = utc_now(), time.monotonic()
        settle_s = 0.0 if rate is None else self._plan.settle_s
        tally = Tally(counted_from=begun_at + timedelta(seconds=settle_s))
        sending = asyncio.create_task(
            self._send(zip(ecgs, arrivals_s, strict=True), begun_at, begun_s, tally)
        )
        while not sending.done():
            tally.enter(await self._reader.poll(_POLL_S))
        await sending
        open_at_end = tally.open_count
        await self._drain(tally)
        return self._result(rate, tally, open_at_end)

    async def _send(
        self, schedule: Iterable[tuple[EcgRecorded, float]], begun_at: datetime, begun_s: float, tally: Tally
    ) -> None:
        sent = []
        for ecg, at_s in schedule:
            await asyncio.sleep(max(0.0, begun_s + at_s - time.monotonic()))
            tally.due[ecg.ecg_id] = begun_at + timedelta(seconds=at_s)
            sent.append(asyncio.create_task(self._publisher.publish(ecg)))
        await asyncio.gather(*sent)

    async def _drain(self, tally: Tally) -> None:
        deadline_s = time.monotonic() + self._plan.drain_s
        while tally.open_count and time.monotonic() < deadline_s:
            tally.enter(await self._reader.poll(_POLL_S))
        settled_s = time.monotonic() + 1.0  # the last alerts follow their assessments
        while time.monotonic() < settled_s:
            tally.enter(await self._reader.poll(_POLL_S))

    def _result(self, rate: float | None, tally: Tally, open_at_end: int) -> RunResult:
        trend = tally.lag_trend()
        keeps_up = not tally.open_count and trend.keeps_up
        return RunResult(
            broker=self._kind,
            rate_per_s=rate,
            ecgs=tally.counted,
            done_per_s=tally.done_per_s,
            open_at_end=open_at_end,
            lost=tally.open_count,
            dead=len(tally.dead),
            trend=trend,
            sustained=None if rate is None else keeps_up,
            to_risk=Spread.of(tally.risk_ms),
            to_alert=Spread.of(tally.alert_ms),
            risk_to_alert=Spread.of(tally.risk_to_alert_ms),
            parts={part: Spread.of(observed) for part, observed in tally.parts_ms.items()},
            batch_sizes=tally.batch_sizes,
        )
