"""``POST /v1/ecgs``: any of the formats in, an acknowledgement out once Kafka has it."""

import asyncio
from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.errors import DiastoleError
from streams.feeds.admission import Admission, Admits, Delivery, Ending, Origin
from streams.feeds.http.asking import SAID, options_of, require_token
from streams.feeds.http.bodies import BodyRoom
from streams.feeds.http.problems import ProblemError, place_of, problem
from streams.feeds.http.tokens import Role, Tokens
from streams.health import Health
from streams.stage import UtcClock, utc_now

FEED: Final = "http"

_STATUS: Final = {Ending.ACCEPTED: 201, Ending.REPEATED: 200, Ending.QUARANTINED: 422}

_MEANINGS: Final = {
    "patient_id": "Whom the sender says it is of; an ECG that names somebody else is refused.",
    "site": "Site; must be one of the token's where it has any.",
    "ward": "Ward, over what the file says.",
    "timezone": "Zone of times in the file that carry none, such as Europe/Rome.",
    "acquired_at": "Start of the recording (ISO 8601), for files that give none.",
    "urgency": "ROUTINE or STAT.",
}

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

#: What the request may carry, for the OpenAPI document: the body is read by hand, in a bounded way.
_DESCRIBED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": (
            "One ECG, recognised by its content and not by its type: DICOM, HL7 aECG, GE MUSE XML, Philips "
            "Sierra XML, SCP-ECG, EDF, FHIR Observation, JSON, a WFDB record as ZIP; or multipart/form-data "
            "with several files that belong together (a WFDB header and its signal files) and the parameters "
            "as fields."
        ),
        "content": {
            "application/octet-stream": _BINARY,
            "application/dicom": _BINARY,
            "application/json": {"schema": {"type": "object"}},
            "application/xml": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        **{name: {"type": "string"} for name in SAID},
                    },
                }
            },
        },
    },
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": f"{_MEANINGS[name]} Also as header X-Diastole-{name.replace('_', '-').title()}.",
        }
        for name in SAID
    ],
    "security": [{"bearer": []}],
    "responses": {
        "201": {"description": "It is in Kafka: {ecg_id, ending, message, notes}."},
        "200": {"description": "It was delivered before and is in Kafka once; nothing was written."},
        "422": {
            "description": "Refused and kept whole in quarantine: {code, detail, quarantine_id}. "
            "Sending the same again changes nothing."
        },
        "400": {
            "description": "The body is empty, or parameters or multipart body are not understood; "
            "nothing was kept."
        },
        "401": {"description": "No known token."},
        "403": {"description": "The token has not the role, or not the site."},
        "408": {"description": "The body came too slowly."},
        "413": {"description": "More bytes than a delivery may have; nothing was kept."},
        "503": {"description": "Nothing could be promised; send it again after Retry-After seconds."},
    },
}


def build_app(
    gateway: Admits,
    *,
    tokens: Tokens | None,
    max_bytes: int,
    zone: tzinfo,
    operators: APIRouter | None = None,
    room: BodyRoom | None = None,
    health: Callable[[], Health] | None = None,
    now: UtcClock = utc_now,
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    tokens : Tokens or None
        None where only this machine reaches it.
    max_bytes : int
        Of one delivery.
    zone : tzinfo
        Of times that carry none and for which the request names none.
    operators : APIRouter or None
        The quarantine's routes, which guard themselves by a token with the role operator.
    room : BodyRoom or None
        Bounds what all senders' bodies may hold together.
    health : callable or None
        What the feed says of itself; None is always well.
    """
    app = FastAPI(
        title="Diastole ECG gateway",
        description="Takes ECGs in. Research decision support: not a medical device.",
        docs_url=None,  # the pages of FastAPI load scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    bodies = room or BodyRoom(max_bytes)

    @app.post("/v1/ecgs", summary="Deliver one ECG", openapi_extra=_DESCRIBED)
    async def deliver(request: Request) -> Response:
        token = require_token(request, tokens, Role.FEED)
        try:
            async with bodies.read(request) as body:
                options = options_of(request, body.fields, token, zone)
                origin = Origin(feed=FEED, source=token.name, site_id=options.site_id)
                delivery = Delivery(document=body.document, origin=origin, received_at=now(), options=options)
                return _told(await gateway.admit(delivery))
        except asyncio.CancelledError:
            # Nobody but the server cuts a request: when it ends, and has waited as long as it may.
            return problem(503, "ENDING", "this feed ends; send it again later, it is written once")

    @app.get("/healthz", summary="Whether the process does its work; 503: start it again")
    async def healthz() -> Response:
        if health is not None and health().stalled:
            return problem(503, "STALLED", "nothing more is taken; this process ends, start it again")
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", summary="Whether deliveries are taken at this moment")
    async def readyz() -> Response:
        if health is not None and not (found := health()).ready:
            code = found.held_up_by or "STALLED"
            return problem(503, code, "deliveries would not be acknowledged now; see the feed's log")
        return JSONResponse({"status": "ready"})

    if operators is not None:
        app.include_router(operators)
    _answer_errors(app)
    _describe_bearer(app)
    return app


def _told(admission: Admission) -> Response:
    notes = list(admission.notes)
    if admission.ending is Ending.QUARANTINED:
        code = admission.reason.value if admission.reason is not None else "REFUSED"
        return problem(422, code, admission.message, quarantine_id=admission.quarantine_id, notes=notes)
    told = {
        "ending": admission.ending.value,
        "ecg_id": admission.ecg_id,
        "message": admission.message,
        "notes": notes,
    }
    return JSONResponse(told, _STATUS[admission.ending])


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def told(_: Request, error: ProblemError) -> Response:
        return problem(error.status, error.code, error.detail)

    @app.exception_handler(DiastoleError)
    async def later(_: Request, error: DiastoleError) -> Response:
        # What the operator must mend is no matter of the ECG either: it is taken once that is done.
        return problem(503, error.code, str(error))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats what was sent, and that may be a patient's.
        names = sorted({".".join(place_of(fault)) for fault in error.errors()})
        return problem(400, "BAD_REQUEST", f"not understood: {', '.join(names)}; see /openapi.json")

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return problem(
            500, "FAILED", "this is an error of the feed; nothing was promised, send it again later"
        )

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, "HTTP", "see /openapi.json for what there is")


def _describe_bearer(app: FastAPI) -> None:
    described = app.openapi

    def with_bearer() -> dict[str, Any]:
        document = described()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
        return document

    app.openapi = with_bearer  # type: ignore[method-assign]  # FastAPI's own way to extend it
