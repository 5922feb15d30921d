"""The frame of an SCP-ECG record (EN 1064 §5): sections, checksums and sizes, checked before it is decoded.

::

    CRC 2 | size 4 | section 0: header 16, pointers 10 each (id 2, length 4, place from 1 4) | section 1 | …
    each header: CRC 2 | id 2 | length 4 | versions 2 | reserved 6          all little endian
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_PREAMBLE: Final = 6
_HEADER: Final = 16
_POINTER: Final = 10

#: Sections 0–11 are the standard's own and carry checksums; more are a maker's.
_LAST_STANDARD: Final = 11
_MAX_POINTERS: Final = 256

#: Sections other than those of samples (5 and 6) are texts and tables of some kB.
_OF_SAMPLES: Final = (5, 6)
_MAX_TABLE_BYTES: Final = 256 * 2**10

#: Beats to subtract: 5 minutes at 300 a minute. Each costs each lead an addition.
_MAX_BEATS: Final = 1500

#: Huffman-coded bytes of all leads: a minute, as 12 leads of 10 s at 500 Hz take some 50 kB. The worst that
#: so many can hold, codes of one bit, is decoded in a second; nothing may take two.
_MAX_HUFFMAN_BYTES: Final = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRange:
    """Samples of one lead, counted from 1, and its code in EN 1064 table 5."""

    first: int
    last: int
    code: int

    @property
    def n_samples(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


def check_record(content: bytes, limits: ReadLimits) -> tuple[LeadRange, ...]:
    """Return the leads of a record whose checksums hold and that is decoded within the limits.

    Raises
    ------
    FeedRefusedError
        DAMAGED: cut short, or a checksum does not match. TOO_LARGE: it would take too long to decode.
    """
    record = content[: _number(content, 2, 4)]
    if len(record) < _PREAMBLE + _HEADER or len(record) < _number(content, 2, 4):
        raise _damaged("it ends before its declared size")
    _require_checksum(record)
    sections = _sections(record)
    for number, section in sections.items():
        _require_checksum(section)
        if number not in _OF_SAMPLES and len(section) > _MAX_TABLE_BYTES:
            raise _too_large(f"section {number} has {len(section)} bytes")
    leads = _leads(sections)
    if sum(lead.n_samples for lead in leads) > limits.max_samples:
        raise _too_large(f"it declares {sum(lead.n_samples for lead in leads)} samples")
    _require_decodable(sections, leads, limits)
    return leads


def _sections(record: bytes) -> Mapping[int, bytes]:
    length = _number(record, _PREAMBLE + 4, 4)
    n_pointers = (length - _HEADER) // _POINTER
    if not 0 < n_pointers <= _MAX_POINTERS or _PREAMBLE + length > len(record):
        raise _damaged("its list of sections has no possible length")
    sections = {0: record[_PREAMBLE : _PREAMBLE + length]}
    for pointer in range(n_pointers):
        place = _PREAMBLE + _HEADER + pointer * _POINTER
        number, size, begins_at = (
            _number(record, place, 2),
            _number(record, place + 2, 4),
            _number(record, place + 6, 4) - 1,
        )
        if number == 0 or number > _LAST_STANDARD or size == 0:
            continue
        if size < _HEADER or begins_at < 0 or begins_at + size > len(record):
            raise _damaged(f"section {number} lies outside of it")
        size = min(size, max(_HEADER, _number(record, begins_at + 4, 4)))
        sections[number] = record[begins_at : begins_at + size]
    return sections


def _leads(sections: Mapping[int, bytes]) -> tuple[LeadRange, ...]:
    body = sections.get(3, b"")[_HEADER:]
    n_leads = body[0] if body else 0
    if not n_leads or 2 + 9 * n_leads > len(body):
        raise FeedRefusedError(
            "SCP-ECG without its leads (section 3); export it again", RefusalReason.NO_WAVEFORM
        )
    places = range(2, 2 + 9 * n_leads, 9)
    leads = tuple(
        LeadRange(first=_number(body, at, 4), last=_number(body, at + 4, 4), code=body[at + 8])
        for at in places
    )
    if any(lead.first < 1 or lead.last < lead.first for lead in leads):
        raise _damaged("a lead ends before it begins")
    return leads


def _require_decodable(
    sections: Mapping[int, bytes], leads: tuple[LeadRange, ...], limits: ReadLimits
) -> None:
    beats, rhythm, templates = (sections.get(number, b"")[_HEADER:] for number in (4, 6, 5))
    if _number(beats, 4, 2) > _MAX_BEATS:
        raise _too_large(f"it subtracts {_number(beats, 4, 2)} beats")
    interval_us = _number(templates, 2, 2)
    if interval_us and _number(beats, 0, 2) * 1000 // interval_us * len(leads) > limits.max_samples:
        raise _too_large("its reference beats are longer than any")
    if 2 not in sections:
        return
    for coded, n_samples in ((rhythm, [lead.n_samples for lead in leads]), (templates, [])):
        sizes = [_number(coded, 6 + 2 * place, 2) for place in range(len(leads))]
        if sum(sizes) > _MAX_HUFFMAN_BYTES:
            raise _too_large(f"{sum(sizes)} bytes of it are compressed")
        # No code is shorter than a bit.
        if any(n > 8 * size for n, size in zip(n_samples, sizes, strict=False)):
            raise _damaged("fewer bits than samples")


def _require_checksum(part: bytes) -> None:
    """Hold a record or a section to the CRC-CCITT that it begins with (EN 1064 §5.2.7)."""
    if binascii.crc_hqx(part[2:], 0xFFFF) != _number(part, 0, 2):
        raise _damaged("a checksum does not match its content")


def _number(content: bytes, place: int, size: int) -> int:
    return int.from_bytes(content[place : place + size], "little")


def _damaged(what: str) -> FeedRefusedError:
    return FeedRefusedError(f"damaged or incomplete SCP-ECG: {what}; send it again", RefusalReason.DAMAGED)


def _too_large(what: str) -> FeedRefusedError:
    return FeedRefusedError(
        f"SCP-ECG beyond what is read: {what}; export the 10 s resting ECG alone", RefusalReason.TOO_LARGE
    )
