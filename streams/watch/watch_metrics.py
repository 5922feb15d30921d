"""What a watch says of itself and of what it watches, for Prometheus. Labels come from the settings.

===========================================  =====  ======  ================================================
name                                         kind   labels  what
===========================================  =====  ======  ================================================
diastole_watch_lag_records                   gauge  stage   not committed, on all partitions
diastole_watch_wait_seconds                  gauge  stage   how long the oldest unread record has waited
diastole_watch_members                       gauge  stage   workers in its group, where Kafka tells
diastole_watch_stage_up                      gauge  stage   0 while it stands still or has no worker
diastole_watch_last_moved_timestamp_seconds  gauge  stage   Unix time it last committed, or had nothing to
diastole_watch_worker_up                     gauge  worker  0 while its health address says no good
diastole_watch_alarms                        gauge  kind    technical alarms of stages that are out
diastole_watch_blind                         gauge          1 while Kafka does not say how stages are
===========================================  =====  ======  ================================================
"""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from schemas.alert import TechnicalAlarm
from streams.watch.ledger import KINDS
from streams.watch.offsets import GroupLook, Movement


class WatchMetrics:
    """The metrics of one watch, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._lag = self._gauge("lag_records", "Not committed", "stage")
        self._wait = self._gauge("wait_seconds", "Wait of the oldest unread record", "stage")
        self._members = self._gauge("members", "Workers in the group", "stage")
        self._stage_up = self._gauge("stage_up", "Whether a stage moves", "stage")
        self._last_moved = self._gauge("last_moved_timestamp_seconds", "Last movement, Unix time", "stage")
        self._worker_up = self._gauge("worker_up", "Whether a worker says it is well", "worker")
        self._alarms = self._gauge("alarms", "Technical alarms that are out", "kind")
        self.blind = self._gauge("blind", "Kafka does not say how stages are")

    def show_stage(self, stage: str, look: GroupLook, movement: Movement, *, is_up: bool) -> None:
        """Set what is known of a stage."""
        self._lag.labels(stage).set(look.unread)
        self._wait.labels(stage).set(look.wait_s)
        if look.n_members is not None:
            self._members.labels(stage).set(look.n_members)
        self._stage_up.labels(stage).set(is_up)
        self._last_moved.labels(stage).set(movement.moved_at.timestamp())

    def show_worker(self, worker: str, *, is_up: bool) -> None:
        """Set whether a worker is well."""
        self._worker_up.labels(worker).set(is_up)

    def show_alarms(self, alarms: Iterable[TechnicalAlarm]) -> None:
        """Set how many alarms are out; a kind without any is 0."""
        tally = Tally(alarm.kind for alarm in alarms)
        for kind in KINDS:
            self._alarms.labels(kind.value).set(tally[kind])

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"diastole_watch_{name}", text, labels, registry=self.registry)
