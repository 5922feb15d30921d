"""The read API as one application behind its guard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response

from streams.api.about import about_routes
from streams.api.acts import act_routes, mute_routes
from streams.api.alert_lists import alert_routes
from streams.api.api_metrics import ApiMetrics
from streams.api.auth import AsgiApp, Guard, RefusesPeople
from streams.api.doors import Doors
from streams.api.event_log import EventLog
from streams.api.events import HEARTBEAT_S, event_routes
from streams.api.patients import patient_routes, ward_routes
from streams.api.pictures import picture_routes
from streams.api.places import ServicePlaces
from streams.api.problems import Problem, answer_errors
from streams.api.rules import RULES, Table
from streams.api.services import Services
from streams.history import HistoryUnavailableError

_DESCRIPTION: Final = """Risk over time, alerts and their life, ECGs and synthetic motion as pictures.

Research decision support: not a medical device. What is missing is null, never 0. Times are ISO 8601 in UTC;
units are in the names. Every look at a patient is written to the audit. What lies outside the wards and
sites of the token is answered as if it were not there."""

#: Adds pages to the application and returns how people are told what went wrong.
AddPages = Callable[[FastAPI], "RefusesPeople | None"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Api:
    """The application, and the same behind its guard: serve that one."""

    app: FastAPI
    guarded: AsgiApp


def build_api(
    services: Services,
    doors: Doors,
    changes: EventLog,
    metrics: ApiMetrics | None = None,
    *,
    add_pages: AddPages | None = None,
    heartbeat_s: float = HEARTBEAT_S,
) -> Api:
    """Build the application.

    Parameters
    ----------
    changes : EventLog
        Whoever runs the API writes the book's changes down here.
    add_pages : callable or None
        Adds the care team's pages.
    """
    counted = metrics or ApiMetrics()
    app = FastAPI(
        title="Diastole read API",
        description=_DESCRIPTION,
        docs_url=None,  # the pages of FastAPI load scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    places = ServicePlaces(services=services)
    for router in (
        patient_routes(services),
        ward_routes(services),
        # "events" must be tried before "{alert_id}".
        event_routes(services, changes, doors, counted, heartbeat_s=heartbeat_s),
        alert_routes(services),
        act_routes(services),
        mute_routes(services, places),
        picture_routes(services),
        about_routes(services),
    ):
        app.include_router(router)
    _health(app, services)
    answer_errors(app)
    refuse = add_pages(app) if add_pages is not None else None
    described = _described(app)
    app.openapi = lambda: described  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return Api(
        app=app,
        guarded=Guard(
            app,
            doors=doors,
            places=places,
            metrics=counted,
            table=Table(RULES),
            refuse_people=refuse,
            before_answers=services.looks.written,
        ),
    )


def _health(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", summary="Whether the process lives", tags=["about"])
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(
        "/readyz",
        summary="Whether answers are complete and of now",
        tags=["about"],
        responses={503: {"description": "Something that is needed does not answer."}},
    )
    async def readyz() -> Response:
        missing = await what_is_missing(services)
        told: dict[str, Any] = {"status": "ready" if not missing else "not ready", "missing": missing}
        return JSONResponse(told, 503 if missing else 200)


async def what_is_missing(services: Services) -> list[str]:
    """Say what keeps answers from being complete: ``book`` (Kafka is away) and ``history`` (Redis is)."""
    missing = [] if services.book.is_current else ["book"]
    try:
        await services.history.ping()
    except HistoryUnavailableError:
        missing.append("history")
    return missing


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    components["schemas"]["Problem"] = Problem.model_json_schema()
    open_to_all = {rule.path for rule in RULES if rule.role is None}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path not in open_to_all:
                operation["security"] = [{"bearer": []}]
            # FastAPI describes its own answer to what it cannot read; ours is 400.
            found = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(found):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return document
