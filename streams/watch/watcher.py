"""Keeps what is known of every stage and address, and says which alarms are due. No I/O.

Each look is judged (:mod:`streams.watch.judging`), moves a condition (:mod:`streams.watch.condition`), and
what is due then follows from conditions and from what the topic holds already (:mod:`streams.watch.ledger`):
asked twice, or by two processes, it is the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import TechnicalAlarm
from streams.health import Health
from streams.watch.asking import Address, Answer
from streams.watch.condition import Condition, Finding, State, Subject, after
from streams.watch.judging import LOOK_EVERY_S, Bounds, answered, behind, stalled
from streams.watch.ledger import AlarmLedger
from streams.watch.offsets import GroupLook, Movement, moved
from streams.watch.watch_metrics import WatchMetrics

STAGE: Final = "watch"

#: Between two looks this far apart the watch itself stood still, and cannot say that a stage did, s.
_STOOD_STILL_S: Final = 4 * LOOK_EVERY_S


class Watcher:
    """What is watched, and how it fares.

    Parameters
    ----------
    stages : sequence of str
        Whose groups are expected to have workers.
    """

    def __init__(
        self, stages: Sequence[str], bounds: Bounds, ledger: AlarmLedger, metrics: WatchMetrics
    ) -> None:
        self.ledger = ledger
        #: Code of the error for which the topic of alarms cannot be read or written; None when it can.
        self.held_up_by: str | None = "STARTING"
        self._stages, self._bounds, self._metrics = tuple(stages), bounds, metrics
        self._conditions: dict[Subject, Condition] = {}
        self._movements: dict[str, Movement] = {}
        self._told: set[Subject] = set()
        self._seen_well: dict[Subject, frozenset[str]] = {}
        self._blind_code: str | None = None

    def looked(self, looks: Mapping[str, GroupLook], now: datetime) -> None:
        """Take in what Kafka says of each stage; of one that is not in there it says nothing."""
        self._blind_code = None
        self._metrics.blind.set(0)
        for stage in self._stages:
            look = looks.get(stage)
            movement = None if look is None else self._moved(stage, look, now)
            is_up = self._take(stalled(stage, look, movement, self._bounds), now)
            if look is not None and movement is not None:
                self._metrics.show_stage(stage, look, movement, is_up=is_up)
            finding = behind(stage, look, self._bounds, is_alarmed=False)
            if self._is_alarmed(finding.subject):
                finding = behind(stage, look, self._bounds, is_alarmed=True)
            # What stands still is behind too, and is told of once.
            self._take(finding if is_up else behind(stage, None, self._bounds, is_alarmed=False), now)

    def blind(self, code: str, now: datetime) -> None:
        """Take in that Kafka does not say anything."""
        self.looked({}, now)
        self._movements.clear()
        self._blind_code = code
        self._metrics.blind.set(1)

    def asked(self, address: Address, answers: Sequence[Answer], now: datetime) -> None:
        """Take in what an address answered to a question of ``now``."""
        is_up = self._take(answered(address, answers, self._bounds), now)
        self._metrics.show_worker(address.name, is_up=is_up)

    def due(self, now: datetime) -> list[TechnicalAlarm]:
        """Give the records that are to be written next."""
        found: list[TechnicalAlarm] = []
        for subject, condition in list(self._conditions.items()):
            is_open = bool(self.ledger.open_of(subject))
            if condition.state is not State.ALARMED:
                self._told.discard(subject)
                found += self._ends(subject, now)
            elif is_open:
                self._told.add(subject)
            elif subject in self._told:
                # Another watch saw it well: this one looks again before it raises another alarm.
                self._told.discard(subject)
                self._conditions[subject] = Condition()
            else:
                found.append(self.ledger.start(condition))
        self._metrics.show_alarms(self.ledger.open)
        return found

    def health(self) -> Health:
        """Say how the watch is, and what of that which it watches is not well."""
        return Health(
            stage=STAGE,
            assigned=True,
            held_up_by=self.held_up_by or self._blind_code,
            in_flight=0,
            idle_s=0.0,
            stalled=False,
            ill=tuple(
                condition.finding.message
                for _, condition in sorted(self._conditions.items())
                if condition.state is State.ALARMED and condition.finding is not None
            ),
        )

    def _moved(self, stage: str, look: GroupLook, now: datetime) -> Movement:
        before = self._movements.get(stage)
        if before is not None and now - before.at > timedelta(seconds=_STOOD_STILL_S):
            before = None
        movement = self._movements[stage] = moved(before, look.offsets, now)
        return movement

    def _take(self, finding: Finding, now: datetime) -> bool:
        """Take a finding in; whether the subject is well, as far as is known."""
        subject = finding.subject
        out = self.ledger.open_of(subject) if finding.is_ill is False else ()
        self._seen_well[subject] = frozenset(alarm.alarm_id for alarm in out)
        condition = after(self._conditions.get(subject, Condition()), finding, now)
        self._conditions[subject] = condition
        return condition.state is not State.ALARMED

    def _ends(self, subject: Subject, now: datetime) -> list[TechnicalAlarm]:
        """Write the end of alarms that were out when it was last seen well.

        What another watch raised since then says more than this one's last look.
        """
        well = self._seen_well.get(subject, frozenset())
        return [replace(each, ended_at=now) for each in self.ledger.open_of(subject) if each.alarm_id in well]

    def _is_alarmed(self, subject: Subject) -> bool:
        known = self._conditions.get(subject)
        return known is not None and known.state is State.ALARMED
