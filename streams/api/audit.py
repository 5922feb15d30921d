"""Every look at a patient, an alert or a list of them is written to ``care.audit.v1``, before it is answered.

::

    Kafka takes it         acknowledged by Kafka, then answered: a killed process has answered no look that
                           is not in the audit
    Kafka takes longer     answered after ``patience_s``; from then on answers do not wait, until Kafka takes
    than that, or is away  notes again: care must not wait for bookkeeping. Notes wait in memory, at most
                           ``max_waiting``, and are written when Kafka is back
    too many wait          the newest is lost, counted and said in the log
    the process ends       told to: five seconds to write what waits, the rest is counted. Killed while Kafka
                           is away: what waits is lost and nothing counts it

The same look within a minute is noted once: pages look again and again. Of a patient in a list, within an
hour: an open inbox renews itself all day, and would note each of its patients 1440 times.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Final

import structlog

from schemas.audit import CareAction, CareScope, CareVerb
from schemas.errors import PoisonError, RetriableError
from schemas.identity import action_id, subject_id
from streams.api.api_metrics import ApiMetrics
from streams.stage import UtcClock

log = structlog.get_logger()

ORIGIN: Final = "api"

#: Stands for the ward of those of whom none is known.
NO_WARD: Final = "no ward named"

#: Looks that may wait, 1 kB each: an hour of a busy day without Kafka, in which 50 tokens see 500 patients
#: each in their lists, and as many looks more.
MAX_WAITING: Final = 50_000

#: What is remembered to note a look once: as many, 100 bytes each.
_MAX_REMEMBERED: Final = 50_000

_PAUSE_S: Final = 2.0

#: How long an answer waits for its note, s. Kafka acknowledges within 10 ms; a second is as long as an alert
#: that must be seen within two may be held up.
PATIENCE_S: Final = 1.0

#: Notes written at once, which the producer sends together: the longest list has so many rows.
_MAX_AT_ONCE: Final = 500

Append = Callable[[CareAction], Awaitable[None]]


class LookAudit:
    """Notes looks, and writes them while :meth:`run` runs.

    Parameters
    ----------
    append : callable
        Writes one act to Kafka; raises RetriableError when it is not taken.
    pause_s : float
        Before a write that failed is tried again, s.
    patience_s : float
        Longest time :meth:`written` waits, s.
    """

    def __init__(
        self,
        append: Append,
        now: UtcClock,
        metrics: ApiMetrics,
        *,
        max_waiting: int = MAX_WAITING,
        pause_s: float = _PAUSE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._append, self._now, self._metrics = append, now, metrics
        self._max_waiting, self._pause_s, self._patience_s = max_waiting, pause_s, patience_s
        self._is_taken, self._n_noted, self._moved = True, 0, asyncio.Event()
        self._waiting: deque[CareAction] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._is_losing = False
        self._told = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def at_patient(self, actor: str, patient_id: str) -> None:
        """Note a look at a patient; never waits and never fails."""
        self._note(actor, _patient(patient_id), CareScope.PATIENT, patient_id)

    def at_alert(self, actor: str, alert_id: str) -> None:
        """Note a look at an alert, likewise."""
        self._note(actor, alert_id, CareScope.ALERT, "")

    def at_list(self, actor: str, patient_ids: Iterable[str], ward_ids: Iterable[str]) -> None:
        """Note a look at a list of these wards, likewise, and once an hour at each patient it shows."""
        for patient_id in dict.fromkeys(patient_ids):
            self._note(actor, _patient(patient_id), CareScope.PATIENT, patient_id, is_row=True)
        for ward_id in {ward_id or NO_WARD for ward_id in ward_ids}:
            about = subject_id(scope=CareScope.WARD, subject=ward_id)
            self._note(actor, about, CareScope.WARD, ward_id)

    async def run(self) -> None:
        """Write what is noted until cancelled."""
        while True:
            await self._told.wait()
            while self._waiting:
                await self._write_some()
            self._told.clear()
            self._idle.set()

    async def written(self) -> None:
        """Return when Kafka has all looks noted so far, or soon: not at all late while it takes none."""
        n_noted = self._n_noted
        try:
            async with asyncio.timeout(self._patience_s):
                while self._is_taken and self._n_noted - len(self._waiting) < n_noted:
                    await self._moved.wait()
        except TimeoutError:
            self._away("NOT_IN_TIME")

    async def drain(self, budget_s: float) -> None:
        """Return when all is written, or the budget is spent; says how much was not."""
        try:
            await asyncio.wait_for(self._idle.wait(), budget_s)
        except TimeoutError:
            self._lose(len(self._waiting))

    async def _write_some(self) -> None:
        some = list(islice(self._waiting, _MAX_AT_ONCE))
        taken = await asyncio.gather(*(self._write(act) for act in some))
        for _ in some:
            self._waiting.popleft()
        left = [act for act, is_taken in zip(some, taken, strict=True) if not is_taken]
        self._waiting.extendleft(reversed(left))
        self._metrics.audit_waiting.set(len(self._waiting))
        self._is_taken = not left
        self._ring()
        if left:
            await asyncio.sleep(self._pause_s)

    async def _write(self, act: CareAction) -> bool:
        """Write one note; False when it is to be tried again."""
        try:
            await self._append(act)
        except RetriableError as error:
            self._away(error.code)
            return False
        except PoisonError as error:
            log.error("audit_refused", code=error.code)
            self._metrics.audit_lost.inc()
            return True
        self._is_losing = False
        return True

    def _away(self, code: str) -> None:
        if self._is_taken:
            log.warning("audit_waits", code=code, waiting=len(self._waiting))
        self._is_taken = False
        self._ring()

    def _ring(self) -> None:
        rung, self._moved = self._moved, asyncio.Event()
        rung.set()

    def _note(
        self, actor: str, alert_id: str, scope: CareScope, subject: str, *, is_row: bool = False
    ) -> None:
        acted_at = self._now()
        at = f"list {_hour_of(acted_at)}" if is_row else _minute_of(acted_at)
        act = CareAction(
            action_id=action_id(verb=CareVerb.VIEWED, alert_id=alert_id, actor=actor, at=at),
            alert_id=alert_id,
            verb=CareVerb.VIEWED,
            actor=actor,
            acted_at=acted_at,
            origin=ORIGIN,
            scope=scope,
            subject=subject,
        )
        if act.action_id in self._known:
            return
        if len(self._waiting) >= self._max_waiting:
            self._lose(1)
            return
        self._known[act.action_id] = None
        if len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)
        self._waiting.append(act)
        self._n_noted += 1
        self._metrics.audit_waiting.set(len(self._waiting))
        self._idle.clear()
        self._told.set()

    def _lose(self, n_lost: int) -> None:
        self._metrics.audit_lost.inc(n_lost)
        if not self._is_losing:
            log.error(
                "audit_lost", n=n_lost, then="check that Kafka takes records; looks go on being answered"
            )
        self._is_losing = True


def _minute_of(moment: datetime) -> str:
    return moment.replace(second=0, microsecond=0).isoformat()


def _hour_of(moment: datetime) -> str:
    return moment.replace(minute=0, second=0, microsecond=0).isoformat()


def _patient(patient_id: str) -> str:
    return subject_id(scope=CareScope.PATIENT, subject=patient_id)
