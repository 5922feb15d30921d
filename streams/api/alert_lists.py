"""``/v1/alerts``: lists of alerts, and one with all that happened to it."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from streams.api.alert_views import AlertsView, AlertView, alert_row, alert_view, rejected_share
from streams.api.auth import caller_of
from streams.api.doors import Caller
from streams.api.problems import DESCRIBED, not_found
from streams.api.services import Services
from streams.deliver.case import AlertCase
from streams.deliver.life import OPEN, UNANSWERED, LifeState

MAX_ALERTS: Final = 500

AlertId = Annotated[str, Path(pattern="^[0-9a-f-]{36}$", description="UUID in lower case.")]
Asking = Annotated[Caller, Depends(caller_of)]


class Standing(StrEnum):
    """Where an alert stands: a state of its life, or several of them."""

    OPEN = "OPEN"
    UNANSWERED = "UNANSWERED"
    RAISED = "RAISED"
    DELIVERED = "DELIVERED"
    ESCALATED = "ESCALATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    MUTED = "MUTED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"


_SEVERAL: Final = {Standing.OPEN: OPEN, Standing.UNANSWERED: UNANSWERED}


def alert_routes(services: Services) -> APIRouter:
    """Make the endpoints."""
    router = APIRouter(tags=["alerts"], responses=DESCRIBED)

    @router.get("/v1/alerts", summary="Alerts, the newest first")
    async def alerts(
        caller: Asking,
        state: Annotated[
            list[Standing] | None,
            Query(description="These alone; OPEN: nobody has answered, UNANSWERED: or it is muted."),
        ] = None,
        ward: Annotated[
            list[str] | None, Query(description="Raised in these wards, or of who lies there now.")
        ] = None,
        site: Annotated[list[str] | None, Query(description="Raised at these sites alone.")] = None,
        since: Annotated[AwareDatetime | None, Query(description="Raised from then on.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Raised before then.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_ALERTS)] = 100,
        offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
    ) -> AlertsView:
        states = states_of(state or ())
        lying = await services.lying(caller.token, ward or ())
        found = [
            case
            for case in services.cases(caller.token, lying)
            if case.state in states
            and (ward is None or not set(ward).isdisjoint(wards_of(case, lying)))
            and (site is None or case.alert.site_id in site)
            and (since is None or case.raised_at >= since)
            and (until is None or case.raised_at < until)
        ]
        shown, (n_judged, rejected) = found[offset : offset + limit], rejected_share(found)
        services.looks.at_list(
            caller.name,
            [case.alert.patient_id for case in shown],
            {name for case in shown for name in wards_of(case, lying)},
        )
        return AlertsView(
            as_of=services.now(),
            is_current=services.book.is_current,
            behind_s=services.book.behind_s,
            total=len(found),
            n_judged=n_judged,
            rejected_share=rejected,
            limit=limit,
            offset=offset,
            alerts=[alert_row(case, services) for case in shown],
        )

    @router.get("/v1/alerts/{alert_id}", summary="One alert with all that happened to it")
    async def alert(alert_id: AlertId, caller: Asking) -> AlertView:
        case = case_of(services, alert_id)
        services.looks.at_alert(caller.name, alert_id)
        services.looks.at_patient(caller.name, case.alert.patient_id)
        return alert_view(case, services)

    return router


def wards_of(case: AlertCase, lying: Mapping[str, str]) -> set[str]:
    """Ward an alert was raised in, and that in which its patient lies now, as far as that is known."""
    return {case.alert.ward_id, lying.get(case.alert.patient_id, case.alert.ward_id)}


def states_of(wanted: Iterable[Standing]) -> Collection[LifeState]:
    """Return the states that are meant; all of them when none is named."""
    named = list(wanted)
    if not named:
        return frozenset(LifeState)
    return frozenset().union(*(_SEVERAL.get(each) or {LifeState(each.value)} for each in named))


def case_of(services: Services, alert_id: str) -> AlertCase:
    """Return an alert, which the guard has let through.

    Raises
    ------
    ProblemError
        404 when there is none.
    """
    case = services.book.book.cases.get(alert_id)
    if case is None:
        raise not_found("alert")
    return case
