"""Files that hold a secret: read once, refused when everybody can read them, never quoted."""

import stat
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from schemas.errors import ConfigurationError

#: Larger than any password; a file of this size is another file.
_MOST_SECRET_BYTES: Final = 4096


def read_secret(path: Path, name: str) -> SecretStr:
    """Read the first line of a file that only its owner and group can read.

    Parameters
    ----------
    name : str
        Of the setting, for messages; neither path nor content is part of one.

    Raises
    ------
    ConfigurationError
        When it is missing, empty, no text, or open to everybody.
    """
    require_private(path, name)
    try:
        with path.open(encoding="utf-8") as stream:
            secret = stream.read(_MOST_SECRET_BYTES).split("\n", 1)[0].strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: must be a file of one line of text") from None
    except OSError as error:
        raise ConfigurationError(f"{name}: the file cannot be read ({error.strerror})") from None
    if not secret:
        raise ConfigurationError(f"{name}: the file's first line is empty; write the password there")
    return SecretStr(secret)


def require_private(path: Path, name: str) -> None:
    """Return when there is such a file and it is closed to everybody but its owner and group.

    Raises
    ------
    ConfigurationError
        Says which of the two it is, and the command that helps.
    """
    require_file(path, name)
    # The group may read: that is how Kubernetes hands a secret to a process that is not root.
    if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise ConfigurationError(
            f"{name}: the file is open to other users of this machine; close it: chmod 600"
        )


def require_file(path: Path, name: str) -> None:
    """Return when there is such a file.

    Raises
    ------
    ConfigurationError
        When there is none, or it is a folder.
    """
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ConfigurationError(f"{name}: the file cannot be looked at ({error.strerror})") from None
    if not is_file:
        raise ConfigurationError(
            f"{name}: there is no such file; check the path and who may enter its folder"
        )
