"""One way in: any file a hospital exports, to an EcgRecorded or a refusal that says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.recorded import EcgRecorded
from streams.feeds.readers.aecg import read_aecg
from streams.feeds.readers.dicom import read_dicom
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.wfdb import read_wfdb
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
    if head[128:132] == b"DICM":
        return read_dicom
    if path.suffix.lower() == ".hea":
        return read_wfdb
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return read_aecg
    if path.suffix.lower() in (".dcm", ".dicom"):
        return read_dicom
    raise FeedRefusedError(
        "format not recognised; known are DICOM waveforms, WFDB headers (.hea) and HL7 aECG XML"
    )
