"""Who asks, and what they say beside the ECG: the token, and what query, headers or form add."""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request

from schemas.recorded import Urgency
from streams.feeds.http.problems import ProblemError
from streams.feeds.http.tokens import LOOPBACK, Role, Token, Tokens
from streams.feeds.readers.options import ReadOptions

#: Names as query parameters and form fields; as headers ``X-Diastole-Patient-Id`` and so on. A patient's
#: identifier is better sent as a header or field: proxies write addresses into their logs.
SAID: Final = ("patient_id", "site", "ward", "timezone", "acquired_at", "urgency")

#: What proxies add to a request that they pass on.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def require_token(request: Request, tokens: Tokens | None, role: Role) -> Token:
    """Return whose request it is.

    Raises
    ------
    ProblemError
        401 without a known token, 403 when it does not allow this; without tokens 403 for whoever is not a
        program on this machine.
    """
    if tokens is None:
        _require_local(request)
        return LOOPBACK
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    token = tokens.bearer(presented.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise ProblemError(
            401,
            "UNAUTHORIZED",
            "send Authorization: Bearer <token>; a new one is made with: diastole token new NAME",
        )
    if role not in token.roles:
        raise ProblemError(403, "FORBIDDEN", f"this token has not the role {role}; use one that has")
    return token


def _require_local(request: Request) -> None:
    """Refuse what did not begin on this machine, although it comes from there."""
    if any(name in request.headers for name in _FORWARDED):
        raise ProblemError(
            403, "FORBIDDEN", "what a proxy passes on needs a token; set DIASTOLE_FEED_TOKENS for the feed"
        )
    # A page in a browser on this machine may send here too. It cannot leave its origin unsaid, nor, where it
    # reads from a name that its owner lets point here, that name.
    if "origin" in request.headers or not is_loopback(_host(request.headers.get("host", ""))):
        raise ProblemError(
            403,
            "FORBIDDEN",
            "without tokens the feed is for programs on this machine, asked at 127.0.0.1 or localhost; "
            "set DIASTOLE_FEED_TOKENS for others",
        )


def _host(written: str) -> str:
    if written.startswith("["):
        return written[1:].partition("]")[0]
    return written.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether a host, as an address or a name, can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def options_of(request: Request, fields: Mapping[str, str], token: Token, zone: tzinfo) -> ReadOptions:
    """Read what the request says beside the ECG, as form field, header or in its address.

    The patient named is the one expected: an ECG that names somebody else is refused.

    Raises
    ------
    ProblemError
        400 when something cannot be read, or is said twice and differently, 403 when the site is not one of
        the token's.
    """
    said = {name: _said(name, request, fields) for name in SAID}
    zone = _zone(said["timezone"], zone)
    return ReadOptions(
        timezone=zone,
        acquired_at=_moment(said["acquired_at"], zone),
        expected_patient_id=said["patient_id"],
        site_id=_site(said["site"], token),
        ward_id=said["ward"],
        urgency=_urgency(said["urgency"]),
    )


def _said(name: str, request: Request, fields: Mapping[str, str]) -> str:
    header = f"x-diastole-{name.replace('_', '-')}"
    places = (fields.get(name, ""), *request.headers.getlist(header), *request.query_params.getlist(name))
    found = {text.strip() for text in places} - {""}
    if len(found) > 1:
        # Which is right cannot be known, and a patient is not guessed.
        raise ProblemError(400, "CONTRADICTION", f"{name} is said more than once, differently; say it once")
    return found.pop() if found else ""


def _site(site: str, token: Token) -> str:
    if not token.sites or site in token.sites:
        return site
    if site:
        raise ProblemError(403, "FORBIDDEN", "this token does not deliver for that site")
    if len(token.sites) > 1:
        raise ProblemError(400, "SITE_MISSING", "this token delivers for several sites; name one with site=")
    return token.sites[0]


def _zone(name: str, otherwise: tzinfo) -> tzinfo:
    if not name:
        return otherwise
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ProblemError(
            400, "BAD_TIMEZONE", "timezone is no such zone; write it like Europe/Rome"
        ) from None


def _moment(text: str, zone: tzinfo) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ProblemError(
            400, "BAD_TIME", "acquired_at is no time; write it like 2026-01-31T08:15:00+01:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _urgency(text: str) -> Urgency:
    try:
        return Urgency(text.upper()) if text else Urgency.ROUTINE
    except ValueError:
        raise ProblemError(400, "BAD_URGENCY", f"urgency is one of {', '.join(Urgency)}") from None
