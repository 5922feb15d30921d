"""From bytes to a DICOM data set, with or without preamble, whatever its transfer syntax, bounded in size."""

import zlib
from io import BytesIO
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_PREAMBLE: Final = 128
_MAGIC: Final = b"DICM"

#: What a data set without preamble begins with: group 0002 or 0008, either byte order.
_FIRST_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")

#: Value representations whose length takes four bytes, after two that are reserved (PS3.5 §7.1.2).
_LONG: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)

#: Inflated at a time only to be counted.
_STEP: Final = 2**20


def open_dicom(content: bytes, limits: ReadLimits) -> Dataset:
    """Parse a DICOM file; values are only looked at when they are asked for.

    Raises
    ------
    FeedRefusedError
        When it is no DICOM file, is damaged, or swells beyond ``limits.max_swollen_bytes``.
    """
    has_preamble = content[_PREAMBLE : _PREAMBLE + 4] == _MAGIC
    if not has_preamble and content[:2] not in _FIRST_GROUPS:
        raise FeedRefusedError(
            "not a DICOM file: neither a preamble nor a data set; export it again", RefusalReason.DAMAGED
        )
    transfer_syntax, begins_at = _meta(content, _PREAMBLE + 4 if has_preamble else 0)
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        _require_bounded(memoryview(content)[begins_at:], limits)
    try:
        return pydicom.dcmread(BytesIO(content), force=not has_preamble)
    except InvalidDicomError:
        raise FeedRefusedError("not a DICOM file; export it again", RefusalReason.DAMAGED) from None
    except BytesLengthException:  # the one error of pydicom that derives from Exception itself
        raise FeedRefusedError(
            "damaged or incomplete DICOM (wrong lengths); export it again", RefusalReason.DAMAGED
        ) from None


def _meta(content: bytes, place: int) -> tuple[str, int]:
    """Return the transfer syntax, empty where there is none, and where the data set begins.

    File meta information is explicit little endian whatever follows it (PS3.10 §7.1).
    """
    transfer_syntax = ""
    while content[place : place + 2] == b"\x02\x00":
        is_long = content[place + 4 : place + 6] in _LONG
        begins_at = place + (12 if is_long else 8)
        length = int.from_bytes(content[begins_at - (4 if is_long else 2) : begins_at], "little")
        if content[place + 2 : place + 4] == b"\x10\x00":
            transfer_syntax = content[begins_at : begins_at + length].decode("latin-1").strip("\0 ")
        place = begins_at + length
    return transfer_syntax, place


def _require_bounded(deflated: memoryview, limits: ReadLimits) -> None:
    """Refuse a deflated data set that swells beyond what may be; pydicom inflates it whole."""
    inflater, n_bytes, pending = zlib.decompressobj(-zlib.MAX_WBITS), 0, bytes(deflated)
    while pending and not inflater.eof:
        n_bytes += len(inflater.decompress(pending, _STEP))
        pending = inflater.unconsumed_tail
        if n_bytes > limits.max_swollen_bytes:
            raise FeedRefusedError(
                f"its deflated data set swells beyond {limits.max_swollen_bytes} bytes; "
                "export the 10 s resting ECG alone",
                RefusalReason.TOO_LARGE,
            )
