"""A WFDB record as one file: a zip of a header and its signal files, opened within bounds."""

import struct
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Final

from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: A record has one header and a few signal and annotation files.
_MAX_ENTRIES: Final = 64

#: What those take in the zip's directory at most: 46 bytes and a name each (APPNOTE 4.3.12).
_MAX_DIRECTORY_BYTES: Final = 64 * 1024

#: End of central directory (APPNOTE 4.3.16): signature, four numbers, directory's size and place, comment.
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\x05\x06"

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED: Final = 0x1


def unzipped(document: Document, limits: ReadLimits) -> Document:
    """Return the header of a zipped record with its other files as companions.

    Raises
    ------
    FeedRefusedError
        When it holds no header or several, is encrypted, names files elsewhere, or swells beyond the limits.
    """
    _require_small_directory(document.content)
    try:
        with zipfile.ZipFile(BytesIO(document.content)) as archive:
            entries = [entry for entry in archive.infolist() if _is_file(entry)]
            _require_safe(entries, limits)
            files = _read(archive, entries, limits)
    except zipfile.BadZipFile:  # derives from Exception itself
        raise FeedRefusedError("damaged or incomplete zip; send it again", RefusalReason.DAMAGED) from None
    headers = [name for name in files if name.lower().endswith(".hea")]
    if len(headers) != 1:
        raise FeedRefusedError(
            f"a zip with {len(headers)} WFDB headers (.hea); send one record, its header and signal files",
            RefusalReason.UNSUPPORTED if headers else RefusalReason.UNKNOWN_FORMAT,
        )
    return Document(content=files.pop(headers[0]), name=headers[0], companions=files)


def _require_small_directory(content: bytes) -> None:
    place = content.rfind(_END_SIGNATURE)
    if place < 0 or place + _END.size > len(content):
        raise FeedRefusedError("damaged or incomplete zip; send it again", RefusalReason.DAMAGED)
    directory_bytes = _END.unpack_from(content, place)[5]
    if directory_bytes > _MAX_DIRECTORY_BYTES:  # also where it is that of a ZIP64
        raise FeedRefusedError(
            f"a zip of more than {_MAX_ENTRIES} files; send one record, its header and signal files",
            RefusalReason.TOO_LARGE,
        )


def _is_file(entry: zipfile.ZipInfo) -> bool:
    # What macOS adds to each zip is no part of the record.
    return not entry.is_dir() and "__MACOSX" not in PurePosixPath(entry.filename).parts


def _require_safe(entries: Sequence[zipfile.ZipInfo], limits: ReadLimits) -> None:
    folders = {PurePosixPath(entry.filename).parent for entry in entries}
    if any(_is_elsewhere(entry.filename) for entry in entries) or len(folders) > 1:
        raise FeedRefusedError(
            "a zip that names files in other folders; zip the record's files alone", RefusalReason.UNSAFE
        )
    if any(entry.flag_bits & _IS_ENCRYPTED for entry in entries):
        raise FeedRefusedError("an encrypted zip; send it without a password", RefusalReason.UNSUPPORTED)
    if any(entry.compress_type not in _METHODS for entry in entries):
        raise FeedRefusedError("a zip that is not deflated; zip it plainly", RefusalReason.UNSUPPORTED)
    if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > limits.max_swollen_bytes:
        raise _too_large(limits)


def _is_elsewhere(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name


def _read(
    archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], limits: ReadLimits
) -> dict[str, bytes]:
    """Read all; what an entry says of its size is not believed."""
    files: dict[str, bytes] = {}
    left = limits.max_swollen_bytes
    for entry in entries:
        with archive.open(entry) as stream:
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise _too_large(limits)
        name = PurePosixPath(entry.filename).name
        if name in files:
            raise FeedRefusedError("a zip with two files of one name; zip it again", RefusalReason.DAMAGED)
        files[name] = content
    return files


def _too_large(limits: ReadLimits) -> FeedRefusedError:
    return FeedRefusedError(
        f"the zip swells beyond {limits.max_swollen_bytes} bytes or {_MAX_ENTRIES} files; "
        "send one record of 10 s",
        RefusalReason.TOO_LARGE,
    )
