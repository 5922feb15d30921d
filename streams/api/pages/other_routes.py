"""Feeds, model card, help, signing in and out, light and dark."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from models.card import model_card
from streams.api.pages.inbox_routes import Asking
from streams.api.pages.markdown import blocks
from streams.api.pages.paths import local_path
from streams.api.pages.reading import PageParts
from streams.api.pages.rendering import THEME_COOKIE, THEMES, Renderer
from streams.api.sessions import COOKIE, Ending
from streams.api.tokens import Role

#: A year, s.
_LONG_S: Final = 31_536_000

#: A cart's clock that is further off than this is worth a word, s.
SKEW_S: Final = 120.0


#: What who must sign in again is told.
ENDINGS: Final = {
    Ending.RESTARTED: "You were signed out because the server was started anew. What was answered is kept.",
    Ending.ENDED: "Your session has ended: after 12 hours, or because its token was taken back.",
}


def other_routes(parts: PageParts, renderer: Renderer, router: APIRouter) -> None:
    """Add these pages."""
    card = blocks(model_card(parts.services.manifest))

    @router.get("/feeds")
    async def feeds(request: Request, caller: Asking) -> Response:
        services, now = parts.services, parts.services.now()
        return renderer.page(
            request,
            "feeds.html",
            now=now,
            caller=caller,
            sources=sorted(
                services.sources(caller.token),
                key=lambda each: (each.silent_since is None, each.feed, each.source),
            ),
            alarms=await services.alarms(caller.token),
            skew_s=SKEW_S,
            silence=lambda at: now - at,
            seconds=lambda s: timedelta(seconds=s),
        )

    @router.get("/model")
    async def model(request: Request, caller: Asking) -> Response:
        return renderer.page(request, "model.html", now=parts.services.now(), caller=caller, blocks=card)

    @router.get("/help")
    async def help_page(request: Request, caller: Asking) -> Response:
        return renderer.page(
            request, "help.html", now=parts.services.now(), caller=caller, policy=parts.policy
        )

    @router.post("/theme")
    async def theme(
        request: Request, theme: Annotated[str, Form()], then: Annotated[str, Form(max_length=512)] = "/"
    ) -> Response:
        chosen = theme if theme in THEMES else "auto"
        answer = RedirectResponse(local_path(then), status_code=303)
        # Not HttpOnly: the page's script sets it too, so that the change needs no request.
        answer.set_cookie(
            THEME_COOKIE, chosen, max_age=_LONG_S, samesite="lax", secure=request.url.scheme == "https"
        )
        return answer


def door_routes(parts: PageParts, renderer: Renderer, router: APIRouter) -> None:
    """Add signing in and out."""
    doors = parts.doors

    @router.get("/login")
    async def login(request: Request, next: Annotated[str, Query(max_length=512)] = "/") -> Response:  # noqa: A002
        if doors.tokens is None:
            return RedirectResponse(local_path(next), status_code=303)
        ending = doors.ending(request)
        return renderer.page(
            request,
            "login.html",
            now=parts.services.now(),
            then=local_path(next),
            refused=False,
            why=ENDINGS[ending] if ending else None,
        )

    @router.post("/login")
    async def sign_in(
        request: Request, token: Annotated[str, Form(max_length=256)], then: Annotated[str, Form()] = "/"
    ) -> Response:
        known = None if doors.tokens is None else doors.tokens.bearer(token.strip())
        if known is None or not known.may(Role.VIEWER):
            return renderer.page(
                request,
                "login.html",
                now=parts.services.now(),
                then=local_path(then),
                refused=True,
                why=None,
                status=401,
            )
        answer = RedirectResponse(local_path(then), status_code=303)
        answer.set_cookie(
            COOKIE,
            doors.sessions.begin(known),
            max_age=int(doors.sessions.session_s),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    async def sign_out(request: Request) -> Response:
        doors.sessions.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer
