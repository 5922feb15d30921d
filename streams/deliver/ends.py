"""Telling channels that an alert is over, so that a flag or a lamp does not stay on.

It is over when it is closed, judged or expired, whichever comes first.
Each channel is told once, for the highest level it was handed: an alert is one thing to it, however often it
was brought up there. One that did not answer may have taken it all the same, and is told too. Noted as
DELIVERED over ``<channel>/end``, for nobody: what was noted is not told again. What cannot be told within a
day is left: by then people have looked.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from schemas.alert import Priority
from schemas.audit import CareAction
from schemas.errors import DiastoleError, RetriableError
from streams.deliver.case import AlertCase
from streams.deliver.channels.channel import RetractingChannel
from streams.deliver.own_acts import delivered, is_refusal
from streams.deliver.sending import Sender
from streams.deliver.steps import Send

log = structlog.get_logger()

_END: Final = "/end"

#: So long after the alert was over it is still told.
TOLD_WITHIN: Final = timedelta(hours=24)

#: Alert, channel and level of the notice that is over.
_Place = tuple[str, str, int]


class Ends:
    """What is still to be told, and how often it failed; kept by one process, for as long as it lives."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._failed: dict[_Place, tuple[int, datetime]] = {}

    @property
    def waiting(self) -> frozenset[str]:
        """Alerts of which something failed that is to be tried again."""
        return frozenset(alert_id for alert_id, _, _ in self._failed)

    def due(self, case: AlertCase, now: datetime) -> list[tuple[str, int]]:
        """Return the channels that are to be told now, each with the highest level it was handed."""
        alert_id, over_at = case.alert.alert_id, case.over_at
        if over_at is None or over_at + TOLD_WITHIN < now:
            self._forget(alert_id)
            return []
        return [
            (channel, level)
            for channel, level in _highest(case).items()
            if isinstance(self._sender.channels.get(channel), RetractingChannel)
            and self._failed.get((alert_id, channel, level), (0, now))[1] <= now
        ]

    async def tell(
        self, alert_id: str, channel: str, level: int, is_ours: Callable[[], bool]
    ) -> CareAction | None:
        """Tell one of them, and return the act that notes it; None when it failed or is not ours any more."""
        sender, place = self._sender, (alert_id, channel, level)
        async with sender.lanes[channel].turn(Priority.LOW, sender.now()):
            case, over = sender.book.cases.get(alert_id), sender.channels[channel]
            if case is None or not isinstance(over, RetractingChannel) or not is_ours():
                return None
            error = await sender.attempt(over.retract, case, channel, level, "")
        if error is None:
            self._failed.pop(place, None)
            noted = Send(channel=f"{channel}{_END}", recipient="", level=level, not_before=sender.now())
            return delivered(case, noted, sender.now())
        n_failed = self._failed.get(place, (0, sender.now()))[0] + 1
        is_final = isinstance(error, DiastoleError) and not isinstance(error, RetriableError)
        wait = TOLD_WITHIN if is_final else sender.routes.retry.wait(n_failed)
        self._failed[place] = n_failed, sender.now() + wait
        code = error.code if isinstance(error, DiastoleError) else type(error).__name__
        log.warning("end_not_told", channel=channel, step=level, attempt=n_failed, code=code)
        return None

    def _forget(self, alert_id: str) -> None:
        for place in [each for each in self._failed if each[0] == alert_id]:
            del self._failed[place]


def _highest(case: AlertCase) -> dict[str, int]:
    """Return the highest level of each channel that may know of the alert and was not told of its end."""
    told = {channel for channel, _ in case.delivered}
    unsure = {place for place, failed in case.failures.items() if not all(map(is_refusal, failed))}
    return {
        channel: level  # of one channel the last, and so the highest, stays
        for channel, level in sorted({*case.delivered, *unsure})
        if f"{channel}{_END}" not in told
    }
