"""What crosses between the gateway and the processes that read for it, and how.

::

    8 bytes       n, big-endian        then n bytes of pickle

    gateway → reader    Orders once, then Asked, one for each document
    reader → gateway    Answer, first an empty one: ready

The reader parses what anybody may have sent, so its answers are not trusted: of the pickle only the types
that a reading is made of are loaded, and none longer than a reading can be.
"""

import errno
import io
import pickle
import struct
from dataclasses import dataclass
from typing import Any, Final

from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

#: The length before each pickle.
LENGTH: Final = struct.Struct("!Q")

#: Exit code of a reader that lacked memory for a delivery or its answer.
OUT_OF_MEMORY: Final = errno.ENOMEM

#: A reader may take so many times its time by the clock: on a busy machine it has a part of a processor.
WAITING_TIMES: Final = 4.0

#: Texts of a reading, its pickle's overhead, and room.
_BESIDE_SAMPLES_BYTES: Final = 2**20

#: All that an answer is made of; numpy's two names are how it writes an array and its type.
_ANSWERED: Final = frozenset(
    {
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
        ("schemas.recorded", "CartStatement"),
        ("schemas.recorded", "EcgRecorded"),
        ("schemas.recorded", "Sex"),
        ("schemas.recorded", "Urgency"),
        ("streams.feeds.readers.assembly", "Reading"),
        ("streams.feeds.reading_frames", "Answer"),
        ("streams.feeds.refusal", "FeedRefusedError"),
        ("streams.feeds.refusal", "RefusalReason"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a reader is told when it is started.

    Attributes
    ----------
    scratch : str
        Folder for what its libraries write; it is removed after the reader's end, however it ends.
    """

    limits: ReadLimits
    scratch: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One document to read."""

    document: Document
    options: ReadOptions


@dataclass(slots=True, kw_only=True, eq=False)
class Answer:
    """What became of a document: a reading or a refusal; neither says that the reader is ready.

    Not frozen: what reading cost is known, and filled in, after it.

    Attributes
    ----------
    peak_bytes : int
        Most memory in use at once since the reader was ready, beyond what it used then; 0 where the platform
        does not tell.
    retires : bool
        The reader keeps more memory than it should and is to be replaced.
    """

    reading: Reading | None = None
    refusal: FeedRefusedError | None = None
    peak_bytes: int = 0
    retires: bool = False


def framed(message: Orders | Asked | Answer) -> bytes:
    """Write a message with its length before it."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def asked_of(body: bytes | bytearray) -> Orders | Asked | None:
    """Load what the gateway sends, which readers trust; None when it is neither orders nor a document."""
    message = pickle.loads(body)  # noqa: S301 — of the gateway that started this process
    return message if isinstance(message, Orders | Asked) else None


def longest_answer(limits: ReadLimits) -> int:
    """Bytes that no answer exceeds: 2 for each sample, and the rest."""
    return 2 * limits.max_samples + _BESIDE_SAMPLES_BYTES


def answer_of(body: bytes) -> Answer:
    """Load a reader's answer, and nothing but an answer.

    Raises
    ------
    pickle.UnpicklingError
        When it is none.
    """
    answer = _AnswerUnpickler(io.BytesIO(body)).load()
    if not isinstance(answer, Answer):
        raise pickle.UnpicklingError("no answer")
    if answer.reading is not None:
        answer.reading.ecg.samples.flags.writeable = False  # which a pickle does not keep
    return answer


class _AnswerUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ANSWERED:
            raise pickle.UnpicklingError("an answer is not made of this")
        return super().find_class(module, name)
