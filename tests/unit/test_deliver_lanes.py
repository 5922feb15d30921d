"""Turns at a channel: bounded, in order, passed on when somebody leaves, and paused when asked."""

import asyncio
from datetime import timedelta
from time import monotonic

from notices import RAISED_AT

from schemas.alert import Priority
from streams.deliver.lanes import MOST_PAUSE_S, Lane


class Users:
    """Tasks that take turns; each goes on when it is let."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.began: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}

    def enter(self, name: str, severity: Priority = Priority.LOW, minute: int = 0) -> "asyncio.Task[None]":
        self.may_end[name] = asyncio.Event()
        return asyncio.create_task(self._use(name, severity, minute))

    async def _use(self, name: str, severity: Priority, minute: int) -> None:
        async with self.lane.turn(severity, RAISED_AT + timedelta(minutes=minute)):
            self.began.append(name)
            await self.may_end[name].wait()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_most_severe_is_next_then_what_was_due_first() -> None:
    users = Users(Lane(at_once=1))
    users.enter("first")
    await settled()
    late, early = users.enter("late", minute=2), users.enter("early", minute=1)
    severe = users.enter("severe", Priority.HIGH, minute=3)
    for name in ("first", "severe", "early"):
        await settled()
        users.may_end[name].set()
    await settled()
    assert users.began == ["first", "severe", "early", "late"]
    users.may_end["late"].set()
    await asyncio.gather(late, early, severe)


async def test_who_leaves_while_waiting_or_when_called_passes_the_turn_on() -> None:
    users = Users(Lane(at_once=1))
    first, leaver, called, last = (users.enter(name) for name in ("first", "leaver", "called", "last"))
    await settled()
    leaver.cancel()
    users.may_end["first"].set()
    await first  # "called" has its turn from now on, and has not noticed yet
    called.cancel()
    await settled()
    assert users.began in (["first", "last"], ["first", "called", "last"])
    users.may_end["last"].set()
    await last
    again = users.enter("again")
    await settled()
    assert users.began[-1] == "again"
    again.cancel()


async def test_a_channel_that_asks_for_it_is_left_alone_but_not_for_long() -> None:
    lane, loop = Lane(), asyncio.get_running_loop()
    lane.pause(0.05)
    began_s = loop.time()
    async with lane.turn(Priority.LOW, RAISED_AT):
        assert loop.time() - began_s >= 0.04
    lane.pause(3600)
    assert lane._paused_until - monotonic() <= MOST_PAUSE_S
