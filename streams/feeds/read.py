"""One way in: whatever a hospital exports, to an EcgRecorded or a refusal that says why."""

import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Final

from streams.feeds.document import Document
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.recognition import format_of
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: One format's way in. It may raise FeedRefusedError, and stumble over damage in the ways of ``_STUMBLES``.
Reader = Callable[[Document, ReadOptions, ReadLimits], Reading]

#: What parsers raise on damaged files: they check little and fail where they happen to stumble.
_STUMBLES: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read(
    document: Document, options: ReadOptions | None = None, limits: ReadLimits = DEFAULT_LIMITS
) -> Reading:
    """Read one delivery, recognised by its content and not by its name, and note what was assumed.

    Whatever it holds, it ends as a record or as a refusal. Time and memory are not bounded here but by
    :mod:`streams.feeds.reading`, which calls this in a process of its own.

    Reading the same delivery with the same options again gives the same record under the same id.

    Raises
    ------
    FeedRefusedError
        When it cannot be read, is of no known format, or cannot become a 12-lead ECG.
    """
    if document.n_bytes > limits.max_bytes:
        raise FeedRefusedError(
            f"{document.n_bytes} bytes are more than the {limits.max_bytes} of one delivery "
            "(DIASTOLE_FEED_MAX_BYTES); export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    source_format = format_of(document)
    reader = source_format.load()
    try:
        # Parsers' warnings quote what they are about, and that may be a patient's.
        with warnings.catch_warnings(action="ignore"):
            reading: Reading = reader(document, options or ReadOptions(), limits)
        return reading
    except MemoryError:
        raise FeedRefusedError(
            f"reading this {source_format.name} takes more memory than allowed "
            "(DIASTOLE_FEED_READ_MEMORY_MB); export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        ) from None
    except _STUMBLES as error:
        raise FeedRefusedError(
            f"damaged or incomplete {source_format.name} ({type(error).__name__}); export it again",
            RefusalReason.DAMAGED,
        ) from None
