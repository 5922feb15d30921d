"""What a sender is told when it did not work: RFC 9457 problem details."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import JSONResponse

#: Told to a sender that is to come again: by then a broker's failover is usually over.
RETRY_AFTER_S: Final = 5

#: The rest of the body may still be on its way; without closing, it would be read as the next request.
_CLOSING: Final = frozenset({400, 401, 403, 408, 413})

_TITLES: Final = {
    400: "The request is not understood",
    401: "A token is needed",
    403: "The token does not allow this",
    404: "There is nothing of that name",
    405: "That cannot be done here",
    408: "The request did not arrive in time",
    413: "The delivery is too large",
    422: "The ECG was refused and is kept in quarantine",
    503: "Nothing could be promised; send it again",
}


class ProblemError(Exception):
    """A request that ends here; neither text nor code ever holds anything of a patient."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def place_of(fault: Mapping[str, Any]) -> Sequence[str]:
    """Name what of a request a fault of pydantic is about, from the outside in.

    A field that we do not have is not named: its name is the sender's, and may be a patient's.

    >>> place_of({"type": "missing", "loc": ("body", "until")})
    ('body', 'until')
    >>> place_of({"type": "extra_forbidden", "loc": ("body", "Doe, Jane")})
    ('body', 'a field that there is not')
    """
    parts = tuple(map(str, fault["loc"]))
    return parts if fault["type"] != "extra_forbidden" else (*parts[:-1], "a field that there is not")


def problem(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """Answer with a problem: its code for machines, its detail says what to do next."""
    headers = {}
    if status in _CLOSING:
        headers["Connection"] = "close"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    content = {
        "type": "about:blank",
        "title": _TITLES.get(status, "It did not work"),
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")
