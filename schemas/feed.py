"""How a feed is doing: the records of ``feed.health.v1``, the newest of each source kept."""

from dataclasses import dataclass
from datetime import datetime

from schemas.invariants import require, require_number, require_text, require_texts, require_utc

#: Gaps between deliveries that are remembered. A feed counts deliveries within 15 minutes as one, so these
#: are ten days of a source that never rests.
MAX_GAPS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalCount:
    """How many deliveries were refused for one reason."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """One source at one site, as its gateway sees it. Counts run since the source was first seen.

    Attributes
    ----------
    feed, source, site_id : str
        The way in, who came that way, and its site; together the Kafka key.
    reported_at : datetime
        UTC; when this was written.
    last_received_at, last_acquired_at : datetime or None
        UTC; when the last ECG came in, and the newest time of acquisition among those accepted.
    n_received, n_accepted, n_repeated, n_quarantined : int
        Deliveries; received is the sum of the others.
    refusals : tuple of RefusalCount
        By reason, n_quarantined in all.
    rate_per_h : float
        ECGs an hour over the last day.
    clock_skew_s : float or None
        How far the cart's clock runs ahead of the gateway's; None when nothing can be said.
    gaps_s : tuple of float
        Seconds between deliveries, oldest first: the source's own rhythm. What comes within 15 minutes after
        a remembered delivery is not remembered; the last gap is from the last remembered one to the last.
    silent_after_s : float or None
        A longer silence than this is none of its rhythm; None while too little is known.
    silent_since : datetime or None
        UTC; the last ECG before a silence that raised an alarm, None while there is none.
    """

    feed: str
    source: str
    site_id: str
    reported_at: datetime
    n_received: int
    n_accepted: int
    n_repeated: int
    n_quarantined: int
    last_received_at: datetime | None = None
    last_acquired_at: datetime | None = None
    refusals: tuple[RefusalCount, ...] = ()
    rate_per_h: float = 0.0
    clock_skew_s: float | None = None
    gaps_s: tuple[float, ...] = ()
    silent_after_s: float | None = None
    silent_since: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; raises InvalidRecordError."""
        require_text("feed", self.feed, min_chars=1)
        require_texts(self, ("source", "site_id"))
        for field in ("reported_at", "last_received_at", "last_acquired_at", "silent_since"):
            require_utc(field, getattr(self, field))
        for field in (
            "n_received",
            "n_accepted",
            "n_repeated",
            "n_quarantined",
            "rate_per_h",
            "silent_after_s",
        ):
            require_number(field, getattr(self, field), 0)
        require_number("clock_skew_s", self.clock_skew_s)
        require(len(self.gaps_s) <= MAX_GAPS, "gaps_s", f"must have at most {MAX_GAPS} entries")
