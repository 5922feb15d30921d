"""What every answer says to browsers and caches: nothing from elsewhere, in no frame, kept nowhere."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.datastructures import MutableHeaders

#: Pages load from this server alone, and no script stands within them.
PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

#: A picture that is opened by itself brings its style with it, and loads nothing.
PICTURE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_EVERY: Final = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # "no-referrer" would make browsers send forms without their origin, which the guard asks for.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

#: Answers are about patients; style and scripts are not, and change only with a new version.
_NOT_KEPT: Final = "no-store"
_STATIC_KEPT: Final = "public, max-age=3600"

Send = Callable[[Any], Awaitable[None]]


def with_headers(send: Send, *, is_static: bool) -> Send:
    """Add the headers to an answer, where the endpoint has not said otherwise."""

    async def added(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, content in _EVERY.items():
                headers.setdefault(name, content)
            is_good = is_static and message["status"] < 400
            headers.setdefault("cache-control", _STATIC_KEPT if is_good else _NOT_KEPT)
        await send(message)

    return added
