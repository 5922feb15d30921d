"""Metrics at a stage's borders, for Prometheus. No label ever holds anything of a patient.

=====================================  =========  ==============  ==========================================
name                                   kind       labels          what
=====================================  =========  ==============  ==========================================
diastole_records_in_total              counter    stage           messages fetched and admitted
diastole_records_out_total             counter    stage           published, or put by the effect
diastole_records_done_total            counter    stage           messages acknowledged
diastole_dead_letters_total            counter    stage, code     messages dead-lettered
diastole_not_scored_total              counter    stage, reason   assessments without a score
diastole_queue_wait_seconds            histogram  stage           admitted → its batch begins
diastole_work_seconds                  histogram  stage           work of one batch
diastole_settle_seconds                histogram  stage           work done → acknowledged (Kafka, effects)
diastole_batch_records                 histogram  stage           records in a batch
diastole_batch_fill_ratio              gauge      stage           records of the last batch ÷ most allowed
diastole_in_flight_records             gauge      stage           admitted and not yet acknowledged
diastole_retries_total                 counter    stage, code     pauses after a retriable error
diastole_retrying                      gauge      stage           1 while held up by a retriable error
diastole_lag_records                   gauge      stage           not committed, on the worker's partitions
diastole_last_done_timestamp_seconds   gauge      stage           Unix time of the last acknowledgement
=====================================  =========  ==============  ==========================================
"""

import re
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Label of all reasons that are not told apart.
OTHER: Final = "OTHER"

#: Three times as many as :class:`models.quality.Reason` and eligibility know together; each is a time series.
_MOST_REASONS: Final = 50
_REASON: Final = re.compile("[A-Z][A-Z0-9_]{0,39}")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class StageMetrics:
    """The metrics of one stage, in a registry of its own."""

    def __init__(self, stage: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.records_in = self._counter("diastole_records_in", "Messages admitted").labels(stage)
        self.records_out = self._counter("diastole_records_out", "Records published").labels(stage)
        self.records_done = self._counter("diastole_records_done", "Messages acknowledged").labels(stage)
        self.queue_wait = self._histogram("diastole_queue_wait_seconds", "Wait for a batch").labels(stage)
        self.work = self._histogram("diastole_work_seconds", "Work of one batch").labels(stage)
        self.settle = self._histogram("diastole_settle_seconds", "From work to acknowledged").labels(stage)
        self.batch = self._histogram("diastole_batch_records", "Batch size", _RECORDS).labels(stage)
        self.fill = self._gauge("diastole_batch_fill_ratio", "Fill of the last batch").labels(stage)
        self.in_flight = self._gauge("diastole_in_flight_records", "Not yet acknowledged").labels(stage)
        self.retrying = self._gauge("diastole_retrying", "Held up by a retriable error").labels(stage)
        self.lag = self._gauge("diastole_lag_records", "Not yet committed").labels(stage)
        self.last_done = self._gauge(
            "diastole_last_done_timestamp_seconds", "Last acknowledgement, Unix time"
        ).labels(stage)
        self._stage = stage
        self._reasons: set[str] = set()
        self._dead = self._counter("diastole_dead_letters", "Messages dead-lettered", "code")
        self._not_scored = self._counter("diastole_not_scored", "Assessments without a score", "reason")
        self._retries = self._counter("diastole_retries", "Pauses after a retriable error", "code")

    def count_dead(self, code: str) -> None:
        """Count one dead letter by its error code."""
        self._dead.labels(self._stage, code).inc()

    def count_not_scored(self, reasons: tuple[str, ...]) -> None:
        """Count one assessment without a score under each of its reasons, the lead left out.

        Reasons come out of records, where anything may stand: what does not look like a code, or is one too
        many, is counted as OTHER.
        """
        for reason in {self._known(reason.partition(":")[0]) for reason in reasons}:
            self._not_scored.labels(self._stage, reason).inc()

    def _known(self, reason: str) -> str:
        if reason not in self._reasons:
            if len(self._reasons) == _MOST_REASONS or not _REASON.fullmatch(reason):
                return OTHER
            self._reasons.add(reason)
        return reason

    def count_retry(self, code: str) -> None:
        """Count one pause after a retriable error."""
        self._retries.labels(self._stage, code).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ("stage", *labels), registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("stage",), registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        return Histogram(name, text, ("stage",), registry=self.registry, buckets=buckets)
