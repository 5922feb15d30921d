"""``/``, ``/alerts/{id}`` and the forms on them."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.errors import RetriableError
from streams.api.alert_lists import case_of, wards_of
from streams.api.auth import caller_of
from streams.api.doors import Caller
from streams.api.pages.alert_view import alert_view
from streams.api.pages.answering import Answer, answer_alert, answer_form, done_words
from streams.api.pages.inbox import Group, groups
from streams.api.pages.paths import local_path
from streams.api.pages.reading import PageParts
from streams.api.pages.rendering import Renderer
from streams.api.pages.trends import trends
from streams.deliver.act_rules import REJECT_TEXTS
from streams.history import HistoryPoint, HistoryUnavailableError

Asking = Annotated[Caller, Depends(caller_of)]


def inbox_routes(parts: PageParts, renderer: Renderer, router: APIRouter) -> None:
    """Add the pages of alerts."""

    @router.get("/")
    async def inbox(
        request: Request,
        caller: Asking,
        ward: Annotated[str, Query(max_length=256)] = "",
        show: Annotated[str, Query(max_length=16)] = "",
    ) -> Response:
        services = parts.services
        lying = await services.lying(caller.token, [ward] if ward else [])
        cases = services.cases(caller.token, lying)
        lying = {**await services.where_now(cases), **lying}
        look = parts.look(caller, lying)
        shown = [case for case in cases if not ward or ward in wards_of(case, lying)]
        named = {each for case in cases for each in wards_of(case, lying)}
        alarms = await services.alarms(caller.token)
        listed = groups(shown, look, ended=show == "ended")
        rows = [row for group in listed for row in group.rows]
        services.looks.at_list(
            caller.name,
            [row.patient_id for row in rows],
            {name for row in rows for name in (row.ward_id, row.ward_now)},
        )
        return renderer.page(
            request,
            "inbox.html",
            now=look.now,
            caller=caller,
            groups=listed,
            counts=_counts(groups(shown, look)),
            wards=sorted((named | {ward}) - {""}),
            ward=ward,
            ended=show == "ended",
            alarms=sorted(alarms, key=lambda alarm: (_LOUDNESS[alarm.priority.value], alarm.started_at)),
            behind_s=_behind_s(parts),
        )

    @router.get("/alerts/{alert_id}")
    async def alert(
        request: Request, caller: Asking, alert_id: str, done: Annotated[str, Query(max_length=32)] = ""
    ) -> Response:
        case = case_of(parts.services, alert_id)
        asked = case.alert.patient_id
        parts.services.looks.at_alert(caller.name, alert_id)
        parts.services.looks.at_patient(caller.name, asked)
        patient = await parts.services.patient_now(asked)
        look = parts.look(caller, {asked: patient.ward_id} if patient else {})
        points = await _history(parts, asked)
        # After a merge earlier alerts bear another identifier.
        siblings = parts.services.cases_of(patient.identifiers if patient else [asked])
        return renderer.page(
            request,
            "alert.html",
            now=look.now,
            caller=caller,
            view=alert_view(case, look),
            policy=parts.policy,
            trends=None if points is None else trends(points, siblings, parts, until=look.now, about=case),
            has_strip=await has_strip(parts, case.alert.ecg_id),
            done=done_words(done),
            reject_texts=REJECT_TEXTS,
            behind_s=_behind_s(parts),
        )

    @router.post("/alerts/{alert_id}/answer")
    async def answer(
        caller: Asking, alert_id: str, said: Annotated[Answer, Depends(answer_form)]
    ) -> Response:
        await answer_alert(parts.services, case_of(parts.services, alert_id), said, caller)
        default = f"/alerts/{alert_id}?done={said.verb.value}"
        return RedirectResponse(local_path(said.then) if said.then else default, status_code=303)


_LOUDNESS: Final = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}


async def _history(parts: PageParts, patient_id: str) -> Sequence[HistoryPoint] | None:
    """Read what the trend is drawn of; None when the cache is away: the alert is shown all the same."""
    try:
        return await parts.services.history.read(patient_id)
    except HistoryUnavailableError:
        return None


async def has_strip(parts: PageParts, ecg_id: str) -> bool:
    """Whether the waveform is still kept, as far as can be said."""
    try:
        return await parts.services.waveforms.strip(ecg_id) is not None
    except RetriableError:
        return False


def _behind_s(parts: PageParts) -> float:
    """How old the book is, s; 0 while it may be believed."""
    book = parts.services.book
    return 0.0 if book.is_current else book.behind_s


def _counts(shown: Sequence[Group]) -> dict[str, int]:
    waiting = next(group for group in shown if group.key == "waiting").rows
    counts = {name: sum(row.severity.value == name for row in waiting) for name in _LOUDNESS}
    return counts | {group.key: len(group.rows) for group in shown}
