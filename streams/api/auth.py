"""The guard in front of the whole application: who asks, whether they may, and whether it is theirs to see.

Every request passes it before anything else reads it, its body included. What has no row in
:data:`streams.api.rules.RULES` is not served.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, quote

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from schemas.errors import RetriableError
from streams.api.api_metrics import ApiMetrics
from streams.api.doors import CSRF_FIELD, CSRF_HEADER, Caller, Doors, require_same_origin
from streams.api.headers import with_headers
from streams.api.problems import not_found, told
from streams.api.rules import SAFE_METHODS, Matched, Rule, Subject, Table
from streams.api.tokens import CareToken
from streams.feeds.http.problems import ProblemError

log = structlog.get_logger()

#: What may be sent to this API are a few words; a reason has at most 10 000 characters of 4 bytes.
MAX_BODY_BYTES: Final = 64 * 2**10
BODY_S: Final = 15.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Tells a person, as a page, what went wrong and what to do next.
RefusesPeople = Callable[[Request, int, str], Response]

#: What must be done before an answer leaves.
BeforeAnswers = Callable[[], Awaitable[None]]

#: Of somebody who follows a link in a mail, the browser keeps a strict cookie back; from here it sends it.
_ONCE_MORE: Final = (
    '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>Diastole</title>'
)


class Places(Protocol):
    """Where something belongs: looked up for callers that must not see everything."""

    async def may_see(self, token: CareToken, subject: Subject, name: str) -> bool:
        """Whether a patient, alert, ECG or ward of that name is there and within the token's places."""


class Guard:
    """ASGI middleware around the application; see the module.

    Parameters
    ----------
    places : Places
        Tells where the subjects of requests belong.
    refuse_people : callable or None
        Makes pages of refusals for people; None answers them as programs are answered.
    before_answers : callable or None
        Waited for before the first byte of the application's answer: what it looked at is written by then.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        doors: Doors,
        places: Places,
        metrics: ApiMetrics,
        table: Table | None = None,
        refuse_people: RefusesPeople | None = None,
        before_answers: BeforeAnswers | None = None,
    ) -> None:
        self._app = app
        self._doors = doors
        self._places = places
        self._metrics = metrics
        self._table = table or Table()
        self._refuse_people = refuse_people
        self._before_answers = before_answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        matched = self._table.find(scope["method"], scope["path"])
        began, status = time.monotonic(), 500

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        answering = with_headers(noted, is_static=scope["path"].startswith("/static/"))
        try:
            await self._answer(matched, scope, receive, answering)
        finally:
            path = matched.rule.path if matched else "other"
            self._metrics.count(path, status, time.monotonic() - began)

    async def _answer(self, matched: Matched | None, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            if matched is None:
                raise self._unlisted(scope)
            if scope["method"] not in SAFE_METHODS:
                body = await _body(request)
                receive = _again(body, receive)
            else:
                body = b""
            caller = await self._admit(request, matched, body)
        except ProblemError as error:
            refusal = self._refusal(request, matched, error)
            await refusal(scope, receive, send)
            return
        except RetriableError as error:
            await told(503, error.code, str(error))(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, self._after_notes(send))

    def _after_notes(self, send: Send) -> Send:
        async def sent(message: Any) -> None:
            if self._before_answers is not None and message["type"] == "http.response.start":
                await self._before_answers()
            await send(message)

        return sent

    async def _admit(self, request: Request, matched: Matched, body: bytes) -> Caller | None:
        rule = matched.rule
        if rule.role is None:
            require_same_origin(request, request.method)
            return None
        csrf = request.headers.get(CSRF_HEADER) or _form_field(request, body, CSRF_FIELD)
        caller = self._doors.admit(request, request.method, csrf)
        if not caller.token.may(rule.role):
            raise ProblemError(403, "FORBIDDEN", f"this token has not the role {rule.role}; use one that has")
        await self._require_place(caller.token, matched)
        return caller

    async def _require_place(self, token: CareToken, matched: Matched) -> None:
        subject = matched.rule.subject
        if not token.is_scoped or subject in (Subject.NOTHING, Subject.LISTING):
            return
        (name,) = matched.parameters.values()
        if not await self._places.may_see(token, subject, name):
            raise not_found(subject.lower())

    def _unlisted(self, scope: Scope) -> ProblemError:
        methods = self._table.methods_of(scope["path"])
        if not methods:
            return ProblemError(404, "NOT_FOUND", "see /openapi.json for what there is")
        return ProblemError(405, "METHOD_NOT_ALLOWED", f"this takes {', '.join(methods)}")

    def _refusal(self, request: Request, matched: Matched | None, error: ProblemError) -> Response:
        log.info("request_refused", route=matched.rule.path if matched else "", status=error.status)
        if matched is not None and _is_for_a_person(request, matched.rule):
            if error.status == 401:
                return _to_sign_in(request, matched.rule)
            if self._refuse_people is not None:
                return self._refuse_people(request, error.status, error.detail)
        answer = told(error.status, error.code, error.detail)
        if error.status == 405:
            answer.headers["Allow"] = ", ".join(self._table.methods_of(request.url.path))
        return answer


def caller_of(request: Request) -> Caller:
    """Return who makes this request, as the guard found out; a FastAPI dependency."""
    caller = request.state.caller
    assert isinstance(caller, Caller)  # noqa: S101  # the rule of this endpoint asks for a role
    return caller


def _is_for_a_person(request: Request, rule: Rule) -> bool:
    return rule.is_page and "text/html" in request.headers.get("accept", "")


def _to_sign_in(request: Request, rule: Rule) -> Response:
    if request.method in SAFE_METHODS and request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(_ONCE_MORE)
    then = _then(request, rule)
    return RedirectResponse(f"/login?next={quote(then)}" if then else "/login", status_code=303)


def _then(request: Request, rule: Rule) -> str:
    """Where to go on after signing in; empty where its address would hold a patient's name."""
    if rule.subject is Subject.PATIENT:
        return ""
    if request.method in SAFE_METHODS:
        return str(request.url.path)
    return request.url.path.rpartition("/")[0] if rule.subject is Subject.ALERT else ""


async def _body(request: Request) -> bytes:
    held = bytearray()
    too_large = ProblemError(413, "TOO_LARGE", f"send at most {MAX_BODY_BYTES} bytes")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or len(length) > 10 or int(length) > MAX_BODY_BYTES:
        raise too_large
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                held += chunk
                if len(held) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise ProblemError(408, "TOO_SLOW", "send the whole request within 15 s") from None
    return bytes(held)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand a body over that was read already, then what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def handed() -> Any:
        return waiting.pop() if waiting else await receive()

    return handed


def _form_field(request: Request, body: bytes, name: str) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    fields = parse_qs(body.decode("latin-1"), max_num_fields=100) if body.count(b"&") < 100 else {}
    return fields.get(name, [""])[0]
