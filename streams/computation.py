"""What happens to a batch in the device thread: the stage's verb, the guard around it, and encoding."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.featurized import StageTiming
from streams.bisection import run_bisecting
from streams.envelope import envelope
from streams.message import Headers, Message, Outgoing, StateStore
from streams.stage import Received, Stage, UtcClock


class RecordCodec(Protocol):
    """Records to Kafka values and back: :class:`schemas.codec.Codec`."""

    def encode(self, record: Any) -> bytes:
        """Encode one record; PoisonError where it cannot be."""

    def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
        """Decode one value; PoisonError where it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pending:
    """One message admitted: its record, or why there is none."""

    message: Message
    received: Received[Any] | None = None
    error: Exception | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of one message.

    Attributes
    ----------
    results : sequence
        What the stage made of it: nothing, one record or several.
    outgoing : sequence of Outgoing
        The results encoded, for a stage that publishes.
    error : Exception or None
        Set when the message is to be dead-lettered; then there is nothing else.
    change : tuple of bytes or None
        Key and new state of the patient, where this message changed it.
    """

    message: Message
    results: Sequence[Any] = ()
    outgoing: Sequence[Outgoing] = ()
    error: Exception | None = None
    change: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchClock:
    """How long each record of a batch waited, ms, and the monotonic clock that says how long the work takes."""

    queue_ms: Sequence[float]
    clock_s: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """The computing half of one stage; called from one thread only.

    Attributes
    ----------
    produces : str or None
        Topic of the results; None where they do not go to Kafka.
    state : StateStore or None
        Of a stage with memory.
    """

    stage: Stage[Any]
    produces: str | None
    codec: RecordCodec
    now: UtcClock
    state: StateStore | None = None

    def run(self, batch: Sequence[Pending], clock: BatchClock) -> list[Outcome]:
        """Turn a batch into outcomes, one per message, in order.

        Raises
        ------
        RetriableError
            Nothing was kept; the same batch is to be given again.
        """
        if self.stage.decide is not None:
            return self._decide_all(batch)
        return self._work(batch, clock)

    def _work(self, batch: Sequence[Pending], clock: BatchClock) -> list[Outcome]:
        assert self.stage.work is not None
        started_s = clock.clock_s()
        received = [pending.received for pending in batch if pending.received is not None]
        results = iter(run_bisecting(self.stage.name, self.stage.work, received))
        work_ms = (clock.clock_s() - started_s) * 1000
        outcomes = []
        for pending, queue_ms in zip(batch, clock.queue_ms, strict=True):
            result = next(results) if pending.received is not None else pending.error
            timing = StageTiming(
                stage=self.stage.name,
                queue_ms=round(queue_ms, 3),
                work_ms=round(work_ms, 3),
                batch_size=len(received),
            )
            outcomes.append(self._outcome(pending.message, result, timing))
        return outcomes

    def _outcome(self, message: Message, result: object, timing: StageTiming) -> Outcome:
        if isinstance(result, Exception):
            return Outcome(message=message, error=result)
        if self.produces is None:
            return Outcome(message=message, results=[result])
        (encoded,) = run_bisecting(
            self.stage.name, lambda alone: [self._encode(message, _timed(*alone, timing))], [result]
        )
        if isinstance(encoded, Exception):
            return Outcome(message=message, error=encoded)
        return Outcome(message=message, results=[result], outgoing=[encoded])

    def _decide_all(self, batch: Sequence[Pending]) -> list[Outcome]:
        assert self.state is not None
        # Changes within the batch, seen by the patient's next record; kept only when the whole batch went well,
        # because a batch that is tried again must start from the state before.
        changed: dict[tuple[int, bytes], bytes] = {}
        outcomes = []
        for pending in batch:
            (outcome,) = run_bisecting(
                self.stage.name, lambda alone: [self._decide(*alone, changed)], [pending]
            )
            if isinstance(outcome, Exception):
                outcome = Outcome(message=pending.message, error=outcome)
            if outcome.change is not None:
                key, after = outcome.change
                changed[pending.message.partition, key] = after
            outcomes.append(outcome)
        for (partition, key), after in changed.items():
            self.state.keep(partition, key, after)
        return outcomes

    def _decide(self, pending: Pending, changed: dict[tuple[int, bytes], bytes]) -> Outcome:
        assert self.state is not None
        assert self.stage.decide is not None
        message = pending.message
        if pending.received is None:
            return Outcome(message=message, error=pending.error)
        key = pending.received.record.patient_id.encode()
        before = changed.get((message.partition, key)) or self.state.get(message.partition, key)
        after, results = self.stage.decide(before, pending.received)
        outgoing = [self._encode(message, record) for record in results]
        change = (key, after) if after != before else None
        return Outcome(message=message, results=results, outgoing=outgoing, change=change)

    def _encode(self, message: Message, record: Any) -> Outgoing:
        assert self.produces is not None
        return Outgoing(
            topic=self.produces,
            key=record.patient_id.encode(),
            value=self.codec.encode(record),
            headers=envelope(
                record, stage=self.stage.name, topic=self.produces, incoming=message.headers, now=self.now()
            ),
        )


def _timed(record: Any, timing: StageTiming) -> Any:
    if not hasattr(record, "timings"):
        return record
    return dataclasses.replace(record, timings=(*record.timings, timing))
