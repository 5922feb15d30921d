"""The life of a feed's process: a signal ends it in order, and so does a gateway that can do no more."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas.errors import RetriableError
from streams.feeds.pulse import Pulse
from streams.feeds.serving import serve_until_told

DEADLINE_S = 10.0


class Gateway:
    """Can do no more once ``end`` is set."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.steps: list[str] = []

    async def until_over(self) -> NoReturn:
        await self.end.wait()
        raise RetriableError("start it again")

    @asynccontextmanager
    async def opening(self) -> AsyncIterator["Gateway"]:
        self.steps.append("opened")
        try:
            yield self
        finally:
            self.steps.append("closed")

    async def serve(self, _: "Gateway", stop: asyncio.Event) -> None:
        await stop.wait()
        self.steps.append("stopped")


async def test_a_signal_ends_it_in_order_and_well() -> None:
    gateway = Gateway()

    async def serve(opened: Gateway, stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await gateway.serve(opened, stop)

    await asyncio.wait_for(serve_until_told(gateway.opening(), serve), DEADLINE_S)
    assert gateway.steps == ["opened", "stopped", "closed"]


async def test_a_gateway_that_can_do_no_more_ends_in_order_and_says_why() -> None:
    gateway = Gateway()
    gateway.end.set()
    with pytest.raises(RetriableError, match="start it again"):
        await asyncio.wait_for(serve_until_told(gateway.opening(), gateway.serve), DEADLINE_S)
    assert gateway.steps == ["opened", "stopped", "closed"]


async def test_a_gateway_that_can_do_no_more_is_cut_when_it_does_not_end() -> None:
    gateway = Gateway()
    gateway.end.set()

    async def serve(_: Gateway, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RetriableError, match="start it again"):
        await asyncio.wait_for(serve_until_told(gateway.opening(), serve, leave_s=0.01), DEADLINE_S)
    assert gateway.steps == ["opened", "closed"]


async def test_what_ends_by_itself_is_no_failure() -> None:
    gateway = Gateway()

    async def serve(_: Gateway, stop: asyncio.Event) -> None:
        return None

    await serve_until_told(gateway.opening(), serve)
    gateway.end.set()
    assert gateway.steps == ["opened", "closed"]


async def test_a_signal_ends_the_wait_for_what_is_not_there_yet() -> None:
    gateway = Gateway()

    @asynccontextmanager
    async def never() -> AsyncIterator[Gateway]:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        yield gateway

    await asyncio.wait_for(serve_until_told(never(), gateway.serve), DEADLINE_S)
    assert gateway.steps == []


@pytest.mark.parametrize("trouble", [KafkaConnectionError(), TimeoutError(), ConnectionError()])
async def test_a_broker_that_does_not_answer_is_noticed_and_forgotten_when_it_does(
    trouble: Exception,
) -> None:
    answers: list[Exception | None] = [trouble, None, trouble]
    seen: list[bool] = []
    asked_out = asyncio.Event()

    async def ask() -> None:
        seen.append(pulse.is_answered)
        if not answers:
            asked_out.set()
            await asyncio.Event().wait()
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    pulse = Pulse(ask, every_s=0, within_s=DEADLINE_S)
    pulse.start()
    await asyncio.wait_for(asked_out.wait(), DEADLINE_S)
    await pulse.stop()
    assert seen == [True, False, True, False]


async def test_a_broker_that_is_silent_is_noticed() -> None:
    asked: list[bool] = []
    twice = asyncio.Event()

    async def ask() -> None:
        asked.append(pulse.is_answered)
        if len(asked) == 2:
            twice.set()
        await asyncio.Event().wait()

    pulse = Pulse(ask, every_s=0, within_s=0.01)
    pulse.start()
    await asyncio.wait_for(twice.wait(), DEADLINE_S)
    await pulse.stop()
    assert asked == [True, False]
