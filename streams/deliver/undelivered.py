"""The technical alarm of an alert that did not reach all it is for: pure functions of the records."""

from datetime import datetime
from typing import Final

from schemas.alert import AlarmKind, Priority, TechnicalAlarm
from schemas.identity import alarm_id
from streams.deliver.asked import Level, asked_at, lacking, levels
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.life import LifeState
from streams.deliver.routing import Route, Routes

_SOURCE: Final = "deliver:"


def undelivered_alarm(case: AlertCase, severity: Priority, level: Level) -> TechnicalAlarm:
    """Write the alarm, the same however often and whoever does.

    Each level of the ladder at which a route reaches nobody is an alarm of its own, and so is each time it is
    asked anew after a quiet: what ended with the quiet does not keep silent about what comes after it.
    """
    source = f"{_SOURCE}{case.alert.alert_id}:{level.number}"
    kind = AlarmKind.DELIVERY_FAILED
    return TechnicalAlarm(
        alarm_id=alarm_id(kind=kind, source=source, started_at=level.start),
        kind=kind,
        priority=severity,
        source=source,
        started_at=level.start,
        message=f"An alert did not reach all it is for at step {level.number} of its ladder: "
        "no channel of a route took it in time.",
        action_text="Answer the alert in the inbox, tell the ward, and check the channels of its route "
        "(diastole deliver --check).",
    )


def alert_and_level(alarm: TechnicalAlarm) -> tuple[str, int] | None:
    """Name the alert and the level an alarm is about; None when it is another kind of alarm.

    >>> from datetime import UTC
    >>> alert_and_level(
    ...     TechnicalAlarm(
    ...         alarm_id="00000000-0000-0000-0000-000000000001",
    ...         kind=AlarmKind.DELIVERY_FAILED,
    ...         priority=Priority.HIGH,
    ...         source="deliver:00000000-0000-0000-0000-00000000000a:2",
    ...         started_at=datetime(2026, 3, 1, tzinfo=UTC),
    ...         message="",
    ...         action_text="",
    ...     )
    ... )
    ('00000000-0000-0000-0000-00000000000a', 2)
    """
    alert_id, _, level = alarm.source.removeprefix(_SOURCE).rpartition(":")
    if alarm.kind is not AlarmKind.DELIVERY_FAILED or not alarm.source.startswith(_SOURCE):
        return None
    return (alert_id, int(level)) if level.isdigit() else None


def has_ended(case: AlertCase | None, level: int, book: CaseBook, routes: Routes, now: datetime) -> bool:
    """Whether an alarm about a level is over: all routes reached somebody, there or above, or none needs to.

    An alert that expired was answered by nobody, and still may be: its alarm stays until then.

    Parameters
    ----------
    now : datetime
        UTC.
    """
    if case is None or not (case.is_open or case.state is LifeState.EXPIRED):
        return True
    return any(
        _is_reached(case, asked_at(case, book, routes, each, now), each.number)
        for each in levels(case, book, now)
        if each.number >= level
    )


def _is_reached(case: AlertCase, asked: tuple[Route, ...], level: int) -> bool:
    # A level that leaves the house over no channel reached nobody, however little it lacks.
    return any(route.channels for route in asked) and not lacking(case, asked, level)
