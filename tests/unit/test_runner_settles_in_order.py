import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from schemas.errors import ConfigurationError, FatalError, PoisonError, RetriableError
from schemas.recorded import Urgency
from streams.message import Headers, Message, Outgoing
from streams.metrics import StageMetrics
from streams.progress import Progress
from streams.retry import TriedEnoughError
from streams.runner import StageRunner
from streams.settings import Settings
from streams.stage import Received, Stage
from streams.topology import Route
from streams.wiring import build_runner

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    patient_id: str
    text: str
    urgency: Urgency = Urgency.ROUTINE


class NoteCodec:
    def encode(self, record: Any) -> bytes:
        if record.text == "unwritable":
            raise PoisonError("cannot be written")
        return f"{record.patient_id}:{record.text}".encode()

    def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
        patient_id, _, text = payload.decode().partition(":")
        if not text:
            raise PoisonError("no text")
        urgency = Urgency.STAT if text.isupper() else Urgency.ROUTINE
        return Note(patient_id=patient_id, text=text, urgency=urgency)


class Tape:
    """A transport and a state that write down everything that happens, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.fail: list[Exception] = []
        self.states: dict[tuple[int, bytes], bytes] = {}
        self.memory: dict[tuple[int, bytes], bytes] | None = None

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.events += [("sent", (message.topic, message.value)) for message in outgoing]

    async def acknowledge(self, message: Message) -> None:
        self.events.append(("acked", (message.partition, message.offset)))

    def forget(self, message: Message) -> None:
        self.events.append(("forgotten", (message.partition, message.offset)))

    async def restore(self, partitions: set[int]) -> None:
        if self.memory is None:
            self.memory = dict(self.states)

    def get(self, partition: int, key: bytes) -> bytes | None:
        assert self.memory is not None
        return self.memory.get((partition, key))

    def keep(self, partition: int, key: bytes, state: bytes) -> None:
        assert self.memory is not None
        self.memory[partition, key] = state

    async def write(self, changes: dict[tuple[int, bytes], bytes]) -> None:
        self.states.update(changes)
        self.events += [("remembered", state) for state in changes.values()]

    def drop(self) -> None:
        self.memory = None

    def of(self, kind: str) -> list[Any]:
        return [what for happened, what in self.events if happened == kind]


def echo(batch: Sequence[Received[Note]]) -> list[Note]:
    return [received.record for received in batch]


def message(offset: int, value: bytes | None, partition: int = 0, headers: Headers = ()) -> Message:
    return Message(
        topic="in", partition=partition, offset=offset, key=b"k", value=value, headers=headers, timestamp=NOW
    )


@asynccontextmanager
async def running(
    tape: Tape,
    produces: str | None = "out",
    metrics: StageMetrics | None = None,
    codec: NoteCodec | None = None,
    registry_url: str | None = None,
    **stage: Any,
) -> AsyncIterator[tuple[StageRunner, asyncio.Task[None]]]:
    settings = Settings(
        max_delay_ms=1,
        batch_max_items=4,
        queue_max_items=8,
        max_record_bytes=1024,
        retry_first_s=0.01,
        retry_most_s=0.02,
        registry_url=registry_url,
    )
    given = {"name": "toy", "reads": Note, **({"work": echo} if "decide" not in stage else {}), **stage}
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        runner = build_runner(
            Stage(**given),
            Route(stage="toy", consumes="in", produces=produces),
            codec=codec or NoteCodec(),
            transport=tape,
            executor=executor,
            settings=settings,
            metrics=metrics or StageMetrics("toy"),
            progress=Progress(loop.time),
            state=tape,
            now=lambda: NOW,
        )
        task = asyncio.create_task(runner.run())
        try:
            yield runner, task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, ConfigurationError, FatalError):
                await task


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if reached():
                return
            await asyncio.sleep(0.001)


async def test_a_message_is_acknowledged_after_its_result_is() -> None:
    tape = Tape()
    async with running(tape) as (runner, _):
        await runner.admit(message(0, b"p:hello"))
        await until(lambda: bool(tape.of("acked")))
    assert tape.events == [("sent", ("out", b"p:hello")), ("acked", (0, 0))]


async def test_memory_becomes_durable_after_what_it_caused_and_before_the_acknowledgement() -> None:
    def remember(before: bytes | None, received: Received[Note]) -> tuple[bytes, list[Note]]:
        return (before or b"") + received.record.text.encode(), [received.record]

    tape = Tape()
    async with running(tape, decide=remember) as (runner, _):
        await runner.admit(message(0, b"p:a"))
        await runner.admit(message(1, b"p:b"))
        await until(lambda: len(tape.of("acked")) == 2)
    assert tape.states == {(0, b"p"): b"ab"}
    assert [kind for kind, _ in tape.events] in (
        ["sent", "sent", "remembered", "acked", "acked"],
        ["sent", "remembered", "acked", "sent", "remembered", "acked"],
    )


async def test_a_record_that_fails_changes_no_memory_and_is_a_dead_letter() -> None:
    def remember(before: bytes | None, received: Received[Note]) -> tuple[bytes, list[Note]]:
        return (before or b"") + b"x", [received.record]

    tape = Tape()
    async with running(tape, decide=remember) as (runner, _):
        await runner.admit(message(0, b"p:fine"))
        await runner.admit(message(1, b"p:unwritable"))
        await until(lambda: len(tape.of("acked")) == 2)
    assert tape.states == {(0, b"p"): b"x"}
    assert tape.of("sent") == [("out", b"p:fine"), ("in.dlq", b"p:unwritable")]


async def test_an_effect_is_done_before_the_acknowledgement_and_tried_until_it_is() -> None:
    tape, failures = Tape(), [RetriableError("no redis"), RetriableError("no redis")]

    async def put(results: Sequence[Note]) -> None:
        if failures:
            raise failures.pop()
        tape.events.append(("put", [note.text for note in results]))

    with capture_logs() as logs:
        async with running(tape, produces=None, effect=put) as (runner, _):
            await runner.admit(message(0, b"p:a"))
            await until(lambda: bool(tape.of("acked")))
    assert tape.events == [("put", ["a"]), ("acked", (0, 0))]
    assert [line["event"] for line in logs] == ["held_up", "going_on"]


async def test_a_retriable_error_of_the_work_brings_the_same_batch_again() -> None:
    tape, batches = Tape(), []

    def sometimes(batch: Sequence[Received[Note]]) -> list[Note]:
        batches.append([received.record.text for received in batch])
        if len(batches) == 1:
            raise RetriableError("no memory on the device")
        return echo(batch)

    async with running(tape, work=sometimes) as (runner, _):
        await runner.admit(message(0, b"p:a"))
        await until(lambda: bool(tape.of("acked")))
    assert batches == [["a"], ["a"]]
    assert runner.held_up_by is None


async def test_a_poison_record_costs_itself_and_order_is_kept() -> None:
    def picky(batch: Sequence[Received[Note]]) -> list[Note]:
        if any(received.record.text == "bad" for received in batch):
            raise KeyError("Jane Doe")
        return echo(batch)

    tape = Tape()
    with capture_logs() as logs:
        async with running(tape, work=picky) as (runner, _):
            for offset, text in enumerate(["a", "bad", "c", "", "e"]):
                await runner.admit(message(offset, f"p:{text}".encode()))
            await until(lambda: len(tape.of("acked")) == 5)
    assert tape.of("acked") == [(0, offset) for offset in range(5)]
    assert [topic for topic, _ in tape.of("sent")] == ["out", "in.dlq", "out", "in.dlq", "out"]
    assert "Jane Doe" not in str(logs)
    assert [line["code"] for line in logs] == ["KeyError", "POISON"]


async def test_when_kafka_refuses_for_good_nothing_is_acknowledged_and_the_runner_ends() -> None:
    tape = Tape()
    tape.fail = [ConfigurationError("too large")]
    async with running(tape) as (runner, ended):
        await runner.admit(message(0, b"p:a"))
        with pytest.raises(ConfigurationError):
            await asyncio.wait_for(ended, 10)
    assert tape.events == []


async def test_after_partitions_are_taken_away_nothing_behind_what_was_forgotten_is_acknowledged() -> None:
    tape, hold = Tape(), asyncio.Event()

    async def held(results: Sequence[Note]) -> None:
        if not hold.is_set():
            raise RetriableError("held")

    async with running(tape, effect=held) as (runner, _):
        for offset in range(12):
            task = asyncio.create_task(runner.admit(message(offset, b"p:a")))
            await asyncio.sleep(0)
        await until(lambda: runner.held_up_by is not None)
        runner.abandon()
        await task
        await until(lambda: len(tape.of("forgotten")) == 12)
        assert not tape.of("acked")
        hold.set()
        await runner.admit(message(12, b"p:a"))  # still in the transport's buffers, behind the gap
        assert tape.of("forgotten")[-1] == (0, 12)
        runner.resume()
        await runner.admit(message(0, b"p:b"))  # the new assignment begins at the committed offset
        await until(lambda: bool(tape.of("acked")))
    assert tape.of("acked") == [(0, 0)]
    assert runner.progress.in_flight == 0


async def test_draining_finishes_what_is_in_and_takes_nothing_more() -> None:
    tape = Tape()
    async with running(tape) as (runner, _):
        for offset in range(5):
            await runner.admit(message(offset, b"p:a"))
        assert await runner.drain(5)
        await runner.admit(message(5, b"p:late"))
    assert tape.of("acked") == [(0, offset) for offset in range(5)]
    assert tape.of("forgotten") == [(0, 5)]


async def test_draining_says_when_its_budget_does_not_suffice() -> None:
    async def never(results: Sequence[Note]) -> None:
        raise RetriableError("no redis")

    tape = Tape()
    async with running(tape, effect=never) as (runner, _):
        await runner.admit(message(0, b"p:a"))
        assert not await runner.drain(0.1)
    assert not tape.of("acked")


async def test_what_went_in_is_counted_out_or_dead() -> None:
    tape, metrics = Tape(), StageMetrics("toy")
    async with running(tape, metrics=metrics) as (runner, _):
        for offset, value in enumerate([b"p:a", b"p:b", b"garbage", None, b"x" * 2000]):
            await runner.admit(message(offset, value))
        await until(lambda: len(tape.of("acked")) == 5)
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert 'diastole_records_in_total{stage="toy"} 5.0' in lines
    assert 'diastole_records_out_total{stage="toy"} 2.0' in lines
    assert 'diastole_records_done_total{stage="toy"} 5.0' in lines
    for code in ("POISON", "EMPTY_RECORD", "PAYLOAD_TOO_LARGE"):
        assert f'diastole_dead_letters_total{{code="{code}",stage="toy"}} 1.0' in lines
    assert 'diastole_in_flight_records{stage="toy"} 0.0' in lines


async def test_what_came_in_between_two_rebalances_close_together_is_forgotten() -> None:
    tape, hold = Tape(), asyncio.Event()

    async def held(results: Sequence[Note]) -> None:
        await hold.wait()

    async with running(tape, effect=held) as (runner, _):
        for offset in range(12):
            admitting = asyncio.create_task(runner.admit(message(100 + offset, b"p:a")))
            await asyncio.sleep(0)
        runner.abandon()  # both begin before the first is over
        runner.abandon()
        await admitting
        runner.resume()
        before = len(tape.of("forgotten"))
        await runner.admit(message(5, b"p:a"))
        runner.resume()  # partition 0 may be someone else's now
        hold.set()
        await until(lambda: runner.progress.in_flight == 0)
    assert tape.of("forgotten")[before:] == [(0, 5)]
    assert (0, 5) not in tape.of("acked")


async def test_a_registry_that_does_not_answer_is_named_as_what_holds_the_stage_up() -> None:
    class UnansweredError(RetriableError):
        code = "NO_ANSWER"

    class RemoteCodec(NoteCodec):
        answers = False

        def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
            if not self.answers:
                raise UnansweredError("later")
            return super().decode(payload, *expected, headers=headers)

    tape, codec = Tape(), RemoteCodec()
    async with running(tape, codec=codec) as (runner, _):
        admitting = asyncio.create_task(runner.admit(message(0, b"p:a")))
        await until(lambda: runner.held_up_by == "NO_ANSWER")
        assert runner.progress.in_flight == 0
        codec.answers = True
        await admitting
        await until(lambda: bool(tape.of("acked")))
        assert runner.held_up_by is None


async def test_while_a_remote_registry_is_asked_everything_else_goes_on() -> None:
    asked, answer = threading.Event(), threading.Event()

    class RemoteCodec(NoteCodec):
        def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
            asked.set()
            assert answer.wait(10)
            return super().decode(payload, *expected, headers=headers)

    tape = Tape()
    async with running(tape, codec=RemoteCodec(), registry_url="http://registry") as (runner, _):
        admitting = asyncio.create_task(runner.admit(message(0, b"p:a")))
        await until(asked.is_set)
        answer.set()  # on the loop that a call in it would have blocked
        await admitting
        await until(lambda: bool(tape.of("acked")))


async def test_a_record_without_memory_is_tried_for_a_while_and_then_left_to_a_fresh_process() -> None:
    tries = []

    def starved(batch: Sequence[Received[Note]]) -> list[Note]:
        tries.append(len(batch))
        raise MemoryError

    tape = Tape()
    async with running(tape, work=starved) as (runner, ended):
        await runner.admit(message(0, b"p:a"))
        with pytest.raises(TriedEnoughError, match="MEMORY after 12 attempts"):
            await asyncio.wait_for(ended, 10)
    assert tries == [1] * 12
    assert tape.events == []
