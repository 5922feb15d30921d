"""How each source is doing, for Prometheus. Sources name themselves, so their number is bounded elsewhere.

=============================================  =====  ===================  ==============================
name                                           kind   labels               what
=============================================  =====  ===================  ==============================
diastole_feed_source_deliveries                gauge  feed, source, site,  since the source was first seen
                                                      ending
diastole_feed_source_last_timestamp_seconds    gauge  feed, source, site   Unix time of the last delivery
diastole_feed_source_per_hour                  gauge  feed, source, site   deliveries an hour, of a day
diastole_feed_source_clock_ahead_seconds       gauge  feed, source, site   where known; negative is behind
diastole_feed_source_silent                    gauge  feed, source, site   1 while an alarm is out
=============================================  =====  ===================  ==============================
"""

from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from schemas.feed import FeedHealth
from streams.feeds.admission import Ending

_LABELS: Final = ("feed", "source", "site")


class SourceGauges:
    """The gauges of all sources of one feed."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._deliveries = self._gauge("deliveries", "Deliveries by ending", "ending")
        self._last = self._gauge("last_timestamp_seconds", "Unix time of the last delivery")
        self._rate = self._gauge("per_hour", "Deliveries an hour over the last day")
        self._skew = self._gauge("clock_ahead_seconds", "How far the cart's clock runs ahead")
        self._silent = self._gauge("silent", "Silent against its rhythm")

    def show(self, health: FeedHealth) -> None:
        """Set the gauges of one source."""
        labels = (health.feed, health.source, health.site_id)
        for ending, n in (
            (Ending.ACCEPTED, health.n_accepted),
            (Ending.REPEATED, health.n_repeated),
            (Ending.QUARANTINED, health.n_quarantined),
        ):
            self._deliveries.labels(*labels, ending.value).set(n)
        if health.last_received_at is not None:
            self._last.labels(*labels).set(health.last_received_at.timestamp())
        self._rate.labels(*labels).set(health.rate_per_h)
        if health.clock_skew_s is not None:
            self._skew.labels(*labels).set(health.clock_skew_s)
        self._silent.labels(*labels).set(health.silent_since is not None)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"diastole_feed_source_{name}", text, (*_LABELS, *labels), registry=self.registry)
