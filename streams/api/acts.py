"""What people do through the API: acts on alerts, and quiet for patients, wards and sites.

Each answer is given once Kafka has the act, and shows the state after it. A request sent again with the same
``Idempotency-Key`` is the same act.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from streams.api.alert_lists import AlertId, case_of
from streams.api.alert_views import AlertView, MuteView, alert_view, mute_view
from streams.api.auth import Places, caller_of
from streams.api.doors import Caller
from streams.api.problems import DESCRIBED, not_found
from streams.api.rules import Subject
from streams.api.services import Services
from streams.api.tokens import Role
from streams.deliver.act_rules import MAX_KEY_CHARS, MAX_REASON_CHARS, CareRefusedError, RejectReason
from streams.deliver.acts import By, make_act, mute_subject, unmute_subject
from streams.deliver.case import AlertCase
from streams.deliver.mutes import Mute
from streams.feeds.http.problems import ProblemError

ORIGIN: Final = "api"

#: Endpoint and what it does.
_VERBS: Final = {
    "acknowledge": (CareVerb.ACKNOWLEDGED, "Say that somebody looks after it; nobody else is asked any more"),
    "accept": (CareVerb.ACCEPTED, "Say that it is acted on"),
    "reject": (CareVerb.REJECTED, "Say that it is not acted on, and why"),
    "mute": (CareVerb.MUTED, "Keep it quiet for a while"),
    "unmute": (CareVerb.UNMUTED, "End its quiet before its time"),
    "outcome": (CareVerb.OUTCOME, "Say what was found in the end; a label to train by"),
}

_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    **DESCRIBED,
    409: {"description": "The alert is not in a state for this; the detail says what can be done."},
    422: {"description": "Something is missing or out of bounds; the detail says what."},
}

Asking = Annotated[Caller, Depends(caller_of)]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_KEY_CHARS,
        description="Names this very request: sent again, it changes nothing. A UUID, for instance.",
    ),
]


class ActBody(BaseModel):
    """What an act states; each takes what it needs."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    code: RejectReason | None = None
    """Of reject: why."""
    text: str = Field(default="", max_length=MAX_REASON_CHARS)
    """In one's own words, without the patient's name."""
    until: AwareDatetime | None = None
    """Of mute: until when, at most 7 days."""
    outcome: Outcome = Outcome.NOT_STATED
    """Of outcome: CONFIRMED or NOT_CONFIRMED."""


