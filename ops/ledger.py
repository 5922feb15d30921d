"""The books of a run: what went in, how each of it ended, and whether the two agree.

Read from the topics alone, so it holds the pipeline to what it published and not to what it claims.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from ops.topic_reader import Seen
from schemas.alert import AlertClosed, AlertRaised
from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.dead_letters import ERROR_CODE, OFFSET, PARTITION
from streams.topology import ECG_ALERT, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, dead_letter_topic

#: What a ledger reads.
LEDGER_TOPICS: Final = (
    ECG_RECORDED,
    ECG_RISK,
    ECG_ALERT,
    *(dead_letter_topic(topic) for topic in (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK)),
)

#: An ECG scored again comes in a batch of another size, which moves the last digits of float32 sums (1e-6);
#: probabilities are rounded to 1e-4, so that a hair can make one step of it, here with one to spare.
PROBABILITY_TOLERANCE: Final = 2e-4


@dataclass(slots=True)
class Ledger:
    """Counts by identity, so that repeats (at-least-once) count once.

    Attributes
    ----------
    messages_in : int
        Messages on ``ecg.recorded.v1``, repeats and garbage among them.
    ecgs : set of str
        Ids of the ECGs among them.
    garbage : set of (partition, offset)
        Messages on ``ecg.recorded.v1`` that are no ECG.
    risks : dict of str to RiskAssessed
        The first assessment of each ECG.
    dead_ecgs, dead_garbage : dict
        Error code by ECG id, and by where the garbage was.
    dead_risks : dict
        Error code by ECG id of assessments that history or alert could not take: ended, but not told.
    conflicts : set of str
        Ids of ECGs with two assessments that differ (in phenotype, or in probability by more than
        :data:`PROBABILITY_TOLERANCE`), and of alerts raised twice with other content.
    risk_ms, alert_ms : list of float
        Milliseconds from the ECG's Kafka timestamp to the assessment's and to the alert's.
    """

    messages_in: int = 0
    ecgs: set[str] = field(default_factory=set)
    garbage: set[tuple[int, int]] = field(default_factory=set)
    risks: dict[str, RiskAssessed] = field(default_factory=dict)
    dead_ecgs: dict[str, str] = field(default_factory=dict)
    dead_garbage: dict[tuple[int, int], str] = field(default_factory=dict)
    dead_risks: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, AlertRaised] = field(default_factory=dict)
    closed: dict[str, AlertClosed] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)
    risk_ms: list[float] = field(default_factory=list)
    alert_ms: list[float] = field(default_factory=list)

    def enter(self, seen: Seen) -> bool:
        """Book one message; False when it repeats what is booked already."""
        topic = seen.message.topic
        if topic.endswith(".dlq"):
            return self._enter_dead(seen, topic.removesuffix(".dlq"))
        match seen.record:
            case EcgRecorded():
                return self._enter_ecg(seen.record)
            case RiskAssessed():
                return self._enter_risk(seen.record, seen)
            case AlertRaised():
                return self._enter_alert(seen.record, seen)
            case AlertClosed():
                return self.closed.setdefault(seen.record.alert_id, seen.record) is seen.record
            case PoisonError() if topic == ECG_RECORDED:
                self.messages_in += 1
                self.garbage.add((seen.message.partition, seen.message.offset))
                return True
            case _:
                return False

    @property
    def open_count(self) -> int:
        """How many ECGs and pieces of garbage have not ended yet."""
        ended = self.risks.keys() | self.dead_ecgs.keys()
        return len(self.ecgs - ended) + len(self.garbage - self.dead_garbage.keys())

    @property
    def closes(self) -> bool:
        """Whether each thing that went in ended exactly once, and nothing ended that did not go in."""
        return not (self.open_count or self.strays or self.conflicts)

    @property
    def strays(self) -> int:
        """How many ECGs ended twice (scored and dead), or ended without having come in."""
        twice = self.risks.keys() & self.dead_ecgs.keys()
        uninvited = (self.risks.keys() | self.dead_ecgs.keys()) - self.ecgs
        return (
            len(twice) + len(uninvited) + len(self.dead_garbage.keys() - self.garbage) + len(self.dead_risks)
        )

    @property
    def scored(self) -> int:
        """How many ECGs have a score."""
        return sum(risk.probability is not None for risk in self.risks.values())

    @property
    def not_scored(self) -> Counter[str]:
        """How many ECGs have none, by reason; an ECG with two reasons counts under both."""
        codes: Counter[str] = Counter()
        for risk in self.risks.values():
            if risk.probability is None:
                codes.update({reason.split(":")[0] for reason in risk.not_scored_reasons})
        return codes

    @property
    def not_scored_total(self) -> int:
        """How many ECGs were assessed and not scored."""
        return len(self.risks) - self.scored

    @property
    def dead(self) -> Counter[str]:
        """How many messages ended as dead letters, by error code."""
        return Counter([*self.dead_ecgs.values(), *self.dead_garbage.values(), *self.dead_risks.values()])

    def _enter_ecg(self, ecg: EcgRecorded) -> bool:
        self.messages_in += 1
        is_new = ecg.ecg_id not in self.ecgs
        self.ecgs.add(ecg.ecg_id)
        return is_new

    def _enter_risk(self, risk: RiskAssessed, seen: Seen) -> bool:
        first = self.risks.setdefault(risk.ecg_id, risk)
        if first is not risk:
            if first.phenotype is not risk.phenotype or not _is_same(first.probability, risk.probability):
                self.conflicts.add(risk.ecg_id)
            return False
        self.risk_ms.append(_milliseconds(seen.message.timestamp - risk.published_at))
        return True

    def _enter_alert(self, alert: AlertRaised, seen: Seen) -> bool:
        first = self.alerts.setdefault(alert.alert_id, alert)
        if first is not alert:
            if first.ecg_id != alert.ecg_id or not _is_same(first.probability, alert.probability):
                self.conflicts.add(alert.alert_id)
            return False
        self.alert_ms.append(_milliseconds(seen.message.timestamp - alert.published_at))
        return True

    def _enter_dead(self, seen: Seen, source: str) -> bool:
        headers = {name: text or b"" for name, text in seen.message.headers}
        code = headers.get(ERROR_CODE, b"?").decode("utf-8", "replace")
        if isinstance(seen.record, PoisonError):
            where = int(headers.get(PARTITION, b"-1")), int(headers.get(OFFSET, b"-1"))
            return _first(self.dead_garbage, where, code)
        return _first(self.dead_risks if source == ECG_RISK else self.dead_ecgs, seen.record.ecg_id, code)


def _first(book: dict[Any, str], identity: Any, code: str) -> bool:
    is_new = identity not in book
    book.setdefault(identity, code)
    return is_new


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= PROBABILITY_TOLERANCE


def _milliseconds(span: Any) -> float:
    return float(span.total_seconds() * 1000.0)
