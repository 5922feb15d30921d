"""Sessions of browsers: a token is shown once, and a random cookie stands for it until it runs out.

Sessions live in this process alone: after a restart everybody signs in again, and is told why. The cookie is
the name of the run of the process and a secret, ``run.secret``; only a hash of it is kept, and what a session
may do is looked up in the file of tokens each time, so that withdrawing a token ends its sessions at once.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.api.tokens import CareToken

#: One shift and the handover after it, s: 12 h.
SESSION_S: Final = 43_200.0

#: Sessions at a time; the one that was made first gives way to one more.
MAX_SESSIONS: Final = 10_000

#: Name of the cookie. Browsers refuse ``__Host-`` without HTTPS, so it is used where that is spoken.
COOKIE: Final = "diastole_session"

_SECRET_BYTES: Final = 32

#: Tells runs of the process apart; it is no secret.
_RUN_BYTES: Final = 6


class Ending(StrEnum):
    """Why a cookie opens nothing any more, for who must sign in again."""

    RESTARTED = "RESTARTED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One signed-in browser.

    Attributes
    ----------
    token_name, token_sha256 : str
        Whose token it stands for.
    csrf : str
        What a page must send back with everything it changes.
    ends_at_s : float
        On the monotonic clock.
    """

    token_name: str
    token_sha256: str
    csrf: str
    ends_at_s: float

    def has_csrf(self, presented: str) -> bool:
        """Whether this is the session's own, compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), presented.encode("utf-8", "surrogateescape"))


class Sessions:
    """All sessions of this process.

    Parameters
    ----------
    monotonic : callable
        Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        session_s: float = SESSION_S,
        max_sessions: int = MAX_SESSIONS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session_s = session_s
        self._max_sessions = max_sessions
        self._monotonic = monotonic
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._run = secrets.token_hex(_RUN_BYTES)

    @property
    def session_s(self) -> float:
        """How long a session lasts, s."""
        return self._session_s

    def begin(self, token: CareToken) -> str:
        """Open a session for whoever has shown this token; returns the cookie's content."""
        secret = f"{self._run}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        self._sessions[_digest(secret)] = Session(
            token_name=token.name,
            token_sha256=token.sha256,
            csrf=secrets.token_urlsafe(_SECRET_BYTES),
            ends_at_s=self._monotonic() + self._session_s,
        )
        while len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
        return secret

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, unless it ran out."""
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is not None and session.ends_at_s <= self._monotonic():
            del self._sessions[digest]
            return None
        return session

    def ending(self, cookie: str) -> Ending | None:
        """Say why a browser that brings this cookie must sign in; None when it brings none.

        One that this run gave has run out, was ended, gave way to another, or its token was withdrawn.
        """
        run, dot, _ = cookie.partition(".")
        if not dot:
            return None
        return Ending.ENDED if run == self._run else Ending.RESTARTED

    def end(self, cookie: str) -> None:
        """Forget a session; one that is not there is forgotten already."""
        self._sessions.pop(_digest(cookie), None)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
