"""What changed lately, numbered, for streams of events that break off and go on.

Readers hold a place in one bounded log and no queue of their own: one that is too slow misses what fell out
of the log, and is told so.
"""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.api.services import Book, alert_of

#: Changes kept: some hours of a busy hospital, 100 bytes each.
MAX_CHANGES: Final = 4096

#: Names this run of the process; the numbers of another are not ours.
_RUN_BYTES: Final = 6


class ChangeKind(StrEnum):
    """What changed."""

    ALERT = "ALERT"
    ALARM = "ALARM"
    ALARM_ENDED = "ALARM_ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One alert or alarm that changed.

    Attributes
    ----------
    number : int
        From 1, in the order of change.
    changed_id : str
        Of the alert or alarm.
    about : str
        Of an alarm: the alert it is about; empty: of none.
    """

    number: int
    kind: ChangeKind
    changed_id: str
    about: str = ""


class EventLog:
    """The last changes, and a bell for those who wait for more."""

    def __init__(self, max_changes: int = MAX_CHANGES) -> None:
        self._run = secrets.token_hex(_RUN_BYTES)
        self._changes: deque[Change] = deque(maxlen=max_changes)
        self._number = 0
        self._rung = asyncio.Event()
        self._has_ended = False

    @property
    def number(self) -> int:
        """Of the newest change; 0 before the first."""
        return self._number

    @property
    def has_ended(self) -> bool:
        """Whether streams are to end."""
        return self._has_ended

    def name_of(self, number: int) -> str:
        """Name a place in the log, for ``Last-Event-ID``."""
        return f"{self._run}-{number}"

    def place_of(self, name: str) -> int | None:
        """Return the number a name stands for; None when it is of another run, or fell out of the log."""
        run, _, text = name.partition("-")
        if run != self._run or not text.isascii() or not text.isdigit() or len(text) > 15:
            return None
        number = int(text)
        oldest = self._changes[0].number if self._changes else self._number + 1
        return number if oldest - 1 <= number <= self._number else None

    def since(self, number: int) -> list[Change]:
        """Return what changed after a place that :meth:`place_of` gave, or that was followed from there."""
        return [change for change in self._changes if change.number > number]

    def has_lost(self, number: int) -> bool:
        """Whether something after this place fell out of the log."""
        return bool(self._changes) and number < self._changes[0].number - 1

    def note(self, kind: ChangeKind, changed_id: str, about: str = "") -> None:
        """Write a change down."""
        self._number += 1
        self._changes.append(Change(number=self._number, kind=kind, changed_id=changed_id, about=about))
        self._ring()

    async def wait(self, number: int, most_s: float) -> bool:
        """Wait until there is more than this, or streams are to end; False when that took too long."""
        if self._number > number or self._has_ended:
            return True
        rung = self._rung
        try:
            await asyncio.wait_for(rung.wait(), most_s)
        except TimeoutError:
            return False
        return True

    def end(self) -> None:
        """Let all streams end."""
        self._has_ended = True
        self._ring()

    def _ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()


async def follow_book(book: Book, log: EventLog) -> None:
    """Write down what changes in a book, until it is closed or this is cancelled; looks and mutes apart."""
    changes = book.changes()
    # Of an alarm that ended nothing else says any more which alert it was about.
    alarms = {alarm.alarm_id: alert_of(alarm) for alarm in book.alarms}
    async for changed_id in changes:
        if changed_id in book.book.cases:
            log.note(ChangeKind.ALERT, changed_id)
        elif (alarm := book.alarm(changed_id)) is not None:
            alarms[changed_id] = alert_of(alarm)
            log.note(ChangeKind.ALARM, changed_id, alarms[changed_id])
        elif changed_id in alarms:
            log.note(ChangeKind.ALARM_ENDED, changed_id, alarms.pop(changed_id))
