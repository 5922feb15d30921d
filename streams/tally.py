"""Counting at the stage's borders: what a batch waited for, and what became of each of its messages."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from schemas.risk import Phenotype
from streams.batcher import Waiting
from streams.dead_letters import error_code, error_message
from streams.metrics import StageMetrics
from streams.outcome import Outcome

log = structlog.get_logger()


class Tally:
    """Feeds the metrics and the log of one stage."""

    def __init__(self, stage: str, metrics: StageMetrics, batch_max_items: int) -> None:
        self._stage = stage
        self._metrics = metrics
        self._batch_max_items = batch_max_items

    def admitted(self) -> None:
        """Note one message admitted."""
        self._metrics.records_in.inc()

    def work_done(self, work_s: float) -> None:
        """Note how long the work of a batch took."""
        self._metrics.work.observe(work_s)

    def settled(self, settle_s: float) -> None:
        """Note how long a worked batch took to be acknowledged."""
        self._metrics.settle.observe(settle_s)

    def batch_begins(self, batch: Sequence[Waiting[Any]], now_s: float) -> list[float]:
        """Note a batch's size and waits; returns the waits in ms, one per record."""
        waits_s = [now_s - waiting.arrived_s for waiting in batch]
        for wait_s in waits_s:
            self._metrics.queue_wait.observe(wait_s)
        self._metrics.batch.observe(len(batch))
        self._metrics.fill.set(len(batch) / self._batch_max_items)
        return [wait_s * 1000 for wait_s in waits_s]

    def done(self, outcome: Outcome, in_flight: int) -> None:
        """Note that one message is acknowledged and what came of it."""
        self._metrics.records_done.inc()
        self._metrics.in_flight.set(in_flight)
        self._metrics.last_done.set(time.time())  # Prometheus wants the wall clock; nothing is decided by it
        if outcome.error is not None:
            self._dead(outcome, outcome.error)
        self._metrics.records_out.inc(len(outcome.results))
        for result in outcome.results:
            if getattr(result, "phenotype", None) is Phenotype.NOT_SCORED:
                self._metrics.count_not_scored(result.not_scored_reasons)

    def _dead(self, outcome: Outcome, error: Exception) -> None:
        self._metrics.count_dead(error_code(error))
        log.warning(
            "dead_letter",
            stage=self._stage,
            code=error_code(error),
            reason=error_message(error),
            raised_at=where_raised(error),
            topic=outcome.message.topic,
            partition=outcome.message.partition,
            offset=outcome.message.offset,
        )


def where_raised(error: BaseException) -> str:
    """File and line of an error; its text, if it is not ours, may be about a patient."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
