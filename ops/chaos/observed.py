"""What the topics and Redis say after a play, sorted by what it is about; nothing is judged here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.chaos.oracle import Accepted
from ops.chaos.poison import Poison
from ops.chaos.scenario import Planned
from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.dead_letters import ERROR_CODE, OFFSET, PARTITION, TOPIC
from streams.topology import ECG_ALERT, ECG_RECORDED, ECG_RISK

#: Topic, partition and offset of a message.
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a history as Redis has it."""

    ecg_id: str
    bundle_version: str
    acquired_at: datetime
    probability: float | None
    reasons: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Observed:
    """What came out.

    Attributes
    ----------
    inputs : list of Accepted
        ECGs on ``ecg.recorded.v1``, of each patient in the log's order, repeats among them.
    poison : dict of place to Poison
        What else is on it.
    strange : list of str
        What nobody sent: inputs, assessments or alerts of nobody's.
    assessments, raised, closed : dict
        By id, every record there is of it, in the log's order; alerts with their bytes.
    dead : dict of place to set of str
        Error codes by where the dead letter says that the message was.
    histories : dict of str to list of Point
        By patient, as Redis orders them.
    behind : dict of str to int
        By stage, what its group has not committed.
    acknowledged : set of str
        Ids of ECGs and keys of poison that Kafka acknowledged to the sender.
    stragglers : int
        Records of an earlier play that came after it was judged.
    alarms : int
    """

    inputs: list[Accepted] = field(default_factory=list)
    poison: dict[Place, Poison] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    assessments: dict[str, list[RiskAssessed]] = field(default_factory=lambda: defaultdict(list))
    raised: dict[str, list[tuple[bytes, AlertRaised]]] = field(default_factory=lambda: defaultdict(list))
    closed: dict[str, list[tuple[bytes, AlertClosed]]] = field(default_factory=lambda: defaultdict(list))
    dead: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))
    histories: dict[str, list[Point]] = field(default_factory=dict)
    behind: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    stragglers: int = 0
    alarms: int = 0


def sort_records(
    records: Iterable[Any],
    arrivals: Sequence[Planned | Poison],
    prefix: str,
    codec: Codec,
    into: Observed,
) -> None:
    """Sort what was read from the topics.

    Parameters
    ----------
    records : iterable of aiokafka.ConsumerRecord
    prefix : str
        Begins the keys of this play.
    """
    planned = {arrival.ecg_id: arrival for arrival in arrivals if isinstance(arrival, Planned)}
    poison = {arrival.key: arrival for arrival in arrivals if isinstance(arrival, Poison)}
    for record in records:
        if record.key is None or not record.key.startswith(prefix.encode()):
            _sort_foreign(record, codec, into)
        elif record.topic.endswith(".dlq"):
            _sort_dead(record, into)
        elif record.topic == ECG_RECORDED:
            _sort_input(record, planned, poison, codec, into)
        elif record.topic == ECG_RISK:
            risk = _decoded(record, codec, into, RiskAssessed)
            if risk is not None:
                into.assessments[risk.ecg_id].append(risk)
        elif record.topic == ECG_ALERT:
            _sort_alert(record, codec, into)


def _sort_foreign(record: Any, codec: Codec, into: Observed) -> None:
    if record.topic == ECG_ALERT and isinstance(_decoded(record, codec, into), TechnicalAlarm):
        into.alarms += 1
    else:
        into.stragglers += 1


def _sort_input(
    record: Any, planned: Mapping[str, Planned], poison: Mapping[bytes, Poison], codec: Codec, into: Observed
) -> None:
    place = (record.topic, record.partition, record.offset)
    if record.key in poison:
        into.poison[place] = poison[record.key]
        return
    ecg = _decoded(record, codec, into, EcgRecorded)
    if ecg is None:
        return
    if ecg.ecg_id in planned:
        into.inputs.append(planned[ecg.ecg_id].accepted())
    else:
        into.strange.append(f"ECG {ecg.ecg_id} on {record.topic} was not sent")


def _sort_alert(record: Any, codec: Codec, into: Observed) -> None:
    alert = _decoded(record, codec, into, AlertRaised, AlertClosed)
    if isinstance(alert, AlertRaised):
        into.raised[alert.alert_id].append((record.value, alert))
    elif isinstance(alert, AlertClosed):
        into.closed[alert.alert_id].append((record.value, alert))
        if alert.alert_id not in into.raised:
            into.strange.append(f"alert {alert.alert_id} is closed before it is raised")


def _sort_dead(record: Any, into: Observed) -> None:
    said = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
    place = (said.get(TOPIC, "?"), int(said.get(PARTITION, "-1")), int(said.get(OFFSET, "-1")))
    into.dead[place].add(said.get(ERROR_CODE, "?"))


def _decoded(record: Any, codec: Codec, into: Observed, *expected: type) -> Any:
    try:
        return codec.decode(record.value or b"", *expected, headers=tuple(record.headers))
    except PoisonError as error:
        into.strange.append(f"{record.topic} {record.partition}:{record.offset} is no record ({error.code})")
        return None
