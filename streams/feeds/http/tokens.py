"""Who may deliver over HTTP: bearer tokens, of which only the SHA-256 is kept.

::

    [[token]]
    name = "cart-export"        # named in logs, health and quarantine: no secret, nobody's name
    sha256 = "9f86d08…"         # of the token; `diastole token new` writes it and shows the token once
    roles = ["feed"]            # feed: deliver ECGs; operator: work on the quarantine
    sites = ["north"]           # deliver for, and see the quarantine of, these sites alone; left out: any
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import structlog

from schemas.errors import ConfigurationError

log = structlog.get_logger()

#: 32 random bytes cannot be guessed, so a plain hash of them suffices (no salt, no stretching).
_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Sites are called what the hospital calls them; only what TOML would escape is left out.
_SITE: Final = re.compile(r'[^"\\\x00-\x1f\x7f]{1,256}')
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


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


class Tokens:
    """The tokens of a file, read again when it changes, so that one can be withdrawn at once.

    A file that became unreadable leaves those known before, and a line in the log.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = _state_of(file)
        self._tokens = load_tokens(file)

    def bearer(self, presented: str) -> Token | None:
        """Find whose token this is; takes as long for a wrong one as for a right one."""
        self._refresh()
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def _refresh(self) -> None:
        state = _state_of(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            self._tokens = load_tokens(self._file)
        except ConfigurationError as error:
            log.warning("tokens_not_read", reason=str(error), then="those known before stay")


def load_tokens(file: Path) -> tuple[Token, ...]:
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
            f"DIASTOLE_FEED_TOKENS: {file} cannot be read ({error.strerror}); "
            "make it with: diastole token new NAME"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"DIASTOLE_FEED_TOKENS: {file} is no TOML: {error}") from None
    entries = content.get("token", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"DIASTOLE_FEED_TOKENS: {file} must hold [[token]] tables")
    tokens = tuple(_token(number, entry) for number, entry in enumerate(entries, start=1))
    names = [token.name for token in tokens]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"DIASTOLE_FEED_TOKENS: {file} has two tokens of one name")
    return tokens


def new_token(file: Path, name: str, roles: Sequence[Role], sites: Sequence[str] = ()) -> str:
    """Append a token to the file, made if it is not there, and return it: it is written nowhere else.

    Raises
    ------
    ConfigurationError
        When the name is taken or unfit, a site is unfit, or the file cannot be read or written.
    """
    taken = {token.name for token in load_tokens(file)} if file.exists() else set()
    if name in taken:
        raise ConfigurationError(f"{file} has a token {name}; remove its entry, or take another name")
    secret = secrets.token_urlsafe(_TOKEN_BYTES)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    entry = {"name": name, "sha256": digest, "roles": [role.value for role in roles], "sites": list(sites)}
    _token(len(taken) + 1, entry)
    lines = [f"{key} = {_toml(entry[key])}" for key in entry if entry[key]]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as stream:
            stream.write("\n".join(["", "[[token]]", *lines, ""]))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
    return secret


def _toml(written: Any) -> str:
    # Names, hashes and sites hold nothing that TOML would escape: _token has looked.
    return f"[{', '.join(map(_toml, written))}]" if isinstance(written, list) else f'"{written}"'


def _token(number: int, entry: Any) -> Token:
    entry = entry if isinstance(entry, dict) else {}
    unknown = entry.keys() - {"name", "sha256", "roles", "sites"}
    name, sha256 = entry.get("name"), entry.get("sha256")
    roles, sites = entry.get("roles", [Role.FEED.value]), entry.get("sites", [])
    complaint = (
        f"has unknown keys: {', '.join(sorted(unknown))}" if unknown
        else "needs a name of letters, digits, dot, dash" if not _matches(_NAME, name)
        else "needs sha256, 64 hexadecimal digits" if not _matches(_SHA256, sha256)
        else f"needs roles, some of {', '.join(Role)}" if not _are_roles(roles)
        else "needs sites as a list of names without quotes" if not _are_sites(sites)
        else None
    )  # fmt: skip
    if complaint:
        raise ConfigurationError(f"token {number} {complaint}")
    return Token(
        name=str(name), sha256=str(sha256), roles=frozenset(map(Role, roles)), sites=tuple(map(str, sites))
    )


def _matches(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _are_roles(roles: Any) -> bool:
    return isinstance(roles, list) and bool(roles) and all(role in list(Role) for role in roles)


def _are_sites(sites: Any) -> bool:
    return isinstance(sites, list) and all(_matches(_SITE, site) for site in sites)


def _state_of(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
