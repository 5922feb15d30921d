"""All pages as one router, and the files they need."""

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from streams.api.auth import RefusesPeople
from streams.api.pages.inbox_routes import inbox_routes
from streams.api.pages.mute_routes import mute_page_routes
from streams.api.pages.other_routes import door_routes, other_routes
from streams.api.pages.patient_routes import patient_routes
from streams.api.pages.reading import PageParts
from streams.api.pages.refusing import Refusals, refusing_route
from streams.api.pages.rendering import STATIC, Renderer, Site


def add_pages(app: FastAPI, parts: PageParts) -> RefusesPeople:
    """Serve the pages from an application that is behind the guard.

    Returns
    -------
    callable
        For the guard: how a person is told why there is no page.
    """
    renderer = Renderer(Site(zone=parts.zone, not_for_text=parts.services.manifest.not_for_text))
    refusals = Refusals(renderer=renderer, now=parts.services.now)
    router = APIRouter(route_class=refusing_route(refusals), include_in_schema=False)
    for add in (inbox_routes, patient_routes, mute_page_routes, other_routes, door_routes):
        add(parts, renderer, router)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return refusals.page
