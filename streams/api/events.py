"""``/v1/alerts/events``: alerts and alarms as they change, as server-sent events.

::

    event: reset   load the lists anew: it is not known what you have missed
    event: alert   an alert was raised, or something happened to it: as in the list of alerts
    event: alarm   a technical alarm began, or ended (then without content but its id)
    : comment      nothing happened; the connection lives

Each has an id; a client that sends the last one as ``Last-Event-ID`` is told what it missed. What a token
must not see is left out, event by event, and a token that is withdrawn ends its streams.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from streams.api.alert_views import AlarmView, alert_row
from streams.api.api_metrics import ApiMetrics
from streams.api.auth import caller_of
from streams.api.doors import Caller, Doors
from streams.api.event_log import Change, ChangeKind, EventLog
from streams.api.problems import DESCRIBED
from streams.api.services import Services
from streams.feeds.http.problems import ProblemError

#: Proxies drop connections that say nothing for a minute, s; also how soon a withdrawn token is noticed.
HEARTBEAT_S: Final = 15.0

#: Streams at a time. Each is a connection of the server, which has 512.
MAX_STREAMS: Final = 256

#: What browsers wait before they connect anew, ms.
_RETRY_MS: Final = 1000

#: Of each event; the data are JSON.
_EACH: Final = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["reset", "alert", "alarm"]},
        "data": {
            "type": "string",
            "description": "An AlertRow, an AlarmView or {alarm_id, ended}; of reset {}.",
        },
    },
    "required": ["id", "event", "data"],
}

_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A stream of `reset`, `alert` and `alarm` events, each with an id.",
        "content": {"text/event-stream": {"schema": _EACH}},
    },
    503: {"description": "Too many streams are open; come again after Retry-After seconds."},
}


class Ended(BaseModel):
    """Of an alarm that is no more."""

    alarm_id: str
    ended: bool = True


def event_routes(
    services: Services,
    changes: EventLog,
    doors: Doors,
    metrics: ApiMetrics,
    *,
    heartbeat_s: float = HEARTBEAT_S,
    max_streams: int = MAX_STREAMS,
) -> APIRouter:
    """Make the endpoint."""
    router = APIRouter(tags=["alerts"])
    n_open = 0

    async def told(caller: Caller, number: int, first: str) -> AsyncIterator[str]:
        nonlocal n_open
        n_open += 1
        metrics.readers.set(n_open)
        try:
            yield first
            async for text in stream(services, changes, doors, caller, number, heartbeat_s):
                yield text
        finally:
            n_open -= 1
            metrics.readers.set(n_open)

    @router.get(
        "/v1/alerts/events",
        summary="Alerts and alarms as they change",
        response_class=StreamingResponse,
        responses={**DESCRIBED, **_CONTENT},
    )
    async def events(
        caller: Annotated[Caller, Depends(caller_of)],
        last_event_id: Annotated[str, Header(description="Of the last event that came.")] = "",
    ) -> StreamingResponse:
        if n_open >= max_streams:
            raise ProblemError(503, "TOO_MANY_STREAMS", "close other pages, or come again later")
        known = changes.place_of(last_event_id)
        first = f"retry: {_RETRY_MS}\n\n"
        number = changes.number if known is None else known
        if known is None:
            first += _event("reset", "{}", changes.name_of(number))
        return StreamingResponse(
            told(caller, number, first), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return router


async def stream(
    services: Services, changes: EventLog, doors: Doors, caller: Caller, number: int, heartbeat_s: float
) -> AsyncIterator[str]:
    """Yield events after a place in the log, until streams are to end or the token is withdrawn."""
    while not changes.has_ended and doors.is_known_still(caller):
        if not await changes.wait(number, heartbeat_s):
            yield ": nothing new\n\n"
            continue
        if changes.has_lost(number):
            number = changes.number
            yield _event("reset", "{}", changes.name_of(number))
            continue
        # Of what changed several times only the last state can be told: it is told once.
        newest = {change.changed_id: change for change in changes.since(number)}
        number = changes.number
        for change in sorted(newest.values(), key=lambda each: each.number):
            text = await _told(services, changes, caller, change)
            if text:
                await services.looks.written()
                yield text


async def _told(services: Services, changes: EventLog, caller: Caller, change: Change) -> str:
    name = changes.name_of(change.number)
    if change.kind is not ChangeKind.ALERT and not await services.sees_alarm_of(caller.token, change.about):
        return ""
    if change.kind is ChangeKind.ALARM_ENDED:
        return _event("alarm", Ended(alarm_id=change.changed_id).model_dump_json(), name)
    if change.kind is ChangeKind.ALARM:
        alarm = services.book.alarm(change.changed_id)
        return (
            "" if alarm is None else _event("alarm", AlarmView.model_validate(alarm).model_dump_json(), name)
        )
    case = services.book.book.cases.get(change.changed_id)
    if case is None or not await services.sees(caller.token, case):
        return ""
    services.looks.at_list(caller.name, [case.alert.patient_id], [case.alert.ward_id])
    return _event("alert", alert_row(case, services).model_dump_json(), name)


def _event(kind: str, content: str, name: str) -> str:
    # JSON has no line ends of its own, so that one line of data holds it.
    return f"id: {name}\nevent: {kind}\ndata: {content}\n\n"
