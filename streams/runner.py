"""One life for every stage: admit, batch, compute, settle.

Two batches are in the runner at a time: one is worked on in the device thread while the one before it is
being settled (:mod:`streams.settlement`); behind them the next one is being collected.

When partitions are taken away (:meth:`StageRunner.abandon`), what only waits is forgotten, unacknowledged,
and what is being worked on ends. Once a batch is forgotten, so is every later one of the same assignment: an
acknowledgement behind a gap could be committed over it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from streams.intake import Intake
from streams.message import Message, StateStore, Transport
from streams.outcome import BatchClock, Computation, Outcome, Pending
from streams.progress import Progress
from streams.retry import GivenUpError, Retrying
from streams.settlement import Settlement
from streams.tally import Tally
from streams.waiting_room import WaitingRoom


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """A batch that has been worked on, and the assignment it belongs to."""

    assignment: int
    outcomes: Sequence[Outcome]
    finished_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What a runner is made of; :func:`streams.wiring.build_runner` puts it together."""

    intake: Intake
    room: WaitingRoom[Pending]
    computation: Computation
    settlement: Settlement
    transport: Transport
    executor: Executor
    tally: Tally
    progress: Progress
    work_retrying: Retrying
    settle_retrying: Retrying
    state: StateStore | None


class StageRunner:
    """Runs one stage over one transport."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._assignment = 0
        self._broken_through = -1
        self._state_assignment = 0
        self._closed = False
        self._draining = False
        self._finished: asyncio.Queue[Finished] = asyncio.Queue(maxsize=1)

    @property
    def progress(self) -> Progress:
        """How much is in flight and when something was last done."""
        return self._parts.progress

    @property
    def held_up_by(self) -> str | None:
        """Code of the retriable error that holds the stage up, if one does."""
        parts = self._parts
        return parts.intake.held_up_by or parts.work_retrying.held_up_by or parts.settle_retrying.held_up_by

    async def admit(self, message: Message) -> None:
        """Take one fetched message in; returns when there is room, which holds the fetching back."""
        assignment = self._assignment
        try:
            pending = await self._parts.intake.open(message)
            await self._parts.room.wait_for_room(message.size_bytes)
        except GivenUpError:
            self._parts.transport.forget(message)
            return
        if self._closed or self._draining or assignment != self._assignment:
            self._parts.transport.forget(message)
            return
        self._parts.progress.admitted(message.timestamp)
        self._parts.tally.admitted()
        self._parts.room.enter(
            pending,
            partition=message.partition,
            size_bytes=message.size_bytes,
            urgent=self._parts.intake.is_urgent(pending),
        )

    async def run(self) -> None:
        """Work until cancelled.

        Raises
        ------
        Exception
            Whatever neither trying again nor a dead letter can answer. Nothing unsettled is acknowledged.
        """
        loops = [asyncio.create_task(self._work_forever()), asyncio.create_task(self._settle_forever())]
        try:
            await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)

    def abandon(self) -> None:
        """Partitions are being taken away: forget what waits, stop trying again, let the running end.

        Until :meth:`resume`, messages still coming from the transport's own buffers are forgotten too: they
        stand behind the ones just forgotten.
        """
        self._closed = True
        self._assignment += 1
        self._forget(pending.message for pending in self._parts.room.clear())
        self._parts.intake.give_up()
        self._parts.work_retrying.give_up()
        self._parts.settle_retrying.give_up()

    def resume(self) -> None:
        """Partitions are assigned: from now on messages begin at the committed offsets.

        Of two rebalances close together this may come once for each, after both have begun. What came in
        between is forgotten: its partition may have gone.
        """
        if not self._closed:
            self.abandon()
        self._closed = False
        self._assignment += 1

    async def drain(self, budget_s: float) -> bool:
        """Take nothing in any more and finish what is in flight; False when the budget did not suffice."""
        self._draining = True
        self._parts.intake.give_up()
        self._parts.room.hurry()
        return await self._parts.progress.until_idle(budget_s)

    async def _work_forever(self) -> None:
        clock_s = self._parts.progress.clock_s
        while True:
            batch = await self._parts.room.next_batch()
            assignment = self._assignment
            pending = [waiting.item for waiting in batch]
            clock = BatchClock(queue_ms=self._parts.tally.batch_begins(batch, clock_s()), clock_s=clock_s)
            try:
                attempt = partial(self._compute, pending, clock, assignment)
                outcomes = await self._parts.work_retrying.until_done("work", attempt)
            except GivenUpError:
                self._break(assignment, [entry.message for entry in pending])
                continue
            finished = Finished(assignment=assignment, outcomes=outcomes, finished_s=clock_s())
            await self._finished.put(finished)

    async def _compute(self, batch: list[Pending], clock: BatchClock, assignment: int) -> list[Outcome]:
        await self._restore({pending.message.partition for pending in batch}, assignment)
        started_s = clock.clock_s()
        run = self._parts.computation.run
        outcomes = await asyncio.get_running_loop().run_in_executor(self._parts.executor, run, batch, clock)
        self._parts.tally.work_done(clock.clock_s() - started_s)
        return outcomes

    async def _restore(self, partitions: set[int], assignment: int) -> None:
        state = self._parts.state
        if state is None:
            return
        if assignment != self._state_assignment:
            # Meanwhile the partitions may have been another worker's.
            state.drop()
            self._state_assignment = assignment
        await state.restore(partitions)

    async def _settle_forever(self) -> None:
        while True:
            finished = await self._finished.get()
            messages = [outcome.message for outcome in finished.outcomes]
            if finished.assignment <= self._broken_through:
                self._forget(messages)
                continue
            try:
                await self._parts.settlement.settle(finished.outcomes)
            except GivenUpError:
                self._break(finished.assignment, messages)
                continue
            self._parts.tally.settled(self._parts.progress.clock_s() - finished.finished_s)

    def _break(self, assignment: int, messages: Sequence[Message]) -> None:
        self._broken_through = max(self._broken_through, assignment)
        self._forget(messages)

    def _forget(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._parts.transport.forget(message)
            self._parts.progress.forgotten(1)
