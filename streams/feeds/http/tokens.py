"""Who may deliver over HTTP: bearer tokens, of which only the SHA-256 is kept.

::

    [[token]]
    name = "cart-export"        # named in logs, health and quarantine: no secret, nobody's name
    sha256 = "9f86d08…"         # of the token; `diastole token new` writes it and shows the token once
    roles = ["feed"]            # feed: deliver ECGs; operator: work on the quarantine
    sites = ["north"]           # deliver for, and see the quarantine of, these sites alone; left out: any
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigurationError
from streams.token_file import (
    TokenFile,
    append_token,
    are_places,
    are_some_of,
    identity_complaint,
    read_tokens,
)

_KEYS: Final = frozenset({"name", "sha256", "roles", "sites"})


class Role(StrEnum):
    """What a token allows."""

    FEED = "feed"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token, as the file has it."""

    name: str
    sha256: str
    roles: frozenset[Role]
    sites: tuple[str, ...] = ()


#: Whoever reaches a loopback address without tokens is on this machine, and may do all.
LOOPBACK: Final = Token(name="loopback", sha256="", roles=frozenset(Role))


class Tokens(TokenFile[Token]):
    """The tokens of the HTTP feed's file, read again when it changes."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, load_tokens)


def load_tokens(file: Path) -> tuple[Token, ...]:
    """Read the file of tokens; raises ConfigurationError, which names the entry that is wrong."""
    return read_tokens(file, "DIASTOLE_FEED_TOKENS", "diastole token new NAME", _token)


def new_token(file: Path, name: str, roles: Sequence[Role], sites: Sequence[str] = ()) -> str:
    """Append a token to the file and return it, as :func:`streams.token_file.append_token` does."""
    rest = {"name": name, "roles": [role.value for role in roles], "sites": list(sites)}
    return append_token(file, load_tokens, _token, rest)


def _token(number: int, entry: Any) -> Token:
    entry = entry if isinstance(entry, dict) else {}
    roles, sites = entry.get("roles", [Role.FEED.value]), entry.get("sites", [])
    complaint = identity_complaint(entry, _KEYS) or (
        f"needs roles, some of {', '.join(Role)}" if not are_some_of(Role, roles)
        else "needs sites as a list of names without quotes" if not are_places(sites)
        else None
    )  # fmt: skip
    if complaint:
        raise ConfigurationError(f"token {number} {complaint}")
    return Token(
        name=str(entry["name"]),
        sha256=str(entry["sha256"]),
        roles=frozenset(map(Role, roles)),
        sites=tuple(map(str, sites)),
    )
