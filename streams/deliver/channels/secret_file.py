"""Secrets of channels: read from their file each time, so that one can be changed without a restart."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError
from streams.deliver.channels.channel import ChannelRetryError

#: A key of HMAC-SHA256 should not be shorter than what it makes, 32 bytes; half of that cannot be guessed.
LEAST_SECRET_CHARS: Final = 16

#: Larger than any secret; a file of this size is another file.
_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A file with one secret a line; empty lines and lines that begin with ``#`` are none.

    Attributes
    ----------
    channel : str
        Whose it is, for messages; neither path nor content is ever part of one.
    """

    channel: str
    path: Path

    def lines(self) -> tuple[str, ...]:
        """Read the secrets, in order.

        Raises
        ------
        ChannelRetryError
            When there are none or they cannot be read: somebody may be changing them.
        """
        try:
            with self.path.open(encoding="utf-8") as stream:
                text = stream.read(_MOST_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise ChannelRetryError(
                f"the secret file of channel {self.channel} cannot be read ({type(error).__name__}); "
                "see that it is there, is text, and belongs to who runs this"
            ) from None
        found = tuple(line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#")
        if not found:
            raise ChannelRetryError(
                f"the secret file of channel {self.channel} is empty; write a line into it"
            )
        return found

    def first(self) -> str:
        """Read the first secret; raises ChannelRetryError as :meth:`lines`."""
        return self.lines()[0]

    def require(self, least_chars: int = 1) -> None:
        """Refuse to start with a file that holds no secret, or too short a one.

        Raises
        ------
        ConfigurationError
            Names the channel and what to do.
        """
        try:
            shortest = min(map(len, self.lines()))
        except ChannelRetryError as error:
            raise ConfigurationError(str(error)) from None
        if shortest < least_chars:
            raise ConfigurationError(
                f"a secret of channel {self.channel} is shorter than {least_chars} characters; "
                "make one with: openssl rand -hex 32"
            )
