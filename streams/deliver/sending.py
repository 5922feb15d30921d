"""One notice over one channel: sent in its turn, if it is still wanted then, and noted."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

import structlog

from schemas.audit import CareAction
from schemas.errors import DiastoleError, RetriableError
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.channels.channel import Channel, ChannelRetryError
from streams.deliver.channels.notice import Notice
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.deliver.lanes import Lane
from streams.deliver.own_acts import delivered, delivery_failed
from streams.deliver.plan import plan
from streams.deliver.routing import Routes
from streams.deliver.steps import Send
from streams.stage import UtcClock
from streams.tally import where_raised

log = structlog.get_logger()

#: Channels bound their own time; one that does not is broken off after its own and this, s.
_GRACE_S = 5.0
_TIMEOUT_S = 30.0

#: URL of an alert's page; "" where there is none.
LinkOf = Callable[[str], str]


#: Of a channel: to send, or to say that it is over.
HandOver = Callable[[Notice, str], Coroutine[None, None, None]]


def idempotency_key(alert_id: str, channel: str, level: int) -> str:
    """Name what is sent, so that the other side can tell a repeat.

    >>> idempotency_key("a1", "pager", 2)
    'a1:pager:2'
    """
    return f"{alert_id}:{channel}:{level}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends what a plan wants sent.

    Attributes
    ----------
    book : CaseBook
        As it grows: what was wanted when a notice began to wait may not be any more.
    """

    book: CaseBook
    routes: Routes
    channels: Mapping[str, Channel]
    lanes: Mapping[str, Lane]
    metrics: DeliverMetrics
    now: UtcClock
    link_of: LinkOf

    async def send(self, alert_id: str, send: Send, is_ours: Callable[[], bool]) -> CareAction | None:
        """Wait for a turn and send; return the act that notes how it went.

        None when it is not wanted any more: somebody answered, another process sent it, or the alert is not
        ours. Cancelled, nobody knows whether it was taken: it is sent again under the same key.
        """
        case = self.book.cases[alert_id]
        lane = self.lanes.get(send.channel)
        if lane is None:
            why = f"no channel {send.channel} is set up here; add it to the routes or take it out of them"
            return self._noted(case, send, ChannelRetryError(why))
        with self.metrics.waiting.labels(send.channel).track_inprogress():
            async with lane.turn(self.routes.severity(case.alert), send.not_before):
                wanted = self._still(alert_id, send)
                if wanted is None or not is_ours():
                    return None
                case = self.book.cases[alert_id]
                error = await self._attempt(case, wanted)
                if isinstance(error, ChannelRetryError) and error.retry_after_s is not None:
                    lane.pause(error.retry_after_s)
                return self._noted(case, wanted, error)

    def _still(self, alert_id: str, send: Send) -> Send | None:
        case = self.book.cases.get(alert_id)
        steps = () if case is None else plan(case, self.book, self.routes, self.now())
        wanted = (step for step in steps if isinstance(step, Send))
        return next((step for step in wanted if same_place(step, send)), None)

    async def _attempt(self, case: AlertCase, send: Send) -> BaseException | None:
        channel = self.channels[send.channel]
        return await self.attempt(channel.send, case, send.channel, send.level, send.recipient)

    async def attempt(
        self, hand_over: HandOver, case: AlertCase, channel: str, level: int, recipient: str
    ) -> BaseException | None:
        """Hand one notice over, bounded in time; return what went wrong, None when it was taken."""
        notice = Notice(
            case=case,
            severity=self.routes.severity(case.alert),
            recipient=recipient,
            level=level,
            link=self.link_of(case.alert.alert_id),
            now=self.now(),
        )
        settings = self.routes.channels.get(channel)
        timeout_s = (settings.timeout_s if settings is not None else _TIMEOUT_S) + _GRACE_S
        sending = asyncio.ensure_future(
            hand_over(notice, idempotency_key(case.alert.alert_id, channel, level))
        )
        try:
            await asyncio.wait({sending}, timeout=timeout_s)
        finally:
            sending.cancel()
        if sending.done() and not sending.cancelled():
            return sending.exception()
        return ChannelRetryError(f"{channel} did not answer within {timeout_s:g} s")

    def _noted(self, case: AlertCase, send: Send, error: BaseException | None) -> CareAction:
        now, attempts = self.now(), self.metrics.attempts
        if error is None:
            attempts.labels(send.channel, "sent").inc()
            if send.level == 0:
                took_s = (now - case.raised_at).total_seconds()
                self.metrics.seconds.labels(send.channel).observe(max(0.0, took_s))
            return delivered(case, send, now)
        is_refused = isinstance(error, DiastoleError) and not isinstance(error, RetriableError)
        attempts.labels(send.channel, "refused" if is_refused else "failed").inc()
        code = error.code if isinstance(error, DiastoleError) else type(error).__name__
        log.warning("not_delivered", channel=send.channel, step=send.level, attempt=send.attempt, code=code)
        if not isinstance(error, DiastoleError):
            # What others raise may quote a patient: its text goes nowhere.
            log.error("channel_broke", channel=send.channel, code=code, raised_at=where_raised(error))
        why = str(error) if isinstance(error, DiastoleError) else f"the channel broke ({code}); see the log"
        return delivery_failed(case, send, now, why, is_refused=is_refused)


def same_place(one: Send, other: Send) -> bool:
    """Whether both are for the same channel and level, and so have the same key."""
    return (one.channel, one.level) == (other.channel, other.level)
