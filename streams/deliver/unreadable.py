"""Records of the book's topics that nobody can read, and the technical alarm of each.

What lies unread on ``ecg.alert.v1`` may be an alert nobody is told of; on ``care.audit.v1``, an answer nobody
heard. The alarm names the record by its place on Kafka and quotes nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.identity import alarm_id

_SOURCE: Final = "book:"

#: An alarm begins within the years a record may be of, whatever time the producer wrote.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

#: Records kept at most, and so alarms: whoever floods a topic is told of often enough by then.
MAX_KEPT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRecord:
    """Where such a record lies.

    Attributes
    ----------
    at : datetime
        UTC; when Kafka took it.
    """

    topic: str
    partition: int
    offset: int
    at: datetime

    @property
    def source(self) -> str:
        """Source of its alarm.

        >>> from datetime import UTC
        >>> at = datetime(2026, 3, 1, tzinfo=UTC)
        >>> UnreadableRecord(topic="care.audit.v1", partition=0, offset=7, at=at).source
        'book:care.audit.v1:0:7'
        """
        return f"{_SOURCE}{self.topic}:{self.partition}:{self.offset}"


class UnreadableRecords:
    """Counts them, and keeps where the first lie; a record read again from Kafka is counted again."""

    def __init__(self, *topics: str) -> None:
        self._n = dict.fromkeys(topics, 0)
        self._kept: dict[str, UnreadableRecord] = {}
        self._has_more = False

    @property
    def n(self) -> Mapping[str, int]:
        """How many there were since the start, by topic."""
        return self._n

    @property
    def kept(self) -> tuple[UnreadableRecord, ...]:
        """Those that are to be told of."""
        return tuple(self._kept.values())

    def add(self, record: UnreadableRecord) -> None:
        """Count one, and keep where it lies while there is room."""
        self._n[record.topic] += 1
        if len(self._kept) < MAX_KEPT:
            self._kept[record.source] = record
        else:
            self._has_more = True

    def forget(self, before: datetime) -> None:
        """Forget what Kafka took before a time."""
        self._kept = {source: record for source, record in self._kept.items() if record.at >= before}

    def has_ended(self, alarm: TechnicalAlarm) -> bool:
        """Whether an alarm is about a record that is old, or that a newer release can read."""
        is_ours = alarm.source.startswith(_SOURCE)
        return is_ours and not self._has_more and alarm.source not in self._kept


def unreadable_alarm(record: UnreadableRecord) -> TechnicalAlarm:
    """Write the alarm of a record, the same however often and by whomever."""
    kind, started_at = AlarmKind.DELIVERY_FAILED, min(max(record.at, _EARLIEST), _LATEST)
    return TechnicalAlarm(
        alarm_id=alarm_id(kind=kind, source=record.source, started_at=started_at),
        kind=kind,
        priority=Priority.HIGH,
        source=record.source,
        started_at=started_at,
        message=f"A record of {record.topic} cannot be read: it may be an alert or an answer nobody sees.",
        action_text="Look the record up by the partition and offset that end this alarm's source, find who "
        "wrote it, and have it written again so that it can be read; until then, follow the worklist.",
    )
