"""``/wards``, ``/wards/{ward}``, ``/patients/{id}``: whom to look at first, and how one patient has been."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from streams.api.pages.inbox import row
from streams.api.pages.inbox_routes import Asking, has_strip
from streams.api.pages.reading import PageParts
from streams.api.pages.rendering import Renderer
from streams.api.pages.risk_bar import risk_bar_svg
from streams.api.pages.trends import trends
from streams.api.problems import not_found
from streams.worklist import Order, PatientRow, change_across_bundles

#: Patients on one page of a ward.
PAGE_SIZE: Final = 100

#: After which the last score is called old.
STALE: Final = timedelta(hours=48)

#: ECGs of a patient's page whose strips are offered, and lines of its table.
MAX_LINES: Final = 200

#: What the choice of time on a patient's page means.
SPANS: Final = {
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
    "1y": ("1 year", timedelta(days=365)),
    "all": ("All", None),
}

_ORDERS: Final = {"change": "Greatest rise first", "risk": "Highest risk first", "age": "Newest ECG first"}


def patient_routes(parts: PageParts, renderer: Renderer, router: APIRouter) -> None:
    """Add the pages of wards and patients."""

    @router.get("/wards")
    async def wards(request: Request, caller: Asking) -> Response:
        services, look = parts.services, parts.look(caller)
        sizes = await services.ward_sizes(caller.token)
        n_open = await services.open_by_ward(caller.token)
        return renderer.page(
            request,
            "wards.html",
            now=look.now,
            caller=caller,
            wards=[(name, n, n_open[name]) for name, n in sizes],
        )

    @router.get("/wards/{ward_id:path}")
    async def ward(
        request: Request,
        caller: Asking,
        ward_id: str,
        order: Order = "change",
        page: Annotated[int, Query(ge=1, le=1000)] = 1,
    ) -> Response:
        services, look = parts.services, parts.look(caller)
        offset = (page - 1) * PAGE_SIZE
        total, seen = await services.worklist(caller.token, ward_id, order, PAGE_SIZE, offset)
        services.looks.at_list(caller.name, [each.patient_id for each in seen], [ward_id])
        return renderer.page(
            request,
            "ward.html",
            now=look.now,
            caller=caller,
            ward_id=ward_id,
            order=order,
            orders=_ORDERS,
            page=page,
            n_pages=max(1, -(-total // PAGE_SIZE)),
            total=total,
            rows=[(each, _bar(each, parts), change_across_bundles(each)) for each in seen],
            is_stale=lambda each: each.is_stale(look.now, STALE),
            open_alerts={each.patient_id: _open_alert(each, parts) for each in seen},
        )

    @router.get("/patients/{patient_id:path}")
    async def patient(
        request: Request,
        caller: Asking,
        patient_id: str,
        span: Annotated[str, Query(max_length=8)] = "90d",
        ecg: Annotated[str, Query(max_length=36)] = "",
    ) -> Response:
        services, look = parts.services, parts.look(caller)
        latest = await services.wards.latest(patient_id)
        if latest is None:
            raise not_found("such patient")
        services.looks.at_patient(caller.name, latest.patient_id)
        chosen = span if span in SPANS else "90d"
        points = await services.history.read(patient_id)
        cases = services.cases_of(latest.identifiers)
        strip = next((point for point in points if point.ecg_id == ecg), latest.last)
        return renderer.page(
            request,
            "patient.html",
            now=look.now,
            caller=caller,
            latest=latest,
            bar=_bar(latest, parts),
            is_stale=latest.is_stale(look.now, STALE),
            trends=trends(points, cases, parts, until=look.now, span=SPANS[chosen][1], is_large=True),
            points=points[::-1][:MAX_LINES],
            n_points=len(points),
            alerts=[row(case, look) for case in reversed(cases)],
            alerted={case.alert.ecg_id: case.alert.alert_id for case in cases},
            strip=strip,
            has_strip=await has_strip(parts, strip.ecg_id),
            span=chosen,
            spans=SPANS,
        )


def _bar(row_: PatientRow, parts: PageParts) -> str:
    if row_.scored is None or row_.probability is None:
        return ""
    return risk_bar_svg(
        before=row_.previous.probability if row_.previous else None,
        after=row_.probability,
        low=row_.scored.probability_low,
        high=row_.scored.probability_high,
        threshold=parts.policy.enter_threshold,
    )


def _open_alert(row_: PatientRow, parts: PageParts) -> str:
    """Id of the newest alert of the patient that nobody answered; empty when there is none."""
    cases = [case for case in parts.services.cases_of(row_.identifiers) if case.is_open]
    return cases[-1].alert.alert_id if cases else ""
