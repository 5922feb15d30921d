"""MLLP frames out of a stream of bytes (HL7 Transport Specification MLLP, Release 1).

::

    frame = 0x0B  content  0x1C 0x0D

Between frames only line ends are passed over; anything else is no MLLP. A content never holds 0x0B: one that
does is two messages run together after a lost end, and telling their parts apart would be guessing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.errors import PoisonError

START: Final = b"\x0b"
END: Final = b"\x1c\x0d"

#: Passed over between frames: some senders end a frame with CR LF, or with an empty line.
_BETWEEN: Final = b"\r\n"

#: Kept of a message that is too large: enough for its MSH segment, to answer with its control id.
HEAD_BYTES: Final = 4096


class FramingError(PoisonError):
    """The peer does not speak MLLP, or lost count of its frames: only a new connection can help."""

    code = "MLLP_FRAMING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """The content of one frame.

    Attributes
    ----------
    is_cut : bool
        It was larger than allowed, and only its first bytes were kept.
    """

    content: bytes
    is_cut: bool = False


class Frames:
    """Takes bytes as they arrive and gives messages; however the bytes were cut, the messages are the same.

    It holds at most ``max_bytes`` and what was fed last; of a larger message only the head.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head_bytes = min(HEAD_BYTES, max_bytes)  # the same, however the bytes were cut
        self._buffer = bytearray()
        self._is_inside = False
        self._searched = 0  # bytes of the buffer that hold neither start nor end
        self._head: bytes | None = None  # of a message that is being passed over

    @property
    def is_inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._is_inside

    def feed(self, chunk: bytes) -> Iterator[Framed]:
        """Add bytes and give each message that is complete with them.

        Raises
        ------
        FramingError
            After the messages before it, when the bytes are no MLLP.
        """
        self._buffer += chunk
        while (framed := self._next()) is not None:
            yield framed

    def _next(self) -> Framed | None:
        if not self._is_inside and not self._enter():
            return None
        end = self._buffer.find(END, self._searched)
        self._require_no_start(end if end >= 0 else len(self._buffer))
        if end < 0:
            self._searched = max(len(self._buffer) - 1, 0)  # its last byte may be the first of the end
            self._pass_over()
            return None
        framed = self._framed(end)
        del self._buffer[: end + len(END)]
        self._is_inside, self._searched, self._head = False, 0, None
        return framed

    def _enter(self) -> bool:
        self._buffer = self._buffer.lstrip(_BETWEEN)
        if not self._buffer:
            return False
        if self._buffer[:1] != START:
            raise FramingError(
                f"expected 0x0B where a message begins, got 0x{self._buffer[0]:02X}; "
                "send HL7 v2 in MLLP frames"
            )
        del self._buffer[:1]
        self._is_inside = True
        return True

    def _require_no_start(self, end: int) -> None:
        if self._buffer.find(START, self._searched, end) >= 0:
            raise FramingError("a message begins within another; end each with 0x1C 0x0D")

    def _pass_over(self) -> None:
        """Let go of what no longer fits; all that is needed to go on is the last byte."""
        n_content = len(self._buffer) - self._buffer.endswith(END[:1])
        if self._head is None and n_content <= self._max_bytes:
            return
        if self._head is None:
            self._head = bytes(self._buffer[: self._head_bytes])
        del self._buffer[:-1]
        self._searched = 0

    def _framed(self, end: int) -> Framed:
        if self._head is not None:
            return Framed(content=self._head, is_cut=True)
        if end > self._max_bytes:
            return Framed(content=bytes(self._buffer[: self._head_bytes]), is_cut=True)
        return Framed(content=bytes(self._buffer[:end]))


def frame(content: bytes) -> bytes:
    r"""Put a message into a frame.

    >>> frame(b"MSH|")
    b'\x0bMSH|\x1c\r'
    """
    return START + content + END
