"""Every look at a patient, an alert or a list of them is written to ``care.audit.v1``, behind the answer.

A look is answered whether or not Kafka takes the note of it: care must not wait for bookkeeping. Notes wait
in a bounded queue while Kafka is away and are written when it is back; what does not fit any more is lost,
counted and said in the log. The same look within a minute is noted once: pages look again and again.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
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

#: Looks that may wait: 1 kB each, and an hour of a busy day without Kafka.
MAX_WAITING: Final = 10_000

#: What is remembered to note a look once a minute.
_MAX_REMEMBERED: Final = 10_000

_PAUSE_S: Final = 2.0

Append = Callable[[CareAction], Awaitable[None]]


class LookAudit:
    """Notes looks, and writes them while :meth:`run` runs.

    Parameters
    ----------
    append : callable
        Writes one act to Kafka; raises RetriableError when it is not taken.
    pause_s : float
        Before a write that failed is tried again, s.
    """

    def __init__(
        self,
        append: Append,
        now: UtcClock,
        metrics: ApiMetrics,
        *,
        max_waiting: int = MAX_WAITING,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._append, self._now, self._metrics = append, now, metrics
        self._max_waiting, self._pause_s = max_waiting, pause_s
        self._waiting: deque[CareAction] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._is_losing = False
        self._told = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def at_patient(self, actor: str, patient_id: str) -> None:
        """Note a look at a patient; never waits and never fails."""
        self._note(
            actor, subject_id(scope=CareScope.PATIENT, subject=patient_id), CareScope.PATIENT, patient_id
        )

    def at_alert(self, actor: str, alert_id: str) -> None:
        """Note a look at an alert, likewise."""
        self._note(actor, alert_id, CareScope.ALERT, "")

    def at_wards(self, actor: str, ward_ids: Iterable[str]) -> None:
        """Note a look at lists of wards' patients or alerts, likewise; each ward once."""
        for ward_id in {ward_id or NO_WARD for ward_id in ward_ids}:
            about = subject_id(scope=CareScope.WARD, subject=ward_id)
            self._note(actor, about, CareScope.WARD, ward_id)

    async def run(self) -> None:
        """Write what is noted until cancelled."""
        while True:
            await self._told.wait()
            while self._waiting:
                await self._write(self._waiting[0])
                self._waiting.popleft()
                self._metrics.audit_waiting.set(len(self._waiting))
            self._told.clear()
            self._idle.set()

    async def drain(self, budget_s: float) -> None:
        """Return when all is written, or the budget is spent; says how much was not."""
        try:
            await asyncio.wait_for(self._idle.wait(), budget_s)
        except TimeoutError:
            self._lose(len(self._waiting))

    async def _write(self, act: CareAction) -> None:
        while True:
            try:
                await self._append(act)
            except RetriableError as error:
                log.warning("audit_waits", code=error.code, waiting=len(self._waiting))
                await asyncio.sleep(self._pause_s)
            except PoisonError as error:
                log.error("audit_refused", code=error.code)
                self._metrics.audit_lost.inc()
                return
            else:
                self._is_losing = False
                return

    def _note(self, actor: str, alert_id: str, scope: CareScope, subject: str) -> None:
        acted_at = self._now()
        act = CareAction(
            action_id=action_id(
                verb=CareVerb.VIEWED, alert_id=alert_id, actor=actor, at=_minute_of(acted_at)
            ),
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
