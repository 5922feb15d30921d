"""What became of the bench's ECGs, and when."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ops.percentiles import percentile
from ops.topic_reader import Seen
from schemas.alert import AlertRaised
from schemas.errors import PoisonError
from schemas.risk import RiskAssessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and 99th percentile, milliseconds; None when nothing was observed."""

    p50_ms: float | None
    p99_ms: float | None
    count: int

    @classmethod
    def of(cls, observed_ms: list[float]) -> "Spread":
        """Summarise observations."""
        p50, p99 = percentile(observed_ms, 50), percentile(observed_ms, 99)
        return cls(p50_ms=p50, p99_ms=p99, count=len(observed_ms))


@dataclass(slots=True)
class Tally:
    """Follows ECGs by id from the moment they were due.

    Attributes
    ----------
    due : dict of str to datetime
        When each ECG should have been published, UTC.
    done : dict of str to datetime
        Kafka timestamp of its assessment.
    dead : set of str
        ECGs that ended as dead letters.
    """

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
    def risk_ms(self) -> list[float]:
        """Milliseconds from due to assessed, in order of being due."""
        ordered = sorted(self.done, key=self.due.__getitem__)
        return [_ms(self.due[ecg_id], self.done[ecg_id]) for ecg_id in ordered]

    def first_third_and_growth_ms(self) -> tuple[float, float]:
        """Return the median latency of the first third, and by how much the last third's is above it."""
        latencies_ms = self.risk_ms
        third = max(len(latencies_ms) // 3, 1)
        first_ms = percentile(latencies_ms[:third], 50) or 0.0
        return first_ms, (percentile(latencies_ms[-third:], 50) or 0.0) - first_ms

    @property
    def parts_ms(self) -> dict[str, list[float]]:
        """Milliseconds by part of the way: of each stage its queue and its work, and all that is left."""
        parts: dict[str, list[float]] = {}
        for ecg_id, risk in self.risks.items():
            spent = 0.0
            for timing in risk.timings:
                parts.setdefault(f"{timing.stage}: waiting for its batch", []).append(timing.queue_ms)
                parts.setdefault(f"{timing.stage}: work on its batch", []).append(timing.work_ms)
                spent += timing.queue_ms + timing.work_ms
            rest = _ms(self.due[ecg_id], self.done[ecg_id]) - spent
            parts.setdefault("publishing, Kafka, decoding", []).append(rest)
        if self.risk_to_alert_ms:
            parts["alert: from risk to alert"] = list(self.risk_to_alert_ms)
        return parts

    @property
    def batch_sizes(self) -> dict[str, float]:
        """Mean batch size an ECG met, by stage."""
        sizes: dict[str, list[int]] = {}
        for risk in self.risks.values():
            for timing in risk.timings:
                sizes.setdefault(timing.stage, []).append(timing.batch_size)
        return {stage: sum(met) / len(met) for stage, met in sizes.items()}

    def _enter_alert(self, alert: AlertRaised, at: datetime) -> None:
        self.alerts.add(alert.alert_id)
        self.alert_ms.append(_ms(self.due[alert.ecg_id], at))
        if alert.ecg_id in self.done:
            self.risk_to_alert_ms.append(_ms(self.done[alert.ecg_id], at))


def _ms(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() * 1000.0
