"""Metrics of a feed, for Prometheus. No label ever holds anything of a patient.

=====================================  =========  ======================  ==================================
name                                   kind       labels                  what
=====================================  =========  ======================  ==================================
diastole_feed_deliveries_total         counter    feed, ending, reason    deliveries answered
diastole_feed_acknowledge_seconds      histogram  feed                    delivered → answered
diastole_feed_in_flight                gauge      feed                    deliveries not yet ended
diastole_feed_in_flight_bytes          gauge      feed                    their bytes
=====================================  =========  ======================  ==================================

``ending`` is one of :class:`streams.feeds.admission.Ending`, or ``LATER`` where the sender was told to send
again; ``reason`` is the refusal's or the error's code, else empty.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Ending of a delivery of which nothing could be promised.
LATER: Final = "LATER"

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class FeedMetrics:
    """The metrics of one feed, in a registry of its own."""

    def __init__(self, feed: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._feed = feed
        self._deliveries = Counter(
            "diastole_feed_deliveries",
            "Deliveries answered",
            ("feed", "ending", "reason"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "diastole_feed_acknowledge_seconds",
            "From delivered to answered",
            ("feed",),
            registry=self.registry,
            buckets=_SECONDS,
        ).labels(feed)
        self.in_flight = self._gauge("diastole_feed_in_flight", "Deliveries not yet ended")
        self.in_flight_bytes = self._gauge("diastole_feed_in_flight_bytes", "Their bytes")

    def count(self, ending: str, reason: str = "") -> None:
        """Count one delivery by how it was answered."""
        self._deliveries.labels(self._feed, ending, reason).inc()

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("feed",), registry=self.registry).labels(self._feed)
