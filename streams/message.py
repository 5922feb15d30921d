"""Kafka messages as the runner sees them, and the port through which it reads and writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

#: Kafka allows a name more than once, and a header without a value.
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """One message as fetched; ``receipt`` is the transport's own handle for acknowledging it.

    Attributes
    ----------
    timestamp : datetime
        UTC; the Kafka timestamp.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: datetime
    receipt: Any = field(default=None, repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to be sent.

    Attributes
    ----------
    partition : int or None
        None lets the key decide.
    if_too_large : callable or None
        Gives what is to be sent in its place where Kafka refuses it for its size.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    if_too_large: "Callable[[], Outgoing] | None" = field(default=None, repr=False, compare=False)


class Transport(Protocol):
    """What the runner needs of Kafka."""

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send all, in order per key; return when Kafka acknowledged every one.

        Raises
        ------
        RetriableError
            When Kafka may take them later. Some may have been written already, but of no key one without
            those in front of it: sending again repeats them.
        ConfigurationError
            When Kafka will never take one of them.
        """

    async def acknowledge(self, message: Message) -> None:
        """Let the offset of ``message`` be committed; called in partition order."""

    def forget(self, message: Message) -> None:
        """Give ``message`` up unacknowledged: it will be fetched again by whoever owns its partition."""


class StateStore(Protocol):
    """State per patient, kept per partition of the stage's input.

    ``get`` and ``keep`` are memory; ``write`` makes changes durable. A change becomes durable after what it
    caused, and before its input is acknowledged.
    """

    async def restore(self, partitions: set[int]) -> None:
        """Make the state of these partitions available, reading it back where it is not."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """State of one patient; the partition has been restored."""

    def keep(self, partition: int, key: bytes, state: bytes) -> None:
        """Remember a change in memory."""

    async def write(self, changes: dict[tuple[int, bytes], bytes]) -> None:
        """Return when the changes are acknowledged by Kafka."""

    def drop(self) -> None:
        """Forget all memory: the partitions may have been somebody else's meanwhile."""
