"""``/v1/patients`` and ``/v1/wards``: risk over time, latest state, and whom to look at first."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from streams.api.alert_views import AlertRow, alert_row
from streams.api.auth import caller_of
from streams.api.doors import Caller
from streams.api.marks import marks_of
from streams.api.problems import DESCRIBED, not_found
from streams.api.services import Services
from streams.api.views import (
    BundleChange,
    HistoryView,
    MarkView,
    PatientView,
    WardsView,
    WardView,
    WorklistView,
    patient_view,
    point_view,
)
from streams.history import HistoryPoint
from streams.worklist import Order, PatientRow

MAX_POINTS: Final = 10_000
MAX_PATIENTS: Final = 500

PatientId = Annotated[str, Path(min_length=1, max_length=128, description="Any identifier of the patient.")]
WardId = Annotated[str, Path(min_length=1, max_length=256)]
Asking = Annotated[Caller, Depends(caller_of)]
Since = Annotated[AwareDatetime | None, Query(description="Acquired from then on (ISO 8601 with offset).")]
Until = Annotated[AwareDatetime | None, Query(description="Acquired before then.")]
PageLimit = Annotated[int, Query(ge=1, le=MAX_PATIENTS)]
PageOffset = Annotated[int, Query(ge=0, le=10**6)]


def patient_routes(services: Services) -> APIRouter:
    """Make the endpoints of one patient; every look is noted in the audit."""
    router = APIRouter(tags=["patients"], responses=DESCRIBED)

    @router.get("/v1/patients/{patient_id:path}/history", summary="Risk over time")
    async def history(
        patient_id: PatientId,
        caller: Asking,
        since: Since = None,
        until: Until = None,
        limit: Annotated[int, Query(ge=1, le=MAX_POINTS, description="The newest so many.")] = 2000,
    ) -> HistoryView:
        identifiers = await services.history.identifiers(patient_id)
        points = await services.history.read(patient_id, _utc(since), _utc(until))
        if not points and await services.wards.latest(patient_id) is None:
            raise not_found("patient")
        services.looks.at_patient(caller.name, identifiers[0])
        shown = points[-limit:]
        return HistoryView(
            patient_id=identifiers[0],
            identifiers=list(identifiers),
            as_of=services.now(),
            has_earlier=len(points) > limit,
            points=[point_view(point) for point in shown],
            alerts=_within(marks_of(services.cases_of(identifiers)), since, until),
            bundle_changes=bundle_changes(shown),
        )

    @router.get("/v1/patients/{patient_id:path}/marks", summary="What to mark on a trend")
    async def marks(
        patient_id: PatientId, caller: Asking, since: Since = None, until: Until = None
    ) -> list[MarkView]:
        identifiers = await services.history.identifiers(patient_id)
        services.looks.at_patient(caller.name, identifiers[0])
        points = await services.history.read(patient_id, _utc(since), _utc(until))
        changed = [
            MarkView(at=each.at, kind="BUNDLE", text=f"bundle {each.before} → {each.after}")
            for each in bundle_changes(points)
        ]
        happened = _within(marks_of(services.cases_of(identifiers)), since, until)
        return sorted([*happened, *changed], key=lambda mark: mark.at)

    @router.get("/v1/patients/{patient_id:path}/latest", summary="Latest state")
    async def latest(patient_id: PatientId, caller: Asking) -> PatientView:
        row = await services.wards.latest(patient_id)
        if row is None:
            raise not_found("patient")
        services.looks.at_patient(caller.name, row.patient_id)
        return _viewed(services, [row])[0]

    @router.get("/v1/patients/{patient_id:path}/alerts", summary="All alerts of a patient, the oldest first")
    async def alerts(patient_id: PatientId, caller: Asking) -> list[AlertRow]:
        identifiers = await services.history.identifiers(patient_id)
        services.looks.at_patient(caller.name, identifiers[0])
        return [alert_row(case, services) for case in services.cases_of(identifiers)]

    return router


def ward_routes(services: Services) -> APIRouter:
    """Make the endpoints of wards."""
    router = APIRouter(tags=["wards"], responses=DESCRIBED)

    @router.get("/v1/wards", summary="Wards that had an ECG lately")
    async def wards(caller: Asking) -> WardsView:
        n_open = await services.open_by_ward(caller.token)
        rows = [
            WardView(ward_id=name, n_patients=size, n_open_alerts=n_open[name])
            for name, size in await services.ward_sizes(caller.token)
        ]
        return WardsView(as_of=services.now(), wards=rows)

    @router.get("/v1/wards/{ward_id:path}/worklist", summary="Whom to look at first")
    async def worklist(
        ward_id: WardId,
        caller: Asking,
        order: Annotated[
            Order, Query(description="Highest risk, greatest rise, or newest ECG first.")
        ] = "change",
        limit: PageLimit = 50,
        offset: PageOffset = 0,
    ) -> WorklistView:
        total, rows = await services.worklist(caller.token, ward_id, order, limit, offset)
        services.looks.at_list(caller.name, [row.patient_id for row in rows], [ward_id])
        return WorklistView(
            ward_id=ward_id,
            order=order,
            as_of=services.now(),
            total=total,
            limit=limit,
            offset=offset,
            patients=_viewed(services, rows),
        )

    return router


def bundle_changes(points: Sequence[HistoryPoint]) -> list[BundleChange]:
    """Find where another bundle took over; points in ascending order.

    ECGs that both scored, as after a rebuild, tell of no change.
    """
    changes: list[BundleChange] = []
    current = ""
    for _, group in groupby(points, key=lambda point: (point.acquired_at, point.ecg_id)):
        by_bundle = {point.bundle_version: point.acquired_at for point in group}
        if current in by_bundle:
            continue
        after, at = list(by_bundle.items())[-1]
        if current:
            changes.append(BundleChange(at=at, before=current, after=after))
        current = after
    return changes


def _viewed(services: Services, rows: Sequence[PatientRow]) -> list[PatientView]:
    n_open = Counter(case.alert.patient_id for case in services.book.book.cases.values() if case.is_open)
    now = services.now()
    return [patient_view(row, now, sum(n_open[each] for each in row.identifiers)) for row in rows]


def _within(marks: Sequence[MarkView], since: datetime | None, until: datetime | None) -> list[MarkView]:
    return [
        mark for mark in marks if (since is None or mark.at >= since) and (until is None or mark.at < until)
    ]


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
