"""Philips Sierra XML: the samples of each lead, however they are packed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt
from ecgdatakit.exceptions import CorruptedFileError
from ecgdatakit.parsing.codecs import LzwDecoder
from ecgdatakit.parsing.codecs.xli import xli_decode_deltas

from streams.feeds.limits import ReadLimits
from streams.feeds.readers.xml import base64_at, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

Counts = npt.NDArray[np.int64]

#: A chunk of XLI: compressed size (4 bytes), 2 unused, first difference (2); then LZW of 10-bit codes.
_XLI_HEADER_BYTES: Final = 8
_XLI_CODE_BITS: Final = 10

#: LZW of 10 bits makes up to 600 bytes of one. A lead may come out by so many bytes longer than it is stated
#: to be, for padding; what is longer has another rate or duration than is stated, or is made to swell.
_PADDING_BYTES: Final = 64

#: Carts store so many channels, of which they label those that have an electrode; the labelled come first.
_STORED_CHANNELS: Final = 16

_BYTES_PER_SAMPLE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How ``parsedwaveforms`` packs its samples.

    Attributes
    ----------
    encoding, compression : str
        ``base64`` or ``plain``; ``xli`` or empty. Lower case.
    is_signed : bool
    n_leads, n_samples : int
        As stated; each lead has ``n_samples``.
    """

    encoding: str
    compression: str
    is_signed: bool
    n_leads: int
    n_samples: int


def unpacked(waveforms: Element, packing: Packing, limits: ReadLimits) -> list[Counts]:
    """Return the leads as stored, int64, (n_samples,) each; of XLI, limb leads are still residuals.

    Raises
    ------
    FeedRefusedError
        DAMAGED: leads or samples are not those stated, or cannot be decoded. TOO_LARGE: more than allowed,
        found before it is decoded. UNSUPPORTED: another packing.
    """
    if packing.n_samples < 1:
        raise _not_whole("less than a sample a lead")
    if packing.n_leads * packing.n_samples > limits.max_samples:
        raise FeedRefusedError(
            f"{packing.n_leads * packing.n_samples} samples are more than the {limits.max_samples} of one "
            "delivery; export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    if packing.compression == "xli" and packing.encoding == "base64":
        return list(_from_xli(base64_at(waveforms, ".", "its waveform"), packing))
    if packing.compression == "" and packing.encoding == "base64":
        return _lead_by_lead(_from_words(base64_at(waveforms, ".", "its waveform"), packing), packing)
    if packing.compression == "" and packing.encoding == "plain":
        return _lead_by_lead(_from_text(text_at(waveforms)), packing)
    raise FeedRefusedError(
        "its waveform is packed in a way that is not read; export it as XLI or uncompressed, in Base64",
        RefusalReason.UNSUPPORTED,
    )


def _from_xli(packed: bytes, packing: Packing) -> Iterator[Counts]:
    offset = 0
    for place in range(1, packing.n_leads + 1):
        header = packed[offset : offset + _XLI_HEADER_BYTES]
        size = int.from_bytes(header[:4], "little", signed=True)
        offset += _XLI_HEADER_BYTES
        if len(header) < _XLI_HEADER_BYTES or not 0 < size <= len(packed) - offset:
            raise _not_whole(f"lead {place} of {packing.n_leads} is cut or spoilt")
        first_difference = int.from_bytes(header[6:8], "little", signed=True)
        yield _lead_of_xli(packed[offset : offset + size], first_difference, packing.n_samples)
        offset += size


def _lead_of_xli(chunk: bytes, first_difference: int, n_samples: int) -> Counts:
    most = _BYTES_PER_SAMPLE * n_samples + _PADDING_BYTES
    try:
        # Byte by byte, so that what swells is refused at its bound and not at its end.
        swollen = bytes(itertools.islice(iter(LzwDecoder(chunk, _XLI_CODE_BITS).read, -1), most + 1))
        if len(swollen) > most:
            raise FeedRefusedError(
                f"a lead swells beyond the {most} bytes that its duration and rate need; export it again",
                RefusalReason.TOO_LARGE,
            )
        counts = xli_decode_deltas(swollen, first_difference).astype(np.int64)
    except (CorruptedFileError, OverflowError):
        raise _not_whole("a lead cannot be decompressed") from None
    if counts.size < n_samples:
        raise _not_whole(f"a lead holds {counts.size} samples of {n_samples}")
    return counts[:n_samples]


def _from_words(packed: bytes, packing: Packing) -> Counts:
    whole = len(packed) - len(packed) % _BYTES_PER_SAMPLE
    return np.frombuffer(packed[:whole], dtype="<i2" if packing.is_signed else "<u2").astype(np.int64)


def _from_text(text: str) -> Counts:
    try:
        return np.array(text.replace(",", " ").split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise FeedRefusedError("its samples are not numbers; export it again") from None


def _lead_by_lead(counts: Counts, packing: Packing) -> list[Counts]:
    n_needed = packing.n_leads * packing.n_samples
    n_of_all = max(packing.n_leads, _STORED_CHANNELS) * packing.n_samples
    if not any(n <= counts.size <= n + _PADDING_BYTES for n in (n_needed, n_of_all)):
        raise _not_whole(f"{counts.size} samples, where its duration and rate need {n_needed}")
    # (n_leads · n_samples,) → (n_leads, n_samples)
    return list(counts[:n_needed].reshape(packing.n_leads, packing.n_samples))


def _not_whole(what: str) -> FeedRefusedError:
    return FeedRefusedError(f"its waveform is not whole ({what}); export it again")
