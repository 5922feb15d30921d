"""``/v1/quarantine``: what could not be accepted, for operators and their programs."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.types import Message

from schemas.errors import DiastoleError, PoisonError, RetriableError
from schemas.invariants import MAX_NAME_CHARS, MAX_TEXT_CHARS
from streams.feeds.admission import Readmits
from streams.feeds.http.bodies import small_body
from streams.feeds.http.problems import ProblemError, place_of, problem
from streams.feeds.ports import ReadsDocuments
from streams.feeds.quarantine.acts import By, QuarantineDesk, ReasonMissingError
from streams.feeds.quarantine.content import ContentGoneError
from streams.feeds.quarantine.corrections import CorrectionError
from streams.feeds.quarantine.finding import NotInQuarantineError, Wanted
from streams.feeds.quarantine.fold import Entry, OutOfTurnError, State
from streams.feeds.quarantine.gist import gist_of
from streams.feeds.quarantine.rendering import act_plain, entry_plain, gist_plain
from streams.feeds.refusal import FeedRefusedError

ORIGIN: Final = "http"

#: Seconds after which a client may try again what could not be promised.
_RETRY_AFTER_S: Final = 5

_STATUS: Final[dict[type[PoisonError], int]] = {
    NotInQuarantineError: 404,
    OutOfTurnError: 409,
    ContentGoneError: 409,
    CorrectionError: 422,
    ReasonMissingError: 422,
    FeedRefusedError: 422,
}

#: The longest correction, with its reason and every character escaped, bytes.
_MOST_BODY_BYTES: Final = 64 * 1024

#: FastAPI dependency of the gateway: refuses who is no operator, returns as whom they act (:class:`By`).
Authorised = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineService:
    """What the routes work with.

    Attributes
    ----------
    reads : ReadsDocuments or None
        Reads what is shown; None shows what is known without reading.
    """

    desk: QuarantineDesk
    gateway: Readmits
    reads: ReadsDocuments | None = None


class RequestError(PoisonError):
    """A request that does not fit its form."""

    code = "REQUEST"


class CorrectionBody(BaseModel):
    """What is corrected, and why; fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid")

    patient_id: str = Field(default="", max_length=128)
    timezone: str = Field(default="", max_length=MAX_NAME_CHARS)
    acquired_at: str = Field(default="", max_length=MAX_NAME_CHARS)
    ward_id: str = Field(default="", max_length=MAX_NAME_CHARS)
    site_id: str = Field(default="", max_length=MAX_NAME_CHARS)
    reason: str = Field(default="", max_length=MAX_TEXT_CHARS)


class DiscardBody(BaseModel):
    """Why a delivery is given up."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)


class Filters(BaseModel):
    """Which deliveries are listed, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field(default_factory=list)
    reason: str = ""
    feed: str = ""
    source: str = ""
    site: str = ""
    since: AwareDatetime | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)

    def wanted(self, sites: tuple[str, ...]) -> Wanted:
        """Translate, for somebody who may see these sites."""
        return Wanted(
            states=frozenset(self.state),
            code=self.reason,
            feed=self.feed,
            source=self.source,
            site_id=self.site,
            since=self.since,
            sites=sites,
        )


def quarantine_router(service: Callable[[], QuarantineService], authorised: Authorised) -> APIRouter:
    """Make the routes; include them in an application, which they leave otherwise alone.

    Parameters
    ----------
    service : callable
        Asked at each request, so that the gateway may open after the application is made.
    authorised : callable
        FastAPI dependency that returns as whom the operator acts, and answers 401 or 403 to others.
    """
    router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"], route_class=_Route)
    operator = Annotated[By, Depends(authorised)]

    @router.get("")
    async def listed(filters: Annotated[Filters, Query()], who: operator) -> Response:
        """List deliveries in quarantine, those received last first; names no patient."""
        return await _answered(_page(service(), filters, who))

    @router.get("/{name}")
    async def shown(name: str, who: operator) -> Response:
        """Show one with what can be read of it and every act on it; that it was shown is noted."""
        return await _answered(_shown(service(), name, who))

    @router.get("/{name}/content")
    async def content(name: str, who: operator) -> Response:
        """Download the document as it came; that is noted."""
        return await _answered(_content(service(), name, who))

    @router.post("/{name}/correct")
    async def correct(name: str, body: CorrectionBody, who: operator) -> Response:
        """Correct patient, time, zone, ward or site; takes effect when it is replayed."""
        return await _answered(_corrected(service(), name, body, who))

    @router.post("/{name}/replay")
    async def replay(name: str, who: operator) -> Response:
        """Offer it to the gateway again, as corrected: 200 with its ecg_id, or 422 with why not.

        ``left_out`` names corrected fields of which the ECG may have others: where ``was_there``, it was in
        Kafka already, as it came then.
        """
        return await _answered(_replayed(service(), name, who))

    @router.post("/{name}/discard")
    async def discard(name: str, body: DiscardBody, who: operator) -> Response:
        """Give it up for good, with a reason."""
        return await _answered(_discarded(service(), name, body, who))

    return router


