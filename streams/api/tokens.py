"""Who may use the read API: bearer tokens, of which only the SHA-256 is kept.

::

    [[token]]
    name = "ward-3-screen"      # named in the audit: a role or a screen, nobody's name
    sha256 = "9f86d08…"         # of the token; `diastole token new --for care` shows the token, once
    roles = ["viewer"]          # viewer: see; clinician: see and answer; admin: all there is
    wards = ["W3", "ICU-*"]     # these wards alone, * stands for anything; left out: every ward
    sites = ["north"]           # these sites alone; left out: every site
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import structlog

from schemas.errors import ConfigurationError

log = structlog.get_logger()

#: 32 random bytes cannot be guessed, so a plain hash of them suffices (no salt, no stretching).
_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Wards and sites are called what the hospital calls them; only what TOML would escape is left out.
_PLACE: Final = re.compile(r'[^"\\\x00-\x1f\x7f]{1,256}')
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
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

#: Compares two digests in a time that does not depend on where they differ.
Compare = Callable[[str, str], bool]


class CareTokens:
    """The tokens of a file, read again when it changes, so that one can be withdrawn at once.

    A file that became unreadable leaves those known before, and a line in the log.
    """

    def __init__(self, file: Path, same: Compare = hmac.compare_digest) -> None:
        self._file = file
        self._same = same
        self._state = _state_of(file)
        self._tokens = load_tokens(file)

    def bearer(self, presented: str) -> CareToken | None:
        """Find whose token this is; a wrong one costs as many comparisons as a right one."""
        self._refresh()
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for token in self._tokens:
            if self._same(token.sha256, digest):
                found = token
        return found

    def named(self, name: str, sha256: str) -> CareToken | None:
        """Return the token of a session as the file has it now; None once it was withdrawn or replaced."""
        self._refresh()
        return next((each for each in self._tokens if (each.name, each.sha256) == (name, sha256)), None)

    def _refresh(self) -> None:
        state = _state_of(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            self._tokens = load_tokens(self._file)
        except ConfigurationError as error:
            log.warning("tokens_not_read", reason=str(error), then="those known before stay")


def load_tokens(file: Path) -> tuple[CareToken, ...]:
    """Read the file of tokens.

    Raises
    ------
    ConfigurationError
        When it cannot be read, or an entry is not as it must be; names the entry.
    """
    try:
        content = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"tokens of the read API: {file} cannot be read ({error.strerror}); "
            "make it with: diastole token new NAME --for care"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"tokens of the read API: {file} is no TOML: {error}") from None
    entries = content.get("token", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"tokens of the read API: {file} must hold [[token]] tables")
    tokens = tuple(_token(number, entry) for number, entry in enumerate(entries, start=1))
    if len({token.name for token in tokens}) < len(tokens):
        raise ConfigurationError(f"tokens of the read API: {file} has two tokens of one name")
    return tokens


def new_token(
    file: Path, name: str, roles: Sequence[Role], wards: Sequence[str] = (), sites: Sequence[str] = ()
) -> str:
    """Append a token to the file, made if it is not there, and return it: it is written nowhere else.

    Raises
    ------
    ConfigurationError
        When the name is taken or unfit, a ward or site is unfit, or the file cannot be read or written.
    """
    taken = {token.name for token in load_tokens(file)} if file.exists() else set()
    if name in taken:
        raise ConfigurationError(f"{file} has a token {name}; remove its entry, or take another name")
    secret = secrets.token_urlsafe(_TOKEN_BYTES)
    entry: dict[str, Any] = {
        "name": name,
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "roles": [role.value for role in roles],
        "wards": list(wards),
        "sites": list(sites),
    }
    _token(len(taken) + 1, entry)
    lines = [f"{key} = {_toml(entry[key])}" for key in entry if entry[key]]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as stream:
            stream.write("\n".join(["", "[[token]]", *lines, ""]))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
    return secret


def _fits(patterns: tuple[str, ...], name: str) -> bool:
    # "*" alone must not let in what belongs to no known place.
    return not patterns or (bool(name) and any(fnmatchcase(name, pattern) for pattern in patterns))


def _toml(written: Any) -> str:
    # Names, hashes and places hold nothing that TOML would escape: _token has looked.
    return f"[{', '.join(map(_toml, written))}]" if isinstance(written, list) else f'"{written}"'


def _token(number: int, entry: Any) -> CareToken:
    entry = entry if isinstance(entry, dict) else {}
    unknown = entry.keys() - _KEYS
    name, sha256 = entry.get("name"), entry.get("sha256")
    roles, wards, sites = entry.get("roles", []), entry.get("wards", []), entry.get("sites", [])
    complaint = (
        f"has unknown keys: {', '.join(sorted(unknown))}" if unknown
        else "needs a name of letters, digits, dot, dash" if not _matches(_NAME, name)
        else "needs sha256, 64 hexadecimal digits" if not _matches(_SHA256, sha256)
        else f"needs roles, some of {', '.join(Role)}" if not _are_roles(roles)
        else "needs wards and sites as lists of names without quotes" if not _are_places(wards, sites)
        else None
    )  # fmt: skip
    if complaint:
        raise ConfigurationError(f"token {number} of the read API {complaint}")
    return CareToken(
        name=str(name),
        sha256=str(sha256),
        roles=frozenset(map(Role, roles)),
        wards=tuple(map(str, wards)),
        sites=tuple(map(str, sites)),
    )


def _matches(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _are_roles(roles: Any) -> bool:
    return isinstance(roles, list) and bool(roles) and all(role in list(Role) for role in roles)


def _are_places(*lists: Any) -> bool:
    return all(isinstance(each, list) and all(_matches(_PLACE, place) for place in each) for each in lists)


def _state_of(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
