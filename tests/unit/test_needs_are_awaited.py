import asyncio
from typing import Any, cast

import pytest

from streams.adapters.kafka_probe import KafkaProbe
from streams.metrics import StageMetrics
from streams.needs import StartUnfinishedError, await_needs
from streams.retry import Retrying
from streams.stage import Stage
from streams.topology import Route

ROUTE = Route(stage="toy", consumes="in", produces="out")


class SlowProbe:
    """Answers, well, when it is let."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def require_rights(self, rights: Any) -> None:
        """Grant all."""

    async def require_topics(self, topics: Any) -> None:
        self.asked.set()
        await self.answer.wait()


def waiting_for(probe: SlowProbe, stop: asyncio.Event, start: Any, budget_s: float) -> asyncio.Task[bool]:
    stage = Stage(name="toy", reads=dict, work=list, start=start)
    retrying = Retrying("toy", 0.01, 0.01, StageMetrics("toy"))
    return asyncio.create_task(
        await_needs(stage, ROUTE, cast(KafkaProbe, probe), retrying, stop, budget_s=budget_s)
    )


async def test_sigterm_during_a_step_that_then_succeeds_starts_nothing_more() -> None:
    probe, stop, started = SlowProbe(), asyncio.Event(), []

    async def start() -> None:
        started.append(True)

    waiting = waiting_for(probe, stop, start, budget_s=10)
    await probe.asked.wait()
    stop.set()
    await asyncio.sleep(0)
    probe.answer.set()
    assert not await asyncio.wait_for(waiting, 10)
    assert not started


async def test_sigterm_during_a_start_that_does_not_end_is_obeyed_after_the_budget() -> None:
    probe, stop, starts = SlowProbe(), asyncio.Event(), asyncio.Event()
    probe.answer.set()

    async def start() -> None:
        starts.set()
        await asyncio.Event().wait()

    waiting = waiting_for(probe, stop, start, budget_s=0.05)
    await starts.wait()
    stop.set()
    with pytest.raises(StartUnfinishedError):
        await asyncio.wait_for(waiting, 10)


async def test_with_everything_there_the_stage_has_been_started() -> None:
    probe, started = SlowProbe(), []
    probe.answer.set()

    async def start() -> None:
        started.append(True)

    assert await asyncio.wait_for(waiting_for(probe, asyncio.Event(), start, budget_s=10), 10)
    assert started == [True]