class _Route(APIRoute):
    """Answers what does not fit its form as a problem, which names field and rule and not what was given.

    The body is read here, in a bounded way: FastAPI would read all there is before it asks who sends it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handled = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handled(await _bounded(request))
            except ProblemError as error:
                return problem(error.status, error.code, error.detail)
            except RequestValidationError as error:
                faults = [f"{_place(place_of(fault))}: {fault['msg']}" for fault in error.errors()]
                return _problem(422, "The request does not fit", RequestError("; ".join(faults)))

        return answered


async def _bounded(request: Request) -> Request:
    body = await small_body(request, _MOST_BODY_BYTES)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def _place(parts: Sequence[str]) -> str:
    return ".".join(parts[1:]) or parts[0]


async def _page(service: QuarantineService, filters: Filters, by: By) -> Response:
    found = await service.desk.entries(filters.wanted(by.sites))
    page = found[filters.offset : filters.offset + filters.limit]
    return JSONResponse({"total": len(found), "items": [entry_plain(entry) for entry in page]})


async def _shown(service: QuarantineService, name: str, by: By) -> Response:
    shown = await service.desk.show(name, by)
    said = entry_plain(shown.entry) | {
        "correction": dict(shown.correction),
        "acts": [act_plain(act) for act in shown.entry.acts],
    }
    if shown.delivery is not None and service.reads is not None:
        said["readable"] = gist_plain(await gist_of(shown.delivery, service.reads))
    return JSONResponse(said)


async def _content(service: QuarantineService, name: str, by: By) -> Response:
    shown = await service.desk.show(name, by, reason="content downloaded")
    if shown.delivery is None:
        raise ContentGoneError("its content is no longer kept: it was replayed or discarded")
    # Never its own name, which may be a patient's; never a type that a browser would open.
    file_name = f"{shown.entry.quarantine_id}{shown.delivery.document.suffix}"
    ascii_name = file_name.encode("ascii", "ignore").decode().replace('"', "").replace("\\", "")
    return Response(
        shown.delivery.document.content,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{ascii_name}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


async def _corrected(service: QuarantineService, name: str, body: CorrectionBody, by: By) -> Response:
    correction = {field: text for field, text in body.model_dump(exclude={"reason"}).items() if text}
    entry = await service.desk.correct(name, correction, by, body.reason)
    return JSONResponse(entry_plain(entry))


async def _replayed(service: QuarantineService, name: str, by: By) -> Response:
    replayed = await service.desk.replay(name, by, service.gateway)
    if replayed.refusal is not None:
        return _problem(422, "Refused again", replayed.refusal, replayed.entry)
    said = {"was_there": replayed.was_there, "left_out": list(replayed.left_out)}
    return JSONResponse(entry_plain(replayed.entry) | said)


async def _discarded(service: QuarantineService, name: str, body: DiscardBody, by: By) -> Response:
    return JSONResponse(entry_plain(await service.desk.discard(name, body.reason, by)))


async def _answered(work: Any) -> Response:
    """Answer with what the work answers, or with why it cannot be done."""
    try:
        response: Response = await work
        return response
    except RetriableError as error:
        response = _problem(503, "Try again later", error)
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return response
    except PoisonError as error:
        return _problem(_STATUS.get(type(error), 409), "Cannot be done", error)


def _problem(status: int, title: str, error: DiastoleError, entry: Entry | None = None) -> Response:
    said: dict[str, Any] = {
        "type": "about:blank",
        "status": status,
        "title": title,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, FeedRefusedError):
        said["reason"] = error.reason.value
    if entry is not None:
        said["quarantine_id"] = entry.quarantine_id
        said["state"] = entry.state.value
    return JSONResponse(said, status, media_type="application/problem+json")
