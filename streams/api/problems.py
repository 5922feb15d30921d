"""What a caller of the read API is told when it did not work: RFC 9457 problem details.

Texts never repeat what was asked for: it may be a patient's identifier.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas.audit import CareAction
from schemas.errors import PoisonError, RetriableError
from streams.deliver.act_rules import CareRefusedError
from streams.feeds.http.problems import ProblemError, place_of, problem

_TITLES: Final = {
    404: "There is nothing of that name",
    408: "The request did not arrive in time",
    409: "That cannot be done with this alert now",
    413: "The request is too large",
    422: "The request does not fit its form",
}


class Problem(BaseModel):
    """An answer that says what is wrong, and what to do next."""

    type: str = "about:blank"
    title: str
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="For machines; stays the same when texts change.")
    detail: str = Field(description="For people: what to do next.")


#: Responses that every endpoint behind the guard may give, for the OpenAPI document.
DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, text in {
        400: "The request is not understood.",
        401: "No known token.",
        403: "The token has not the role.",
        404: "There is no such thing, or it lies outside the wards and sites of the token.",
        503: "What is needed does not answer; come again after Retry-After seconds.",
    }.items()
}


def told(status: int, code: str, detail: str) -> Response:
    """Answer with a problem."""
    title = _TITLES.get(status)
    return problem(status, code, detail) if title is None else problem(status, code, detail, title=title)


def not_found(what: str = "this") -> ProblemError:
    """Refuse as if there were nothing: the same for what is not there and what must not be seen."""
    return ProblemError(404, "NOT_FOUND", f"there is no {what}, or it lies outside your wards and sites")


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


def answer_errors(app: FastAPI) -> None:
    """Answer every error of an application with a problem."""

    @app.exception_handler(ProblemError)
    async def refused(_: Request, error: ProblemError) -> Response:
        return told(error.status, error.code, error.detail)

    @app.exception_handler(RetriableError)
    async def later(_: Request, error: RetriableError) -> Response:
        return told(503, error.code, str(error))

    @app.exception_handler(PoisonError)
    async def unfit(_: Request, error: PoisonError) -> Response:
        return told(422, error.code, str(error))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> Response:
        names = sorted({".".join(place_of(fault)) for fault in error.errors()})
        return told(400, "BAD_REQUEST", f"not understood: {', '.join(names)}; see /openapi.json")

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).name
        answer = told(error.status_code, code, "see /openapi.json for what there is")
        answer.headers.update(error.headers or {})
        return answer
