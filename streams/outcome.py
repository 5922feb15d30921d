"""What goes into the device thread and what comes out of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streams.message import Headers, Message, Outgoing
from streams.stage import Received


class RecordCodec(Protocol):
    """Records to Kafka values and back: :class:`schemas.codec.Codec`."""

    def encode(self, record: Any) -> bytes:
        """Encode one record; PoisonError where it cannot be."""

    def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
        """Decode one value; PoisonError where it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pending:
    """One message admitted: its record, or why there is none."""

    message: Message
    received: Received[Any] | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of one message.

    Attributes
    ----------
    results : sequence
        What the stage made of it: nothing, one record or several.
    outgoing : sequence of Outgoing
        The results encoded, for a stage that publishes.
    error : Exception or None
        Set when the message is to be dead-lettered; then there is nothing else.
    change : tuple of bytes or None
        Key and new state of the patient, where this message changed it.
    """

    message: Message
    results: Sequence[Any] = ()
    outgoing: Sequence[Outgoing] = ()
    error: Exception | None = None
    change: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchClock:
    """How long each record of a batch waited, ms, and the monotonic clock that tells the time of its work."""

    queue_ms: Sequence[float]
    clock_s: Callable[[], float]


class Computation(Protocol):
    """The computing half of one stage; called from one thread only."""

    def run(self, batch: Sequence[Pending], clock: BatchClock) -> list[Outcome]:
        """Turn a batch into outcomes, one per message, in order.

        Raises
        ------
        RetriableError
            Nothing was kept; the same batch is to be given again.
        """
