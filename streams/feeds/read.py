"""One way in: any file a hospital exports, to an EcgRecorded or a refusal that says why."""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.recorded import EcgRecorded
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

Reader = Callable[[Path, ReadOptions], Reading]

#: Bytes looked at to tell formats apart: the DICOM preamble is 128 bytes and its magic 4 (PS3.10 §7.1).
_SNIFF_BYTES: Final = 4096

#: What parsers raise on damaged files: they check little and fail where they happen to stumble.
_STUMBLES: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read(path: Path, options: ReadOptions | None = None) -> EcgRecorded:
    """Read one ECG file; :func:`read_noted` without its notes."""
    return read_noted(path, options).ecg


def read_noted(path: Path, options: ReadOptions | None = None) -> Reading:
    """Read one ECG file, recognised by its content and not by its name, and note what was assumed.

    Whatever the file holds, it ends as a record or as a refusal.

    Reading the same file with the same options again gives the same record under the same id.

    Parameters
    ----------
    path : Path
        A DICOM waveform object, a WFDB header (``.hea``, signal files beside it) or an HL7 aECG document.

    Raises
    ------
    FeedRefusedError
        When the file cannot be read, is of no known format, or cannot become a 12-lead ECG.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_SNIFF_BYTES)
    except OSError as error:
        raise FeedRefusedError(
            f"cannot be opened: {error.strerror}; check the path and its permissions"
        ) from error
    source_format, reader = _reader_for(path, head)
    try:
        # Parsers' warnings quote what they are about, and that may be a patient's.
        with warnings.catch_warnings(action="ignore"):
            return reader(path, options or ReadOptions())
    except _STUMBLES as error:
        raise FeedRefusedError(
            f"damaged or incomplete {source_format} ({type(error).__name__}); export it again"
        ) from None


def _reader_for(path: Path, head: bytes) -> tuple[str, Reader]:
    # Each reader is imported when it is needed: one format's libraries should not slow down another's.
    suffix = path.suffix.lower()
    if head[128:132] == b"DICM" or suffix in (".dcm", ".dicom"):
        from streams.feeds.readers.dicom import read_dicom

        return "DICOM", read_dicom
    if suffix == ".hea":
        from streams.feeds.readers.wfdb import read_wfdb

        return "WFDB record", read_wfdb
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        from streams.feeds.readers.aecg import read_aecg

        return "aECG", read_aecg
    raise FeedRefusedError(
        "format not recognised; known are DICOM waveforms, WFDB headers (.hea) and HL7 aECG XML"
    )
