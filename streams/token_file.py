"""Files of bearer tokens, of which only the SHA-256 is kept: read, watched, asked, added to.

What a token allows differs from server to server: each says how an entry of its file becomes a token.
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from schemas.errors import ConfigurationError

log = structlog.get_logger()

#: 32 random bytes cannot be guessed, so a plain hash of them suffices (no salt, no stretching).
_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Wards and sites are called what the hospital calls them; only what TOML would escape is left out.
_PLACE: Final = re.compile(r'[^"\\\x00-\x1f\x7f]{1,256}')
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

#: Compares two digests in a time that does not depend on where they differ.
Compare = Callable[[str, str], bool]


class HasDigest(Protocol):
    """What every token has, whatever it allows."""

    @property
    def name(self) -> str:
        """What it is called in logs and audits."""

    @property
    def sha256(self) -> str:
        """Of the token itself, 64 hexadecimal digits."""


T = TypeVar("T", bound=HasDigest)


class TokenFile(Generic[T]):
    """The tokens of a file, read again when it changes, so that one can be withdrawn at once.

    A file that became unreadable leaves those known before, and a line in the log.
    """

    def __init__(
        self, file: Path, load: Callable[[Path], tuple[T, ...]], same: Compare = hmac.compare_digest
    ) -> None:
        self._file = file
        self._load = load
        self._same = same
        self._state = _state_of(file)
        self._tokens = load(file)

    def bearer(self, presented: str) -> T | None:
        """Find whose token this is; a wrong one costs as many comparisons as a right one."""
        self._refresh()
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for token in self._tokens:
            if self._same(token.sha256, digest):
                found = token
        return found

    def named(self, name: str, sha256: str) -> T | None:
        """Return the token of a session as the file has it now; None once it was withdrawn or replaced."""
        self._refresh()
        return next((each for each in self._tokens if (each.name, each.sha256) == (name, sha256)), None)

    def _refresh(self) -> None:
        state = _state_of(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            self._tokens = self._load(self._file)
        except ConfigurationError as error:
            log.warning("tokens_not_read", reason=str(error), then="those known before stay")


def read_tokens(file: Path, called: str, made_with: str, token: Callable[[int, Any], T]) -> tuple[T, ...]:
    """Read a file of tokens.

    Parameters
    ----------
    called : str
        What errors call the file.
    made_with : str
        The command that makes one, for an error.
    token : callable
        Given the number of an entry, from 1, and the entry as TOML has it.

    Raises
    ------
    ConfigurationError
        When it cannot be read, or an entry is not as it must be; names the entry.
    """
    try:
        content = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"{called}: {file} cannot be read ({error.strerror}); make it with: {made_with}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{called}: {file} is no TOML: {error}") from None
    entries = content.get("token", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"{called}: {file} must hold [[token]] tables")
    tokens = tuple(token(number, entry) for number, entry in enumerate(entries, start=1))
    if len({each.name for each in tokens}) < len(tokens):
        raise ConfigurationError(f"{called}: {file} has two tokens of one name")
    return tokens


def append_token(
    file: Path, load: Callable[[Path], tuple[T, ...]], token: Callable[[int, Any], T], rest: Mapping[str, Any]
) -> str:
    """Append a token to the file, made if it is not there, and return it: it is written nowhere else.

    Parameters
    ----------
    rest : mapping
        The entry but for its ``sha256``.

    Raises
    ------
    ConfigurationError
        When the name is taken or unfit, a place is unfit, or the file cannot be read or written.
    """
    taken = {each.name for each in load(file)} if file.exists() else set()
    if rest["name"] in taken:
        raise ConfigurationError(f"{file} has a token {rest['name']}; remove its entry, or take another name")
    secret = secrets.token_urlsafe(_TOKEN_BYTES)
    entry = {"name": rest["name"], "sha256": hashlib.sha256(secret.encode()).hexdigest(), **rest}
    token(len(taken) + 1, entry)
    lines = [f"{key} = {_toml(entry[key])}" for key in entry if entry[key]]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as stream:
            stream.write("\n".join(["", "[[token]]", *lines, ""]))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
    return secret


def identity_complaint(entry: Mapping[str, Any], keys: frozenset[str]) -> str | None:
    """Say what is wrong with an entry's keys, name or digest; None when nothing is."""
    unknown = entry.keys() - keys
    if unknown:
        return f"has unknown keys: {', '.join(sorted(unknown))}"
    if not _matches(_NAME, entry.get("name")):
        return "needs a name of letters, digits, dot, dash"
    return None if _matches(_SHA256, entry.get("sha256")) else "needs sha256, 64 hexadecimal digits"


def are_some_of(allowed: type[StrEnum], roles: Any) -> bool:
    """Whether it is a list of roles, of which there is at least one."""
    return isinstance(roles, list) and bool(roles) and all(role in list(allowed) for role in roles)


def are_places(*lists: Any) -> bool:
    """Whether each is a list of names of wards or sites."""
    return all(isinstance(each, list) and all(_matches(_PLACE, place) for place in each) for each in lists)


def _toml(written: Any) -> str:
    # Names, hashes and places hold nothing that TOML would escape: the entry was looked at.
    return f"[{', '.join(map(_toml, written))}]" if isinstance(written, list) else f'"{written}"'


def _matches(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _state_of(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
