"""What a Redis that does not serve is about, in words that quote no key and no password, and what helps."""

import re
from collections.abc import Sequence
from typing import Final

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from streams.access import RedisAccess
from streams.adapters.tls_trouble import tls_trouble

#: The server's texts name the command between quotes; what else stands there may be a key.
_COMMAND: Final = re.compile(r"'([a-z]+(?:\|[a-z-]+)?)' command")

_DENIED_SCRIPT: Final = "The user executing the script can't"

_GRANTED: Final = "see the line to grant with: diastole topics rights --format redis-acl"


def redis_refusal(error: BaseException, access: RedisAccess) -> str | None:
    """Say why Redis does not let us in, if that is what an error means; None when it is of another kind.

    Whoever reads it has to change a setting, a certificate or a right: waiting does not help.
    """
    if isinstance(error, AuthenticationError) or _code(error) in ("WRONGPASS", "NOAUTH"):
        return (
            f"Redis at {access} does not know {_who(access)} with this password; "
            "check DIASTOLE_REDIS_USER and DIASTOLE_REDIS_PASSWORD_FILE"
        )
    if missing := missing_right(error, access):
        return missing
    if access.is_encrypted and (why := tls_trouble(error, "DIASTOLE_REDIS")):
        return f"Redis at {access}: {why}"
    return None


def missing_right(error: BaseException, access: RedisAccess) -> str | None:
    """Say which right an error is about; None when it is about none."""
    if not isinstance(error, NoPermissionError) and not is_denied_script(error):
        return None
    named = _COMMAND.search(str(error))
    if named is not None:
        return lacking([named[1].upper()], access)
    return f"{_who(access)} has no right at Redis to its keys; {_GRANTED}"


def is_denied_script(error: BaseException) -> bool:
    """Whether a script was begun and may not run a command or use a key; Redis does not say which."""
    return isinstance(error, ResponseError) and _DENIED_SCRIPT in str(error)


def lacking(commands: Sequence[str], access: RedisAccess) -> str:
    """Say which commands a user may not run, and how that is granted."""
    if not commands:
        return f"{_who(access)} has no right at Redis to keys or commands of our scripts; {_GRANTED}"
    grant = " ".join(f"+{command.lower()}" for command in commands)
    return (
        f"{_who(access)} has no right at Redis to run {', '.join(commands)}: "
        f"grant it with ACL SETUSER {access.user or 'default'} {grant}"
    )


def redis_reason(error: BaseException) -> str:
    """Kind of an error and, of a server's reply, its code: ``ResponseError WRONGTYPE``."""
    code = _code(error)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def _code(error: BaseException) -> str:
    code = str(error).split(" ", 1)[0]
    return code if code.isupper() and code.isalpha() else ""


def _who(access: RedisAccess) -> str:
    return f"user {access.user}" if access.user is not None else "the default user"
