"""Data sources: the read API through Infinity, with a scoped token, and Prometheus.

Grafana never gives a secret back. What token it has is known by a fingerprint beside it (12 hexadecimal
digits of its SHA-256: of 32 random bytes nothing can be guessed from them), so that another token is sent,
and the same one is not sent again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.boards.board import digest
from ops.boards.places import API_UID, INFINITY, PROMETHEUS, PROMETHEUS_UID, Places

#: Keys of ``jsonData`` that are ours, not the plugin's.
MARK: Final = "diastoleContent"
FINGERPRINT: Final = "diastoleToken"

_FINGERPRINT_HEX_DIGITS: Final = 12

_OWN: Final = ("uid", "name", "type", "access", "url", "basicAuth", "isDefault")

#: Longest time for one question of a board, s.
_TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data source as we want it.

    Attributes
    ----------
    content : mapping
        Everything but secrets.
    token : str or None
        None: the one Grafana has is kept. Never part of a text.
    """

    content: Mapping[str, Any]
    token: str | None = field(default=None, repr=False)

    @property
    def uid(self) -> str:
        """By which boards name it."""
        return str(self.content["uid"])

    @property
    def needs_token(self) -> bool:
        """Whether it is of no use without one."""
        return bool(self.content["type"] == INFINITY)

    def body(self, found: Mapping[str, Any] | None) -> dict[str, Any]:
        """Write what Grafana is sent; the fingerprint of a token that is kept is kept as well."""
        kept = (found or {}).get("jsonData", {}).get(FINGERPRINT)
        known = fingerprint(self.token) if self.token else kept
        more = {MARK: digest(self.content), **({FINGERPRINT: known} if known else {})}
        body = {**self.content, "jsonData": {**self.content["jsonData"], **more}}
        return {**body, "secureJsonData": {"bearerToken": self.token}} if self.token else body


def sources(places: Places, api_token: str | None) -> tuple[Source, ...]:
    """Describe both."""
    return (
        Source(content=api_source(places), token=api_token),
        Source(content=prometheus_source(places)),
    )


def api_source(places: Places) -> dict[str, Any]:
    """Describe the read API; the plugin asks no other address, and sends the token nowhere else."""
    options = {
        "auth_method": "bearerToken",
        "allowedHosts": [places.api_url],
        "timeoutInSeconds": _TIMEOUT_S,
        "allowDangerousHTTPMethods": False,
    }
    return _content(API_UID, "Diastole read API", INFINITY, places.api_url, options)


def prometheus_source(places: Places) -> dict[str, Any]:
    """Describe Prometheus, for operations alone: none of its labels names a patient."""
    options = {"httpMethod": "POST", "timeInterval": "10s"}
    return _content(PROMETHEUS_UID, "Diastole Prometheus", PROMETHEUS, places.prometheus_url, options)


def own_source(found: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a data source as Grafana has it what we would write."""
    content = {key: found[key] for key in _OWN if key in found}
    options = found.get("jsonData") or {}
    content["jsonData"] = {key: options[key] for key in options if key not in (MARK, FINGERPRINT)}
    return content


def mark_of_source(found: Mapping[str, Any]) -> str | None:
    """Return the digest a data source carries; None when it is none of ours."""
    return (found.get("jsonData") or {}).get(MARK)


def fingerprint(token: str) -> str:
    """Tell one token from another without telling it.

    >>> fingerprint("x" * 43) == fingerprint("y" * 43)
    False
    """
    return hashlib.sha256(token.encode()).hexdigest()[:_FINGERPRINT_HEX_DIGITS]


def _content(uid: str, name: str, kind: str, url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": uid,
        "name": name,
        "type": kind,
        "access": "proxy",
        "url": url,
        "basicAuth": False,
        "isDefault": False,
        "jsonData": dict(options),
    }
