"""Who may use the read API: bearer tokens, of which only the SHA-256 is kept.

::

    [[token]]
    name = "ward-3-screen"      # named in the audit: a role or a screen, nobody's name
    sha256 = "9f86d08…"         # of the token; `diastole token new --for care` shows the token, once
    roles = ["viewer"]          # viewer: see; clinician: see and answer; admin: all there is
    wards = ["W3", "ICU-*"]     # these wards alone, * stands for anything; left out: every ward
    sites = ["north"]           # these sites alone; left out: every site
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigurationError
from streams.token_file import (
    Compare,
    TokenFile,
    append_token,
    are_places,
    are_some_of,
    identity_complaint,
    read_tokens,
)

_KEYS: Final = frozenset({"name", "sha256", "roles", "wards", "sites"})


class Role(StrEnum):
    """What a token allows; each role may do what those before it may."""

    VIEWER = "viewer"
    CLINICIAN = "clinician"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Whether this role covers the needed one."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class CareToken:
    """One token, as the file has it.

    Attributes
    ----------
    wards, sites : tuple of str
        Patterns; empty allows all.
    """

    name: str
    sha256: str
    roles: frozenset[Role]
    wards: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    def may(self, needed: Role) -> bool:
        """Whether one of its roles covers the needed one."""
        return any(role.may(needed) for role in self.roles)

    @property
    def is_scoped(self) -> bool:
        """Whether there are wards or sites it must not see."""
        return bool(self.wards or self.sites)

    def sees(self, site_id: str, ward_id: str) -> bool:
        """Whether what belongs to this ward of this site may be seen; of an unknown ward, only by all-seers.

        >>> token = CareToken(name="n", sha256="", roles=frozenset({Role.VIEWER}), wards=("ICU-*",))
        >>> token.sees("north", "ICU-2"), token.sees("north", "W3"), token.sees("north", "")
        (True, False, False)
        """
        return _fits(self.sites, site_id) and _fits(self.wards, ward_id)

    def sees_site(self, site_id: str) -> bool:
        """Whether anything of a site may be seen."""
        return _fits(self.sites, site_id)

    def sees_ward(self, ward_id: str) -> bool:
        """Whether a ward may be asked for; whose site is another's is still left out of the answer."""
        return _fits(self.wards, ward_id)


#: Whoever reaches a loopback address without tokens is on this machine, and may do all.
LOOPBACK: Final = CareToken(name="loopback", sha256="", roles=frozenset({Role.ADMIN}))


class CareTokens(TokenFile[CareToken]):
    """The tokens of the read API's file, read again when it changes."""

    def __init__(self, file: Path, same: Compare = hmac.compare_digest) -> None:
        super().__init__(file, load_tokens, same)


def load_tokens(file: Path) -> tuple[CareToken, ...]:
    """Read the file of tokens; raises ConfigurationError, which names the entry that is wrong."""
    return read_tokens(file, "tokens of the read API", "diastole token new NAME --for care", _token)


def new_token(
    file: Path, name: str, roles: Sequence[Role], wards: Sequence[str] = (), sites: Sequence[str] = ()
) -> str:
    """Append a token to the file and return it, as :func:`streams.token_file.append_token` does."""
    rest = {
        "name": name,
        "roles": [role.value for role in roles],
        "wards": list(wards),
        "sites": list(sites),
    }
    return append_token(file, load_tokens, _token, rest)


def _fits(patterns: tuple[str, ...], name: str) -> bool:
    # "*" alone must not let in what belongs to no known place.
    return not patterns or (bool(name) and any(fnmatchcase(name, pattern) for pattern in patterns))


def _token(number: int, entry: Any) -> CareToken:
    entry = entry if isinstance(entry, dict) else {}
    roles, wards, sites = entry.get("roles", []), entry.get("wards", []), entry.get("sites", [])
    complaint = identity_complaint(entry, _KEYS) or (
        f"needs roles, some of {', '.join(Role)}" if not are_some_of(Role, roles)
        else "needs wards and sites as lists of names without quotes" if not are_places(wards, sites)
        else None
    )  # fmt: skip
    if complaint:
        raise ConfigurationError(f"token {number} of the read API {complaint}")
    return CareToken(
        name=str(entry["name"]),
        sha256=str(entry["sha256"]),
        roles=frozenset(map(Role, roles)),
        wards=tuple(map(str, wards)),
        sites=tuple(map(str, sites)),
    )
