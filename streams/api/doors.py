"""Who asks: a bearer token, a browser's session, or this machine itself where there are no tokens."""

import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from streams.api.rules import SAFE_METHODS
from streams.api.sessions import COOKIE, Ending, Session, Sessions
from streams.api.tokens import LOOPBACK, CareToken, CareTokens
from streams.feeds.http.asking import is_loopback
from streams.feeds.http.problems import ProblemError

#: Says that somebody else's request is passed on: then the peer's address says nothing.
_PASSED_ON: Final = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}
)

#: Where a page's script sends the session's own secret; a form without a script sends it as a field.
CSRF_HEADER: Final = "x-diastole-csrf"
CSRF_FIELD: Final = "csrf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes
    ----------
    csrf : str
        What pages made for this caller must send back with everything they change; empty for programs.
    """

    token: CareToken
    csrf: str = ""

    @property
    def name(self) -> str:
        """The token's name, as the audit has it."""
        return self.token.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The ways in.

    Attributes
    ----------
    tokens : CareTokens or None
        None where only this machine reaches it.
    """

    tokens: CareTokens | None
    sessions: Sessions = field(default_factory=Sessions)
    _own: Session = field(
        default_factory=lambda: Session(
            token_name=LOOPBACK.name, token_sha256="", csrf=secrets.token_urlsafe(32), ends_at_s=0.0
        )
    )

    def admit(self, request: HTTPConnection, method: str, csrf: str) -> Caller:
        """Return who asks.

        Parameters
        ----------
        csrf : str
            What the request presents against forgery, from its header or form.

        Raises
        ------
        ProblemError
            401 without a known token or session; 403 for a page's request that no page of ours made, and
            for what was passed on where tokens are needed for that.
        """
        require_same_origin(request, method)
        if self.tokens is None:
            return self._loopback(request, method, csrf)
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self.tokens.bearer(presented.strip())
            return _known(None if token is None else Caller(token=token))
        return self._session(request, method, csrf, self.tokens)

    def ending(self, request: HTTPConnection) -> Ending | None:
        """Say why a browser is not signed in any more; None when it is, or never was."""
        cookie = request.cookies.get(COOKIE, "")
        session = self.sessions.find(cookie)
        if session is None or self.tokens is None:
            return self.sessions.ending(cookie)
        is_known = self.tokens.named(session.token_name, session.token_sha256) is not None
        return None if is_known else Ending.ENDED

    def is_known_still(self, caller: Caller) -> bool:
        """Whether the token was not withdrawn since; for answers that last."""
        if self.tokens is None:
            return True
        return self.tokens.named(caller.token.name, caller.token.sha256) == caller.token

    def _session(self, request: HTTPConnection, method: str, csrf: str, tokens: CareTokens) -> Caller:
        session = self.sessions.find(request.cookies.get(COOKIE, ""))
        token = None if session is None else tokens.named(session.token_name, session.token_sha256)
        caller = _known(None if token is None or session is None else Caller(token=token, csrf=session.csrf))
        if session is not None and method not in SAFE_METHODS:
            _require_own_page(request, session, csrf)
        return caller

    def _loopback(self, request: HTTPConnection, method: str, csrf: str) -> Caller:
        if not _PASSED_ON.isdisjoint(request.headers.keys()):
            raise ProblemError(
                403, "FORBIDDEN", "behind a proxy tokens are needed: diastole token new NAME --for care"
            )
        if not is_loopback(request.client.host if request.client else ""):
            raise ProblemError(403, "FORBIDDEN", "without tokens only this machine is answered")
        # A page of another site may point its own name at this machine; its Host then gives it away.
        if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
            raise ProblemError(403, "FORBIDDEN", "without tokens ask 127.0.0.1 or localhost by that name")
        if "origin" in request.headers and method not in SAFE_METHODS:
            _require_own_page(request, self._own, csrf)
        return Caller(token=LOOPBACK, csrf=self._own.csrf)


def require_same_origin(request: HTTPConnection, method: str) -> None:
    """Refuse what a page of another site makes a browser send.

    Raises
    ------
    ProblemError
        403 when the request says that it comes from elsewhere and would change something.
    """
    if method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if is_foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, "FORBIDDEN", "pages of other sites may not ask for this; use our own page")


def _known(caller: Caller | None) -> Caller:
    if caller is None:
        raise ProblemError(
            401,
            "UNAUTHORIZED",
            "send Authorization: Bearer <token>, or sign in at /login; a token is made with: "
            "diastole token new NAME --for care",
        )
    return caller


def _require_own_page(request: HTTPConnection, session: Session, csrf: str) -> None:
    if "origin" not in request.headers or not session.has_csrf(csrf):
        raise ProblemError(403, "FORBIDDEN", "this page is too old to act from; load it anew and try again")
