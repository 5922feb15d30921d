"""What happens to a batch in the device thread: the stage's verb, the guard around it, and encoding."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.featurized import StageTiming
from streams.bisection import run_bisecting
from streams.envelope import envelope
from streams.message import Message, Outgoing, StateStore
from streams.outcome import BatchClock, Computation, Outcome, Pending, RecordCodec
from streams.stage import Decide, Stage, UtcClock, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Turns a stage's results into messages; ``topic`` None where they do not go to Kafka."""

    stage: str
    topic: str | None
    codec: RecordCodec
    now: UtcClock

    def outgoing(self, results: Sequence[Any], cause: Message) -> list[Outgoing]:
        """Encode the results of one message."""
        if self.topic is None:
            return []
        return [self._outgoing(record, self.topic, cause) for record in results]

    def _outgoing(self, record: Any, topic: str, cause: Message) -> Outgoing:
        return Outgoing(
            topic=topic,
            key=record.patient_id.encode(),
            value=self.codec.encode(record),
            headers=envelope(record, stage=self.stage, topic=topic, incoming=cause.headers, now=self.now()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchComputation:
    """Of a stage without memory: the whole batch at once, split only where it raises."""

    work: Work
    encoding: Encoding

    def run(self, batch: Sequence[Pending], clock: BatchClock) -> list[Outcome]:
        """Implement :meth:`streams.outcome.Computation.run`."""
        alive = [pending.received for pending in batch if pending.received is not None]
        started_s = clock.clock_s()
        results = iter(run_bisecting(self.encoding.stage, self.work, alive))
        work_ms = round((clock.clock_s() - started_s) * 1000, 3)
        outcomes = []
        for pending, queue_ms in zip(batch, clock.queue_ms, strict=True):
            if pending.received is None:
                outcomes.append(Outcome(message=pending.message, error=pending.error))
                continue
            timing = StageTiming(
                stage=self.encoding.stage,
                queue_ms=round(max(0.0, queue_ms), 3),
                work_ms=work_ms,
                batch_size=len(alive),
            )
            outcomes.append(self._outcome(pending.message, next(results), timing))
        return outcomes

    def _outcome(self, message: Message, result: object, timing: StageTiming) -> Outcome:
        if isinstance(result, Exception):
            return Outcome(message=message, error=result)

        def encode(alone: Sequence[object]) -> list[Outcome]:
            outgoing = self.encoding.outgoing([_timed(alone[0], timing)], message)
            return [Outcome(message=message, results=alone, outgoing=outgoing)]

        return _alone(self.encoding.stage, encode, result, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidingComputation:
    """Of a stage with memory: record by record, each seeing what the one before it left."""

    decide: Decide
    encoding: Encoding
    state: StateStore

    def run(self, batch: Sequence[Pending], clock: BatchClock) -> list[Outcome]:
        """Implement :meth:`streams.outcome.Computation.run`."""
        # Changes within the batch are kept only when the whole batch went well: a batch that is tried again
        # must start from the state before.
        changed: dict[tuple[int, bytes], bytes] = {}

        def decide(alone: Sequence[Pending]) -> list[Outcome]:
            return [self._decide(alone[0], changed)]

        outcomes = []
        for pending in batch:
            outcome = _alone(self.encoding.stage, decide, pending, pending.message)
            if outcome.change is not None:
                changed[pending.message.partition, outcome.change[0]] = outcome.change[1]
            outcomes.append(outcome)
        for (partition, key), after in changed.items():
            self.state.keep(partition, key, after)
        return outcomes

    def _decide(self, pending: Pending, changed: dict[tuple[int, bytes], bytes]) -> Outcome:
        message = pending.message
        if pending.received is None:
            return Outcome(message=message, error=pending.error)
        key = pending.received.record.patient_id.encode()
        before = changed.get((message.partition, key))
        if before is None:
            before = self.state.get(message.partition, key)
        after, results = self.decide(before, pending.received)
        outgoing = self.encoding.outgoing(results, message)
        change = (key, after) if after != before else None
        return Outcome(message=message, results=results, outgoing=outgoing, change=change)


def build_computation(stage: Stage[Any], encoding: Encoding, state: StateStore | None) -> Computation:
    """Choose by which verb the stage has."""
    if stage.work is not None:
        return BatchComputation(work=stage.work, encoding=encoding)
    if stage.decide is None or state is None:
        raise ValueError(f"stage {stage.name} decides with a memory and needs a state store")
    return DecidingComputation(decide=stage.decide, encoding=encoding, state=state)


def _alone(stage: str, work: Any, item: Any, message: Message) -> Outcome:
    (outcome,) = run_bisecting(stage, work, [item])
    return Outcome(message=message, error=outcome) if isinstance(outcome, Exception) else outcome


def _timed(record: Any, timing: StageTiming) -> Any:
    if not hasattr(record, "timings"):
        return record
    return dataclasses.replace(record, timings=(*record.timings, timing))
