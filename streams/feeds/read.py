"""One way in: any file a hospital exports, to an EcgRecorded or a refusal that says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.recorded import EcgRecorded
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

Reader = Callable[[Path, ReadOptions], EcgRecorded]

#: Bytes looked at to tell formats apart: the DICOM preamble is 128 bytes and its magic 4 (PS3.10 §7.1).
_SNIFF_BYTES: Final = 4096


def read(path: Path, options: ReadOptions | None = None) -> EcgRecorded:
    """Read one ECG file, recognised by its content and not by its name.

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
    return _reader_for(path, head)(path, options or ReadOptions())


def _reader_for(path: Path, head: bytes) -> Reader:
    # Each reader is imported when it is needed: one format's libraries should not slow down another's.
    suffix = path.suffix.lower()
    if head[128:132] == b"DICM" or suffix in (".dcm", ".dicom"):
        from streams.feeds.readers.dicom import read_dicom

        return read_dicom
    if suffix == ".hea":
        from streams.feeds.readers.wfdb import read_wfdb

        return read_wfdb
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        from streams.feeds.readers.aecg import read_aecg

        return read_aecg
    raise FeedRefusedError(
        "format not recognised; known are DICOM waveforms, WFDB headers (.hea) and HL7 aECG XML"
    )
