"""What every way of reaching people promises, and how it says that it did not.

::

    DiastoleError
    ├── PoisonError
    │   └── ChannelRefusedError   the other side will never take this notice: go to the next channel
    └── RetriableError
        └── ChannelRetryError     the same notice with the same key may be taken later
"""

from typing import Protocol, runtime_checkable

from schemas.errors import PoisonError, RetriableError
from streams.deliver.channels.notice import Notice


class ChannelRetryError(RetriableError):
    """Nothing is known to be wrong with the notice: send it again, with the same key.

    Attributes
    ----------
    retry_after_s : float or None
        What the other side asked to be waited for, seconds; None when it said nothing.
    """

    code = "CHANNEL_RETRY"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ChannelRefusedError(PoisonError):
    """The other side refused the notice, and would again: use another channel, and mend this one."""

    code = "CHANNEL_REFUSED"


class Channel(Protocol):
    """One way of reaching people."""

    @property
    def name(self) -> str:
        """Its name in the routes, in acts, logs and metrics."""

    async def send(self, notice: Notice, key: str) -> None:
        """Hand a notice over; back only once the other side has taken it.

        Sending again with the same key is safe: the other side can tell it is the same notice, and those that
        keep what they are sent keep it once. Bounded in time; may be cancelled at any moment, after which
        nobody knows whether it was taken, so that it is to be sent again.

        Raises
        ------
        ChannelRetryError
            It may work later.
        ChannelRefusedError
            It never will.
        """


@runtime_checkable
class RetractingChannel(Channel, Protocol):
    """One that also tells the other side that an alert is over: its flag, or its alarm lamp, goes out."""

    async def retract(self, notice: Notice, key: str) -> None:
        """Say that the alert ended; as :meth:`Channel.send` in all else, and as safe to repeat.

        Parameters
        ----------
        key : str
            Of the notice that is over; the end goes out under :func:`key_of_end`, or it would be taken for a
            repeat.
        """


def key_of_end(key: str) -> str:
    """Make the idempotency key under which the end of a notice is told.

    >>> key_of_end("a1:pager:0")
    'a1:pager:0:end'
    """
    return f"{key}:end"
