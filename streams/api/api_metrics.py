"""Metrics of the read API, for Prometheus. Routes are named by their rows; no label holds a patient.

=======================================  =========  ==============  =========================================
name                                     kind       labels          what
=======================================  =========  ==============  =========================================
diastole_api_requests_total              counter    route, status   answers
diastole_api_seconds                     histogram  route           from the request to the end of its answer
diastole_api_readers                     gauge                      live streams of events
diastole_api_audit_waiting               gauge                      looks not yet written to the audit
diastole_api_audit_lost_total            counter                    looks that never will be
diastole_api_book_behind_seconds         gauge                      age of what is known of alerts
=======================================  =========  ==============  =========================================
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ApiMetrics:
    """The metrics of one read API, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._requests = Counter(
            "diastole_api_requests", "Answers", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "diastole_api_seconds", "Time to answer", ("route",), registry=self.registry, buckets=_SECONDS
        )
        self.readers = Gauge("diastole_api_readers", "Live streams of events", registry=self.registry)
        self.audit_waiting = Gauge(
            "diastole_api_audit_waiting", "Looks not yet written to the audit", registry=self.registry
        )
        self.audit_lost = Counter(
            "diastole_api_audit_lost", "Looks that were never written to the audit", registry=self.registry
        )
        self.book_behind = Gauge(
            "diastole_api_book_behind_seconds", "Age of what is known of alerts", registry=self.registry
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
