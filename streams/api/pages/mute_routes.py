"""``/mutes``: what is kept quiet, until when, by whom; to end it, and to ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.audit import CareScope, CareVerb
from schemas.errors import RetriableError
from streams.api.doors import Caller
from streams.api.muting import MuteDesk
from streams.api.pages.answering import ORIGIN, done_words
from streams.api.pages.inbox_routes import Asking
from streams.api.pages.reading import PageParts
from streams.api.pages.rendering import Renderer
from streams.api.places import ServicePlaces
from streams.api.tokens import Role
from streams.deliver.act_rules import MAX_MUTE, MAX_REASON_CHARS
from streams.deliver.mutes import MuteKey
from streams.feeds.http.problems import ProblemError

#: What is muted, as a list says it.
SCOPES: Final = {CareScope.PATIENT: "Patient", CareScope.WARD: "Ward", CareScope.SITE: "Site"}

_MAX_H: Final = MAX_MUTE // timedelta(hours=1)

_MAX_NAME: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """What a form says.

    Attributes
    ----------
    about : tuple
        Scope, name, and of a ward the site, if stated.
    occasion : str
        Names this very form: sent twice, it is the same act.
    """

    about: MuteKey
    occasion: str


def quiet_form(
    about: Annotated[str, Form(max_length=_MAX_NAME + 8, description="Scope and name: WARD CCU.")],
    occasion: Annotated[str, Form(min_length=1, max_length=64)],
    site_id: Annotated[str, Form(max_length=_MAX_NAME)] = "",
) -> Quiet:
    """Read which quiet a form is about; a FastAPI dependency."""
    scope, _, subject = about.partition(" ")
    if scope not in set(SCOPES) or not subject:
        raise ProblemError(422, "SUBJECT_MISSING", "choose what is to be quiet; go back and fill it in")
    return Quiet(about=(CareScope(scope), subject, site_id.strip()), occasion=occasion)


def mute_page_routes(parts: PageParts, renderer: Renderer, router: APIRouter) -> None:
    """Add the page."""
    services = parts.services
    desk = MuteDesk(services=services, places=ServicePlaces(services=services), origin=ORIGIN)

    @router.get("/mutes")
    async def mutes(
        request: Request, caller: Asking, done: Annotated[str, Query(max_length=32)] = ""
    ) -> Response:
        now = services.now()
        standing = sorted(await desk.standing(caller), key=lambda each: (each.until, each.key))
        return renderer.page(
            request,
            "mutes.html",
            now=now,
            caller=caller,
            done=done_words(done),
            mutes=[(each, await desk.may_change(caller, each.key)) for each in standing],
            scopes=SCOPES,
            wards=await _wards(parts, caller),
            sites=_sites(parts, caller),
            wants_site=bool(caller.token.sites),
            earliest=_local(now + timedelta(minutes=1), parts.zone),
            latest=_local(now + MAX_MUTE, parts.zone),
            left=lambda each: each.until - now,
        )

    @router.post("/mutes")
    async def mute(
        caller: Asking,
        quiet: Annotated[Quiet, Depends(quiet_form)],
        reason: Annotated[str, Form(max_length=MAX_REASON_CHARS)] = "",
        hours: Annotated[int, Form(ge=0, le=_MAX_H)] = 0,
        until: Annotated[str, Form(max_length=32)] = "",
    ) -> Response:
        end = services.now() + timedelta(hours=hours) if hours else instant(until, parts.zone)
        await desk.mute(caller, quiet.about, end, reason, quiet.occasion)
        return RedirectResponse(f"/mutes?done={CareVerb.MUTED.value}", status_code=303)

    @router.post("/mutes/end")
    async def unmute(caller: Asking, quiet: Annotated[Quiet, Depends(quiet_form)]) -> Response:
        await desk.unmute(caller, quiet.about, quiet.occasion)
        return RedirectResponse(f"/mutes?done={CareVerb.UNMUTED.value}", status_code=303)


def instant(local: str, zone: tzinfo) -> datetime:
    """Read what a browser's field of date and time says, in the page's zone; UTC.

    Raises
    ------
    ProblemError
        422 when it is none.

    >>> instant("2026-03-01T15:30", UTC).isoformat()
    '2026-03-01T15:30:00+00:00'
    """
    try:
        read = datetime.fromisoformat(local)
    except ValueError:
        raise ProblemError(
            422, "EXPIRY_MISSING", "say until when, with date and time; go back and fill it in"
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)


def _local(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


async def _wards(parts: PageParts, caller: Caller) -> Sequence[str] | None:
    """Wards that may be muted; None when they cannot be listed, and are to be typed."""
    try:
        return [name for name, _ in await parts.services.ward_sizes(caller.token) if name]
    except RetriableError:
        return None


def _sites(parts: PageParts, caller: Caller) -> list[str]:
    """Sites that the caller may mute as a whole, as far as any is known."""
    if not caller.token.may(Role.ADMIN) or caller.token.wards:
        return []
    known = {case.alert.site_id for case in parts.services.book.book.cases.values()}
    known |= {each.site_id for each in parts.services.feeds.sources()}
    return sorted(site for site in known if site and caller.token.sees_site(site))
