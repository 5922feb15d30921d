"""Whether somebody was told of an alert that waits, in words: also when nobody is to be, or nobody sends."""

from datetime import datetime, timedelta
from typing import Final

from schemas.audit import CareVerb
from streams.api.wording import age_words
from streams.deliver.asked import asked_at, lacking, levels
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.plan import is_fresh, is_overdue, next_escalation
from streams.deliver.routing import Routes

#: What to look at when what is due was not done.
_IS_IT_RUNNING: Final = "is “diastole deliver” running?"

#: The service notes an escalation within seconds of its time; a silence of a minute is worth a word.
_GRACE: Final = timedelta(seconds=60)


def delivery_words(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> tuple[str, bool]:
    """Say how far an open alert got, and whether that is trouble. Mutes are the caller's to say.

    Parameters
    ----------
    routes : Routes
        The site's, as the service that delivers has them.
    now : datetime
        UTC.
    """
    act = case.last(CareVerb.DELIVERED, CareVerb.DELIVERY_FAILED)
    if act is not None and act.verb is CareVerb.DELIVERY_FAILED:
        return f"delivery failed: {act.channel}", True
    silence = silence_words(case, book, routes, now)
    if act is not None:
        told = f"{act.channel}, {age_words(now - act.acted_at)} ago"
        return (f"{told}; {silence}", True) if silence else (told, False)
    return (silence, True) if silence else (_untold(case, book, routes, now), False)


def silence_words(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> str:
    """Say what is due of an open alert and was not done in time; empty when nothing is."""
    if is_overdue(case, book, routes, now):
        to_all = " to all it is for" if _is_told(case) else ""
        return f"not delivered{to_all}: {_failing_words(case, book, routes, now) or _IS_IT_RUNNING}"
    due = next_escalation(case, book, routes, now)
    if due is not None and due + _GRACE <= now:
        return f"not escalated, due {age_words(now - due)} ago: {_IS_IT_RUNNING}"
    return ""


def _failing_words(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> str:
    """Name the channels that failed so lately that the service runs; empty when none did."""
    level = levels(case, book, now)[-1]
    # A channel that fails is asked again after this at the latest.
    since = now - timedelta(seconds=routes.retry.longest_s) - _GRACE
    short = lacking(case, asked_at(case, book, routes, level, now), level.number)
    channels = {channel for route in short for channel in (*route.channels, *route.second)}
    failing = sorted(
        channel
        for channel in channels
        if any(act.acted_at >= since for act in case.failures.get((channel, level.number), ()))
    )
    return f"{', '.join(failing)} fail{'s' if len(failing) == 1 else ''}" if failing else ""


def _untold(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> str:
    if not is_fresh(case, routes):
        return "listed, nobody is paged: its ECG was old already"
    asked = asked_at(case, book, routes, levels(case, book, now)[-1], now)
    if not any(route.channels for route in asked):
        return "in the inbox only, nobody is paged"
    return "not delivered yet"


def _is_told(case: AlertCase) -> bool:
    return any(level == case.level for _, level in case.delivered)
