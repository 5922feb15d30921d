"""What people do through the API: acts on alerts, and quiet for patients, wards and sites.

Each answer is given once Kafka has the act, and shows the state after it. A request sent again with the same
``Idempotency-Key`` is the same act.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.audit import CareScope, CareVerb, Outcome
from streams.api.alert_lists import AlertId, case_of
from streams.api.alert_views import AlertView, MuteView, alert_view, mute_view
from streams.api.auth import Places, caller_of
from streams.api.doors import Caller
from streams.api.muting import MuteDesk, require_why
from streams.api.problems import DESCRIBED, refusing
from streams.api.services import Services
from streams.deliver.act_rules import MAX_KEY_CHARS, MAX_REASON_CHARS, RejectReason
from streams.deliver.acts import By, make_act
from streams.deliver.case import AlertCase

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
    """In one's own words, without the patient's name; of mute: why, and obligatory."""
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
            require_why(verb, said.text)
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
    desk = MuteDesk(services=services, places=places, origin=ORIGIN)

    async def shown(caller: Caller) -> MutesView:
        standing = await desk.standing(caller)
        return MutesView(as_of=services.now(), mutes=[mute_view(mute) for mute in standing])

    @router.get("/v1/mutes", summary="What is kept quiet now")
    async def mutes(caller: Asking) -> MutesView:
        return await shown(caller)

    @router.post("/v1/mutes", summary="Keep a patient, a ward or a site quiet")
    async def mute(body: MuteBody, caller: Asking, key: Key = "") -> MutesView:
        about = CareScope(body.scope), body.subject, body.site_id
        await desk.mute(caller, about, body.until, body.text, key)
        return await shown(caller)

    @router.delete("/v1/mutes", summary="End such a quiet; alerts still open are sent then")
    async def unmute(
        scope: Annotated[Literal["PATIENT", "WARD", "SITE"], Query()],
        subject: Annotated[str, Query(min_length=1, max_length=256)],
        caller: Asking,
        site_id: Annotated[str, Query(max_length=256, description="Of a ward: as it was asked for.")] = "",
        key: Key = "",
    ) -> MutesView:
        await desk.unmute(caller, (CareScope(scope), subject, site_id), key)
        return await shown(caller)

    return router


def _after(services: Services, case: AlertCase) -> AlertCase:
    return services.book.book.cases.get(case.alert.alert_id, case)
