"""Technical alarms of stages as ``ecg.alert.v1`` holds them, and the next record that is due there.

The id of an alarm follows from its kind, its source and the end of the alarm before it on the topic. Whoever
watches the same and reads the same topic gives the same id, so that two watchers raise one alarm.
"""

from datetime import UTC, datetime
from typing import Any, Final

import structlog

from schemas.alert import AlarmKind, TechnicalAlarm
from schemas.codec import Codec
from schemas.errors import PoisonError, RetriableError
from schemas.identity import alarm_id
from streams.watch.condition import Condition, Subject

log = structlog.get_logger()

#: Kinds of alarms that a watch raises and ends, and nobody else.
KINDS: Final = frozenset({AlarmKind.STAGE_STALLED, AlarmKind.STAGE_BEHIND})

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class AlarmLedger:
    """Folds the topic; in any order and however often, to the same.

    Attributes
    ----------
    is_whole : bool
        False once a record could not be read because the schema registry was away: it is to be read anew.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.is_whole = True
        self._open: dict[str, TechnicalAlarm] = {}
        self._ended: dict[str, datetime] = {}
        self._last_end: dict[Subject, datetime] = {}

    def on_record(self, message: Any) -> None:
        """Take one Kafka record in; what is no alarm, or cannot be read, is none of ours."""
        try:
            alarm = self._codec.decode(message.value or b"", TechnicalAlarm, headers=tuple(message.headers))
        except PoisonError:
            return
        except RetriableError:
            self.is_whole = False
            return
        self.take(alarm)

    def take(self, alarm: TechnicalAlarm) -> None:
        """Take in the start or the end of an alarm."""
        if alarm.kind not in KINDS:
            return
        if alarm.ended_at is not None:
            self._open.pop(alarm.alarm_id, None)
            self._ended[alarm.alarm_id] = alarm.ended_at
            subject = alarm.kind, alarm.source
            self._last_end[subject] = max(alarm.ended_at, self._last_end.get(subject, _NEVER))
        elif alarm.alarm_id not in self._ended:
            self._open[alarm.alarm_id] = alarm

    @property
    def open(self) -> tuple[TechnicalAlarm, ...]:
        """Alarms that have not ended, of all watchers."""
        return tuple(self._open.values())

    def open_of(self, subject: Subject) -> tuple[TechnicalAlarm, ...]:
        """Alarms of one subject that have not ended."""
        return tuple(each for each in self._open.values() if (each.kind, each.source) == subject)

    def start(self, condition: Condition) -> TechnicalAlarm:
        """Write the alarm of a condition."""
        finding = condition.finding
        if finding is None or condition.ill_since is None:
            raise AssertionError("only what was seen to be ill is alarmed")
        return TechnicalAlarm(
            alarm_id=alarm_id(
                kind=finding.kind,
                source=finding.source,
                started_at=self._last_end.get(finding.subject, _NEVER),
            ),
            kind=finding.kind,
            priority=finding.priority,
            source=finding.source,
            started_at=condition.ill_since,
            message=finding.message,
            action_text=finding.action_text,
        )