class MuteBody(BaseModel):
    """What is to be kept quiet."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    scope: Literal["PATIENT", "WARD", "SITE"]
    subject: str = Field(min_length=1, max_length=256)
    """The patient, ward or site."""
    site_id: str = Field(default="", max_length=256)
    """Of a ward: of which site, since others may have wards of that name; empty: at every site."""
    until: AwareDatetime
    """At most 7 days from now."""
    text: str = Field(min_length=1, max_length=MAX_REASON_CHARS)
    """Why; planned downtime, for instance."""


class MutesView(BaseModel):
    """All that is kept quiet now and may be seen by the caller; single alerts apart."""

    as_of: datetime
    mutes: list[MuteView]


def act_routes(services: Services) -> APIRouter:
    """Make the endpoints of acts on one alert."""
    router = APIRouter(tags=["acts"], responses=_REFUSED)

    def add(name: str, verb: CareVerb, summary: str) -> None:
        @router.post(f"/v1/alerts/{{alert_id}}/{name}", summary=summary, operation_id=f"{name}_alert")
        async def act(
            alert_id: AlertId, caller: Asking, body: ActBody | None = None, key: Key = ""
        ) -> AlertView:
            said, case = body or ActBody(), case_of(services, alert_id)
            made = refusing(
                lambda: make_act(
                    case,
                    verb,
                    By(actor=caller.name, origin=ORIGIN),
                    services.now(),
                    key=key,
                    code=said.code.value if said.code else "",
                    text=said.text,
                    until=said.until,
                    outcome=said.outcome,
                )
            )
            await services.book.append(made)
            return alert_view(_after(services, case), services)

    for name, (verb, summary) in _VERBS.items():
        add(name, verb, summary)
    return router


def mute_routes(services: Services, places: Places) -> APIRouter:
    """Make the endpoints of quiet beyond one alert."""
    router = APIRouter(tags=["acts"], responses=_REFUSED)

    async def shown(caller: Caller) -> MutesView:
        now = services.now()
        standing = [mute for mute in services.book.book.mutes.values() if mute.since <= now < mute.until]
        theirs = [mute for mute in standing if await _may_see(caller, mute, places)]
        return MutesView(as_of=now, mutes=[mute_view(mute) for mute in theirs])

    @router.get("/v1/mutes", summary="What is kept quiet now")
    async def mutes(caller: Asking) -> MutesView:
        return await shown(caller)

    @router.post("/v1/mutes", summary="Keep a patient, a ward or a site quiet")
    async def mute(body: MuteBody, caller: Asking, key: Key = "") -> MutesView:
        scope = CareScope(body.scope)
        await _require_theirs(caller, scope, body.subject, body.site_id, places)
        by, now = By(actor=caller.name, origin=ORIGIN), services.now()
        made = refusing(
            lambda: mute_subject(
                scope,
                body.subject,
                by,
                now,
                until=body.until,
                text=body.text,
                key=key,
                site_id=body.site_id,
            )
        )
        await services.book.append(made)
        return await shown(caller)

    @router.delete("/v1/mutes", summary="End such a quiet; alerts still open are sent then")
    async def unmute(
        scope: Annotated[Literal["PATIENT", "WARD", "SITE"], Query()],
        subject: Annotated[str, Query(min_length=1, max_length=256)],
        caller: Asking,
        site_id: Annotated[str, Query(max_length=256, description="Of a ward: as it was asked for.")] = "",
        key: Key = "",
    ) -> MutesView:
        await _require_theirs(caller, CareScope(scope), subject, site_id, places)
        if (CareScope(scope), subject, site_id) not in services.book.book.mutes:
            raise ProblemError(409, "NOT_MUTED", "this is not kept quiet; see GET /v1/mutes for what is")
        by, now = By(actor=caller.name, origin=ORIGIN), services.now()
        made = refusing(lambda: unmute_subject(CareScope(scope), subject, by, now, key=key, site_id=site_id))
        await services.book.append(made)
        return await shown(caller)

    return router


def refusing(make: Callable[[], CareAction]) -> CareAction:
    """Make an act, or say over HTTP why not.

    Raises
    ------
    ProblemError
        409 when the alert is not in a state for it, 422 when something is missing or out of bounds.
    """
    try:
        return make()
    except CareRefusedError as error:
        code = error.refusal.value.upper().replace("-", "_")
        raise ProblemError(409 if error.is_conflict else 422, code, str(error)) from None


def _after(services: Services, case: AlertCase) -> AlertCase:
    return services.book.book.cases.get(case.alert.alert_id, case)


async def _may_see(caller: Caller, mute: Mute, places: Places) -> bool:
    if mute.scope is CareScope.SITE:
        return caller.token.sees_site(mute.subject)
    if mute.site_id and not caller.token.sees_site(mute.site_id):
        return False
    if not caller.token.is_scoped:
        return True
    subject = Subject.PATIENT if mute.scope is CareScope.PATIENT else Subject.WARD
    return await places.may_see(caller.token, subject, mute.subject)


async def _require_theirs(
    caller: Caller, scope: CareScope, subject: str, site_id: str, places: Places
) -> None:
    """Refuse quiet for what is not the caller's: it would silence alerts that others wait for."""
    token = caller.token
    if scope is CareScope.SITE and not token.may(Role.ADMIN):
        raise ProblemError(403, "FORBIDDEN", f"a whole site is kept quiet by the role {Role.ADMIN} alone")
    if scope is CareScope.WARD and token.sites and not site_id:
        # Another site may have a ward of the same name.
        raise ProblemError(403, "FORBIDDEN", "a token of some sites says of which one the ward is: site_id")
    if site_id and not token.sees_site(site_id):
        raise not_found("ward")
    if scope is CareScope.SITE:
        is_theirs = token.sees_site(subject) and not token.wards
    elif not token.is_scoped:
        is_theirs = True
    else:
        about = Subject.PATIENT if scope is CareScope.PATIENT else Subject.WARD
        is_theirs = await places.may_see(token, about, subject)
    if not is_theirs:
        raise not_found(scope.lower())
