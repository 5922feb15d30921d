"""What delivering says of itself to Prometheus. No label ever holds anything of a patient.

========================================  =========  =================  =====================================
name                                      kind       labels             what
========================================  =========  =================  =====================================
diastole_deliver_alerts                   gauge      state              alerts of this process, by state
diastole_deliver_seconds                  histogram  channel            raised → taken by a channel, level 0
diastole_deliver_attempts_total           counter    channel, outcome   sent, failed, refused
diastole_deliver_waiting                  gauge      channel            notices that wait or are being sent
diastole_deliver_answer_seconds           histogram                     raised → somebody answered
diastole_deliver_escalations_total        counter    level              steps up the ladder
diastole_deliver_alarms                   gauge                         alerts a route of which reached nobody
diastole_deliver_book_behind_seconds      gauge                         since the book held all Kafka held
diastole_deliver_unreadable_total         counter    topic              records met that cannot be read
========================================  =========  =================  =====================================
"""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.deliver.life import LifeState

#: From the second that a page takes to the day after which an alert is too old.
_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)


class DeliverMetrics:
    """The metrics of one deliver process, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._alerts = self._gauge("diastole_deliver_alerts", "Alerts by state", "state")
        self.seconds = self._histogram("diastole_deliver_seconds", "Raised to delivered", "channel")
        self.attempts = Counter(
            "diastole_deliver_attempts", "Attempts", ("channel", "outcome"), registry=self.registry
        )
        self.waiting = self._gauge("diastole_deliver_waiting", "Notices on their way", "channel")
        self.answer = self._histogram("diastole_deliver_answer_seconds", "Raised to answered")
        self.escalations = Counter(
            "diastole_deliver_escalations", "Steps up the ladder", ("level",), registry=self.registry
        )
        self.alarms = self._gauge("diastole_deliver_alarms", "Alerts a route of which reached nobody in time")
        self.behind = self._gauge("diastole_deliver_book_behind_seconds", "Age of what is known")
        self._unreadable = Counter(
            "diastole_deliver_unreadable", "Records that cannot be read", ("topic",), registry=self.registry
        )
        self._n_unreadable = Tally[str]()

    def show_states(self, states: Iterable[LifeState]) -> None:
        """Set how many alerts are in each state; a state without any is 0."""
        tally = Tally(states)
        for state in LifeState:
            self._alerts.labels(state.value).set(tally[state])

    def show_unreadable(self, n_by_topic: Mapping[str, int]) -> None:
        """Count up to what the book counted since the process began; a topic without any is 0."""
        for topic, n in n_by_topic.items():
            self._unreadable.labels(topic).inc(n - self._n_unreadable[topic])
            self._n_unreadable[topic] = n

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(name, what, labels, registry=self.registry, buckets=_SECONDS)
