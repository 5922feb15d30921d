"""What became of the bench's ECGs, and when."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ops.bench.trend import LagTrend, lag_trend
from ops.percentiles import percentile
from ops.topic_reader import Seen
from schemas.alert import AlertRaised
from schemas.errors import PoisonError
from schemas.risk import RiskAssessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean, median and 99th percentile, milliseconds; None when nothing was observed.

    Only means add up: the means of the parts of a way are together the mean of the way.
    """

    mean_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    count: int

    @classmethod
    def of(cls, observed_ms: list[float]) -> "Spread":
        """Summarise observations."""
        p50, p99 = percentile(observed_ms, 50), percentile(observed_ms, 99)
        mean = sum(observed_ms) / len(observed_ms) if observed_ms else None
        return cls(mean_ms=mean, p50_ms=p50, p99_ms=p99, count=len(observed_ms))


@dataclass(slots=True)
class Tally:
    """Follows ECGs by id from the moment they were due.

    Attributes
    ----------
    counted_from : datetime
        ECGs due before it are followed to their end and left out of every number.
    due : dict of str to datetime
        When each ECG should have been published, UTC.
    done : dict of str to datetime
        Kafka timestamp of its assessment.
    dead : set of str
        ECGs that ended as dead letters.
    """

    counted_from: datetime
    due: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, datetime] = field(default_factory=dict)
    risks: dict[str, RiskAssessed] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    alert_ms: list[float] = field(default_factory=list)
    risk_to_alert_ms: list[float] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)

    def enter(self, seen: Iterable[Seen]) -> None:
        """Book what arrived; ECGs that are not due here, and repeats, are left alone."""
        for one in seen:
            record = one.record
            if isinstance(record, PoisonError) or getattr(record, "ecg_id", None) not in self.due:
                continue
            if one.message.topic.endswith(".dlq"):
                self.dead.add(record.ecg_id)
            elif isinstance(record, RiskAssessed) and record.ecg_id not in self.done:
                self.done[record.ecg_id] = one.message.timestamp
                self.risks[record.ecg_id] = record
            elif isinstance(record, AlertRaised) and record.alert_id not in self.alerts:
                self._enter_alert(record, one.message.timestamp)

    @property
    def open_count(self) -> int:
        """How many ECGs have not ended."""
        return len(self.due.keys() - self.done.keys() - self.dead)

    @property
    def counted(self) -> int:
        """How many ECGs count."""
        return sum(self._counts(ecg_id) for ecg_id in self.due)

    @property
    def done_per_s(self) -> float:
        """ECGs assessed a second, from the first one due to the last one done."""
        ordered = self._counted_done()
        if not ordered:
            return 0.0
        last = max(self.done[ecg_id] for ecg_id in ordered)
        return len(ordered) / max((last - self.due[ordered[0]]).total_seconds(), 1e-3)

    @property
    def risk_ms(self) -> list[float]:
        """Milliseconds from due to assessed, in order of being due."""
        return [_ms(self.due[ecg_id], self.done[ecg_id]) for ecg_id in self._counted_done()]

    def lag_trend(self) -> LagTrend:
        """Say how the lag moved through the run."""
        ordered = self._counted_done()
        if not ordered:
            return lag_trend([], [])
        first = self.due[ordered[0]]
        at_s = [(self.due[ecg_id] - first).total_seconds() for ecg_id in ordered]
        return lag_trend(at_s, [latency_ms / 1000.0 for latency_ms in self.risk_ms])

    @property
    def parts_ms(self) -> dict[str, list[float]]:
        """Milliseconds by part of the way from due to risk: each stage's queue and work, and what is left.

        The parts of each ECG add up to its whole way.
        """
        parts: dict[str, list[float]] = {}
        for ecg_id in self._counted_done():
            risk, spent = self.risks[ecg_id], 0.0
            for timing in risk.timings:
                parts.setdefault(f"{timing.stage}: waiting for its batch", []).append(timing.queue_ms)
                parts.setdefault(f"{timing.stage}: work on its batch", []).append(timing.work_ms)
                spent += timing.queue_ms + timing.work_ms
            rest = _ms(self.due[ecg_id], self.done[ecg_id]) - spent
            parts.setdefault("publishing, Kafka, decoding", []).append(rest)
        return parts

    @property
    def batch_sizes(self) -> dict[str, float]:
        """Mean batch size an ECG met, by stage."""
        sizes: dict[str, list[int]] = {}
        for ecg_id in self._counted_done():
            for timing in self.risks[ecg_id].timings:
                sizes.setdefault(timing.stage, []).append(timing.batch_size)
        return {stage: sum(met) / len(met) for stage, met in sizes.items()}

    def _counts(self, ecg_id: str) -> bool:
        return self.due[ecg_id] >= self.counted_from

    def _counted_done(self) -> list[str]:
        return sorted(filter(self._counts, self.done), key=self.due.__getitem__)

    def _enter_alert(self, alert: AlertRaised, at: datetime) -> None:
        self.alerts.add(alert.alert_id)
        if not self._counts(alert.ecg_id):
            return
        self.alert_ms.append(_ms(self.due[alert.ecg_id], at))
        if alert.ecg_id in self.done:
            self.risk_to_alert_ms.append(_ms(self.done[alert.ecg_id], at))


def _ms(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() * 1000.0
