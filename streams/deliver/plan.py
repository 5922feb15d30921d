"""What is to be done about an alert now: a pure function of the records, the routes and the time.

::

    answered, closed, expired   nothing
    muted itself                nothing, until the mute has run out: Unmute
    muted by patient, ward,
    site, or planned downtime   List, once; sent when that is over and nobody has answered
    from an old ECG             List, once; expires
    else                        Send what is due of each level reached; Escalate when the ladder's time is
                                over; Expire when the last level was asked and had its time

Whoever carries a plan out notes each step as an act (:mod:`streams.deliver.own_acts`) and plans again until
nothing is left to do, then waits until :func:`next_due` or for a record. A crash between a step and its act
repeats the step under the same idempotency key; a step whose act is noted is never planned again.
"""

from datetime import datetime, timedelta
from typing import Final

from schemas.audit import CareAction, CareVerb
from streams.deliver.asked import asked_at, lacking, levels, quiet_ends, tried_since, unreached
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.life import OPEN, LifeState
from streams.deliver.routing import Routes
from streams.deliver.steps import Escalate, Expire, List, Send, Step, Unmute

__all__ = [
    "CATCH_UP",
    "MUTED",
    "Escalate",
    "Expire",
    "List",
    "Send",
    "Step",
    "Unmute",
    "is_fresh",
    "is_overdue",
    "next_due",
    "next_escalation",
    "plan",
]

#: Reasons of :class:`List`.
CATCH_UP: Final = "catch-up"
MUTED: Final = "muted"

#: Whoever is asked last has at least so long, also when an outage delayed the whole ladder.
_TIME_TO_ANSWER: Final = timedelta(hours=1)

#: An act's level is at most 100 (:class:`schemas.audit.CareAction`).
_HIGHEST_LEVEL: Final = 99


def plan(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> tuple[Step, ...]:
    """Say what is to be done about this alert now, in this order.

    Parameters
    ----------
    now : datetime
        UTC.

    Returns
    -------
    tuple of Step
        Empty when nothing is due. Without side effects, and the same for the same records and time.
    """
    if case.state is LifeState.MUTED:
        mute = case.last(CareVerb.MUTED)
        return (Unmute(mute_id=mute.action_id),) if mute is not None and _end(mute) <= now else ()
    if case.state not in OPEN:
        return ()
    fresh = is_fresh(case, routes)
    muted = book.mute_of(case.alert, now) is not None
    steps: list[Step] = []
    if not fresh and not _is_listed(case, CATCH_UP):
        steps.append(List(reason=CATCH_UP))
    if fresh and muted and not _is_listed(case, MUTED):
        steps.append(List(reason=MUTED))
    if not muted and _is_past(_expiry(case, book, routes, now), now):
        return (*steps, Expire())
    if fresh and not muted:
        steps += (send for send in unreached(case, book, routes, now) if send.not_before <= now)
        if _is_past(next_escalation(case, book, routes, now), now):
            steps.append(Escalate(level=case.level + 1))
    return tuple(steps)


def next_due(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> datetime | None:
    """Return when to plan again though no record came: a step, or an alarm (:func:`is_overdue`), is due then.

    Returns
    -------
    datetime or None
        UTC, after ``now``. None: nothing more becomes due unless a record says so.
    """
    if case.state is LifeState.MUTED:
        mute = case.last(CareVerb.MUTED)
        return None if mute is None else _later([_end(mute)], now)
    if case.state not in OPEN:
        return None
    mute_now = book.mute_of(case.alert, now)
    if mute_now is not None:
        return mute_now.until
    times = [_expiry(case, book, routes, now)]
    if is_fresh(case, routes):
        times += (send.not_before for send in unreached(case, book, routes, now))
        times.append(next_escalation(case, book, routes, now))
        times.append(levels(case, book, now)[-1].start + routes.delivered_within)
    return _later(times, now)


def is_fresh(case: AlertCase, routes: Routes) -> bool:
    """Whether the ECG was new enough when the alert was raised for anybody to be paged."""
    return case.raised_at - case.alert.acquired_at <= routes.fresh


def is_overdue(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> bool:
    """Whether a route of the alert's level reached nobody within ``delivered_within``: a technical alarm."""
    if case.state not in OPEN or not is_fresh(case, routes) or book.mute_of(case.alert, now) is not None:
        return False
    level = levels(case, book, now)[-1]
    asked = asked_at(case, book, routes, level, now)
    return bool(lacking(case, asked, level.number)) and level.start + routes.delivered_within <= now


def next_escalation(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> datetime | None:
    """Return when an open alert goes to the next level if nobody answers; UTC, may be past, None: never."""
    level = levels(case, book, now)[-1]
    ladder = routes.ladder_of(case.alert)
    if level.number >= _HIGHEST_LEVEL or case.state not in OPEN or not is_fresh(case, routes):
        return None
    if level.number + 1 < len(ladder):
        return level.start + ladder[level.number + 1] - ladder[level.number]
    # The last level was asked, then somebody kept the alert quiet for a while: it is brought up once more.
    asked = {channel for route in asked_at(case, book, routes, level, now) for channel in route.channels}
    before = [at for (channel, number), at in case.delivered.items() if number == level.number]
    is_asked_anew = bool(unreached(case, book, routes, now))
    was_quiet = bool(asked) and bool(before) and max(before) < level.start
    return level.start if was_quiet and not is_asked_anew else None


def _expiry(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> datetime | None:
    awake = max([case.raised_at, *(at for at in quiet_ends(case, book) if at <= now)])
    if not is_fresh(case, routes):
        return awake + routes.expire
    level = levels(case, book, now)[-1]
    is_to_go_on = next_escalation(case, book, routes, now) is not None
    asked_since = tried_since(case, asked_at(case, book, routes, level, now), level)
    if is_to_go_on or asked_since is None:
        # Whatever held delivery up, and for how long: no alert ends before the last were asked.
        return None
    return max(awake + routes.expire, asked_since + _TIME_TO_ANSWER)


def _is_listed(case: AlertCase, reason: str) -> bool:
    return any(act.verb is CareVerb.LISTED and act.reason == reason for act in case.acts)


def _end(mute: CareAction) -> datetime:
    # Without an expiry it would be quiet for ever: it ends at once.
    return mute.acted_at if mute.expires_at is None else mute.expires_at


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _later(times: list[datetime | None], now: datetime) -> datetime | None:
    return min((at for at in times if at is not None and at > now), default=None)
