"""From bytes to a DICOM data set, with or without preamble, whatever its transfer syntax, bounded in size."""

import zlib
from io import BytesIO
from typing import Final

import pydicom
from pydicom.datadict import dictionary_has_tag, repeater_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag
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

_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_WAVEFORM_SEQUENCE: Final = Tag(0x5400, 0x0100)

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
        dataset = pydicom.dcmread(BytesIO(content), force=not has_preamble)
        _require_nothing_else(dataset, content, is_deflated=transfer_syntax == DeflatedExplicitVRLittleEndian)
        return dataset
    except InvalidDicomError:
        raise FeedRefusedError("not a DICOM file; export it again", RefusalReason.DAMAGED) from None
    except BytesLengthException:  # the one error of pydicom that derives from Exception itself
        raise wrong_lengths() from None


def wrong_lengths() -> FeedRefusedError:
    """Refuse values of a length that their kind cannot have."""
    return FeedRefusedError(
        "damaged or incomplete DICOM (wrong lengths); export it again", RefusalReason.DAMAGED
    )


def _require_nothing_else(dataset: Dataset, content: bytes, *, is_deflated: bool) -> None:
    """Refuse a file with more or fewer bytes than its elements have, or elements that DICOM has not.

    Lengths come before values, so bytes put into a waveform move its end out of it: samples shift, and what
    is pushed out looks like other elements, or like nothing at all, which pydicom passes over.
    """
    tags = list(dataset.keys())  # as they stand in the file
    strange = [tag for tag in tags if _is_strange(tag)]
    if _WAVEFORM_SEQUENCE in tags:  # elements stand in ascending order (PS3.5 §7.1)
        strange += [tag for tag in tags[tags.index(_WAVEFORM_SEQUENCE) :] if tag < _WAVEFORM_SEQUENCE]
    last = max(dataset.values(), key=lambda element: getattr(element, "value_tell", None) or 0, default=None)
    is_whole = True
    if isinstance(last, RawDataElement) and not is_deflated and last.length != _UNDEFINED_LENGTH:
        ends_at = last.value_tell + last.length
        is_whole = ends_at <= len(content) and not content[ends_at:].strip(b"\0")
    for group in dataset.get("WaveformSequence") or ():
        strange += [tag for tag in group.keys() if _is_strange(tag)]  # noqa: SIM118
    if strange or not is_whole:
        raise FeedRefusedError(
            "damaged DICOM: it holds bytes that belong to no element of it; export it again",
            RefusalReason.DAMAGED,
        )


def _is_strange(tag: BaseTag) -> bool:
    """Whether it is neither a maker's own (odd group), nor a group's length, nor one of the standard's."""
    return not (tag.is_private or tag.element == 0 or dictionary_has_tag(tag) or repeater_has_tag(tag))


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
