"""An emptied history is noticed and filled again by one worker, however it is disturbed meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from streams.history import HistoryUnavailableError
from streams.rebuild import RebuildStalledError
from streams.refill import HistoryRefill


class Marks:
    """Marks in memory, as several workers share them; ``wipe`` is what FLUSHALL does."""

    def __init__(self) -> None:
        self.mark: str | None = None
        self.holder: str | None = None
        self.renewed = 0
        self.renewed_thrice = asyncio.Event()

    def wipe(self) -> None:
        self.mark = self.holder = None

    async def are_set(self) -> bool:
        return self.mark == "filled"

    async def begin(self, worker: str) -> bool:
        if self.holder not in (None, worker):
            return False
        self.holder = self.mark = worker
        return True

    async def renew(self, worker: str) -> None:
        self.renewed += 1
        if self.renewed == 3:
            self.renewed_thrice.set()

    async def finish(self, worker: str) -> bool:
        self.holder = None
        if self.mark != worker:
            return False
        self.mark = "filled"
        return True


class Rebuild:
    """Counts how often it was asked, and does next whatever stands in ``script``."""

    def __init__(self, *script: Callable[[], object] | Exception) -> None:
        self.script = list(script)
        self.times = 0

    async def __call__(self) -> int:
        self.times += 1
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            result = step()
            if isinstance(result, Awaitable):
                await result
        return 3


def refill(marks: Marks, rebuild: Rebuild, worker: str = "a") -> HistoryRefill:
    return HistoryRefill(marks, rebuild, worker=worker)


async def test_an_empty_redis_is_filled_once_and_marked() -> None:
    marks, rebuild = Marks(), Rebuild()
    mine = refill(marks, rebuild)
    for _ in range(3):
        await mine.look()
    assert rebuild.times == 1
    assert marks.mark == "filled"


async def test_a_wipe_is_noticed_at_the_next_look() -> None:
    marks, rebuild = Marks(), Rebuild()
    mine = refill(marks, rebuild)
    await mine.look()
    marks.wipe()
    await mine.look()
    await mine.look()
    assert rebuild.times == 2


async def test_a_wipe_while_filling_is_no_success() -> None:
    marks = Marks()
    rebuild = Rebuild(marks.wipe)
    mine = refill(marks, rebuild)
    await mine.look()
    assert not await marks.are_set()
    await mine.look()
    assert await marks.are_set()
    assert rebuild.times == 2


async def test_of_two_workers_one_fills() -> None:
    marks, going_on = Marks(), asyncio.Event()
    first, second = Rebuild(going_on.wait), Rebuild()
    filling = asyncio.create_task(refill(marks, first, "a").look())
    await asyncio.sleep(0)
    await refill(marks, second, "b").look()
    assert second.times == 0
    going_on.set()
    await filling
    await refill(marks, second, "b").look()
    assert (first.times, second.times) == (1, 0)


async def test_who_lost_its_turn_meanwhile_marks_nothing() -> None:
    marks = Marks()

    def taken_over() -> None:
        marks.holder = marks.mark = "b"  # this worker slept past its turn

    await refill(marks, Rebuild(taken_over), "a").look()
    assert marks.mark == "b"


@pytest.mark.parametrize("trouble", [HistoryUnavailableError("redis"), RebuildStalledError("kafka")])
async def test_trouble_is_for_the_next_look(trouble: Exception) -> None:
    marks, rebuild = Marks(), Rebuild(trouble)
    mine = refill(marks, rebuild)
    with capture_logs() as logs:
        await mine.try_to_look()
        await mine.try_to_look()
        await mine.try_to_look()
    assert rebuild.times == 2
    assert await marks.are_set()
    assert [line["event"] for line in logs] == [
        "history_refill_begins",
        "history_refill_held_up",
        "history_refill_begins",
        "history_refilled",
    ]


async def test_the_same_trouble_is_told_once() -> None:
    class Away(Marks):
        async def are_set(self) -> bool:
            raise HistoryUnavailableError("redis")

    mine = refill(Away(), Rebuild())
    with capture_logs() as logs:
        for _ in range(5):
            await mine.try_to_look()
    assert [line["event"] for line in logs] == ["history_refill_held_up"]


async def test_what_is_no_passing_trouble_ends_the_worker() -> None:
    with pytest.raises(ZeroDivisionError):
        await refill(Marks(), Rebuild(ZeroDivisionError())).run()


async def test_a_turn_is_renewed_while_filling_and_no_longer() -> None:
    marks = Marks()

    async def wait(seconds: float) -> None:
        await asyncio.sleep(0)

    await HistoryRefill(marks, Rebuild(marks.renewed_thrice.wait), worker="a", wait=wait).look()
    renewed = marks.renewed
    assert renewed >= 3
    for _ in range(10):
        await asyncio.sleep(0)
    assert marks.renewed == renewed


async def test_it_looks_again_and_again() -> None:
    marks, rebuild, looks = Marks(), Rebuild(), 0

    class EnoughError(Exception):
        pass

    async def wait(seconds: float) -> None:
        nonlocal looks
        looks += 1
        marks.wipe()
        if looks == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        await HistoryRefill(marks, rebuild, worker="a", wait=wait).run()
    assert rebuild.times == 3
