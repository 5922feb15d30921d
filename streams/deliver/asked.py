"""Whom an alert's levels ask, and which of them were not reached yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.audit import CareAction, CareVerb
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.own_acts import is_refusal
from streams.deliver.routing import Retry, Route, Routes
from streams.deliver.steps import Send


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the ladder that the alert reached.

    Attributes
    ----------
    start : datetime
        UTC; when it was reached, or when the last quiet in it ended. Its routes are those of that time, so
        that an alert stays with those who were on duty when they were asked.
    """

    number: int
    start: datetime


def levels(case: AlertCase, book: CaseBook, now: datetime) -> tuple[Level, ...]:
    """Return the levels that the alert reached, from 0."""
    begun = {0: case.raised_at}
    for act in case.acts:
        if act.verb is CareVerb.ESCALATED and act.level > 0:
            begun.setdefault(act.level, act.acted_at)
    numbers = sorted(begun)
    ends = [*(begun[number] for number in numbers[1:]), now]
    quiet = quiet_ends(case, book)
    return tuple(
        Level(number=number, start=max([begun[number], *(at for at in quiet if at <= end)]))
        for number, end in zip(numbers, ends, strict=True)
    )


def quiet_ends(case: AlertCase, book: CaseBook) -> tuple[datetime, ...]:
    """When mutes of the alert, its patient, ward or site ended, or will, since it was raised; UTC."""
    own = (act.acted_at for act in case.acts if act.verb is CareVerb.UNMUTED)
    others = (mute.until for mute in book.mutes_over(case.alert) if mute.until > mute.since)
    return tuple(at for at in (*own, *others) if at > case.raised_at)


def asked_at(
    case: AlertCase, book: CaseBook, routes: Routes, level: Level, now: datetime
) -> tuple[Route, ...]:
    """Return the routes of a level, without those that are to be left in peace about this patient.

    They are those of the hour in which the level was reached. Where delivery was away until after
    ``delivered_within``, also those of the hour in which the first of them is tried: the shift that was on
    duty then may have gone home. Once one was tried they stay the same.
    """

    def on_duty(at: datetime) -> tuple[Route, ...]:
        matching = routes.matching(case.alert, level.number, at)
        return tuple(route for route in matching if not _in_peace(case, book, route, level, now))

    asked = on_duty(level.start)
    first_tried = _first_tried(case, asked, level, now)
    if first_tried - level.start <= routes.delivered_within:
        return asked
    return (*asked, *(route for route in on_duty(first_tried) if route not in asked))


def lacking(case: AlertCase, asked: Iterable[Route], level: int) -> tuple[Route, ...]:
    """Return those of a level's routes that reached nobody there, over their channels or their second.

    Each route is an audience of its own: the record in the hospital's system does not stand for the pager of
    the ward. A route without channels is for the inbox alone, and lacks nothing.
    """
    return tuple(
        route
        for route in asked
        if route.channels
        and not any((channel, level) in case.delivered for channel in (*route.channels, *route.second))
    )


def tried_since(case: AlertCase, asked: Iterable[Route], level: Level) -> datetime | None:
    """Return since when each of a level's routes was reached or tried; UTC.

    A route that was reached before a quiet counts; one that only failed is to be tried again after it. What
    is for the inbox alone is there from the start.

    Returns
    -------
    datetime or None
        None while one was neither reached nor tried.
    """
    since = [level.start]
    for route in asked:
        channels = (*route.channels, *route.second)
        reached = [
            case.delivered[each, level.number] for each in channels if (each, level.number) in case.delivered
        ]
        failures = (act for each in channels for act in case.failures.get((each, level.number), ()))
        tried = [*reached, *(act.acted_at for act in failures if act.acted_at >= level.start)]
        if route.channels and not tried:
            return None
        since += [min(tried)] if tried else []
    return max(since)


def unreached(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> tuple[Send, ...]:
    """Return what is to be sent, now or later; of each channel and level at most one.

    A recipient asked again at a higher level over the same channel is not sent the lower level's any more.
    """
    sends: list[Send] = []
    again: set[tuple[str, str]] = set()
    for level in reversed(levels(case, book, now)):
        asked = asked_at(case, book, routes, level, now)
        wanted: dict[str, Send] = {}
        for route in asked:
            for channel in _wanted(case, route, level.number, routes.retry):
                if (channel, route.recipient) not in again:
                    wanted.setdefault(channel, _send(case, channel, route, level, routes.retry))
        sends = [*wanted.values(), *sends]
        again.update((channel, route.recipient) for route in asked for channel in route.channels)
    return tuple(sends)


def _first_tried(case: AlertCase, asked: Iterable[Route], level: Level, now: datetime) -> datetime:
    """Return when a level was first tried since it began, ``now`` when it is still to be; UTC.

    Where nothing is to be tried, as all were reached before a quiet, that is when it began.
    """
    attempts = (CareVerb.DELIVERED, CareVerb.DELIVERY_FAILED)
    tried = [
        act.acted_at
        for act in case.acts
        if act.verb in attempts and act.level == level.number and act.acted_at >= level.start
    ]
    to_come = now if lacking(case, asked, level.number) else level.start
    return min(tried, default=max(to_come, level.start))


def _wanted(case: AlertCase, route: Route, level: int, retry: Retry) -> Iterator[str]:
    undelivered = [each for each in route.channels if (each, level) not in case.delivered]
    failing = {each for each in undelivered if _is_failing(case, each, level, retry)}
    second_reached = any((each, level) in case.delivered for each in route.second)
    yield from (each for each in undelivered if each not in failing or not second_reached)
    if failing and not second_reached:
        yield from route.second


def _is_failing(case: AlertCase, channel: str, level: int, retry: Retry) -> bool:
    failures = case.failures.get((channel, level), ())
    return len(failures) >= retry.attempts or _was_refused(failures)


def _was_refused(failures: Iterable[CareAction]) -> bool:
    return any(is_refusal(act) for act in failures)


def _send(case: AlertCase, channel: str, route: Route, level: Level, retry: Retry) -> Send:
    failures = case.failures.get((channel, level.number), ())
    due = level.start
    if failures:
        # What was refused once will be again until somebody mends it: no use in asking often.
        longest = timedelta(seconds=retry.longest_s)
        wait = longest if _was_refused(failures) else retry.wait(len(failures))
        due = max(due, failures[-1].acted_at + wait)
    return Send(
        channel=channel,
        recipient=route.recipient,
        level=level.number,
        not_before=due,
        attempt=len(failures) + 1,
    )


def _in_peace(case: AlertCase, book: CaseBook, route: Route, level: Level, now: datetime) -> bool:
    if route.quiet_h == 0:
        return False
    since = level.start - timedelta(hours=route.quiet_h)
    return any(
        act.verb is CareVerb.DELIVERED and act.recipient == route.recipient and since < act.acted_at <= now
        for other in book.cases_of(case.alert.patient_id)
        if other.alert.alert_id != case.alert.alert_id
        for act in other.acts
    )
