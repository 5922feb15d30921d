"""GE MUSE XML: which waveform is the rhythm recording, and its leads in exact counts."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from streams.feeds.limits import ReadLimits
from streams.feeds.readers.leads import Picked, missing_leads, pick_leads
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.readers.xml import base64_at, number, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Little-endian integers of so many bytes; MUSE writes 2.
_WORDS: Final = {1: "<i1", 2: "<i2", 4: "<i4"}

#: What BRAVEHEART adds to the samples and ECGToolkit does not; undocumented, so said and not applied.
_UNDOCUMENTED: Final = ("firstsamplebaseline", "leadoffsetfirstsample")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rhythm:
    """The rhythm recording.

    Attributes
    ----------
    left_out : tuple of str
        Names of channels that are none of the twelve leads.
    notes : tuple of str
    """

    channels: tuple[Channel, ...]
    sample_rate_hz: float
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def rhythm_of(root: Element, limits: ReadLimits) -> Rhythm:
    """Take the rhythm recording, never the median beat, wherever it stands; of several the longest complete.

    Raises
    ------
    FeedRefusedError
        NO_WAVEFORM when there is none; else when a lead is damaged, has no unit, or was recorded at another
        time than the others.
    """
    rhythms = [waveform for waveform in root.iterfind("waveform") if _kind(waveform) == "rhythm"]
    rhythms = [waveform for waveform in rhythms if waveform.find("leaddata") is not None]
    if not rhythms:
        raise FeedRefusedError(
            "a MUSE document without a rhythm waveform (median beats are none); export it with its rhythm",
            RefusalReason.NO_WAVEFORM,
        )
    waveform = max(rhythms, key=_worth)
    leads = waveform.findall("leaddata")
    names = _names(leads)
    picked = pick_leads(names)
    chosen = [leads[pick.column] for pick in picked]
    _require_few_samples(chosen, limits)
    _require_simultaneous(chosen)
    columns = {pick.column for pick in picked}
    payloads = [_payload(lead, pick.lead) for lead, pick in zip(chosen, picked, strict=True)]
    return Rhythm(
        channels=tuple(map(_channel, chosen, picked, payloads)),
        sample_rate_hz=_sample_rate_hz(waveform),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        notes=(*_notes_of_checksums(chosen, payloads), *_notes_of_offsets(chosen)),
    )


def _kind(waveform: Element) -> str:
    return text_at(waveform, "waveformtype").lower() or "rhythm"


def _worth(waveform: Element) -> tuple[bool, int]:
    """All leads first, then the most samples."""
    leads = waveform.findall("leaddata")
    return not missing_leads(_names(leads)), max(len(text_at(lead, "waveformdata")) for lead in leads)


def _names(leads: Sequence[Element]) -> list[str]:
    return [text_at(lead, "leadid") for lead in leads]


def _sample_rate_hz(waveform: Element) -> float:
    base = number(text_at(waveform, "samplebase")) or 0.0
    exponent = number(text_at(waveform, "sampleexponent")) or 0.0
    # Beyond ±12 no rate is one, and a power of ten may not be a number.
    rate_hz = base * 10.0**exponent if abs(exponent) <= 12 else 0.0
    if not rate_hz > 0.0:
        raise FeedRefusedError("it states no sampling rate; export it again", RefusalReason.IMPLAUSIBLE_RATE)
    return rate_hz


def _require_few_samples(leads: Sequence[Element], limits: ReadLimits) -> None:
    # Base64 holds 3 bytes in 4 characters.
    n_bytes = sum(len(text_at(lead, "waveformdata")) * 3 // 4 for lead in leads)
    if n_bytes > limits.max_samples * 2:
        raise FeedRefusedError(
            f"more than the {limits.max_samples} samples of one delivery; export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )


def _require_simultaneous(leads: Sequence[Element]) -> None:
    offsets_ms = {number(text_at(lead, "leadtimeoffset")) or 0.0 for lead in leads}
    if len(offsets_ms) > 1:
        raise FeedRefusedError(
            "its leads were recorded one after the other; export leads recorded simultaneously",
            RefusalReason.UNSUPPORTED,
        )


def _payload(lead: Element, name: str) -> bytes:
    payload = base64_at(lead, "waveformdata", f"lead {name}")
    n_stated = number(text_at(lead, "leadbytecounttotal"))
    if n_stated is not None and n_stated != len(payload):
        raise FeedRefusedError(
            f"lead {name} states {n_stated:g} bytes and holds {len(payload)}; export it again"
        )
    return payload


def _channel(lead: Element, pick: Picked, payload: bytes) -> Channel:
    uv_per_count = number(text_at(lead, "leadamplitudeunitsperbit"))
    if uv_per_count is None:
        raise FeedRefusedError(
            f"lead {pick.lead} states no voltage of a count; export it calibrated", RefusalReason.UNIT_UNKNOWN
        )
    return Channel(
        name=pick.lead,
        counts=_counts(lead, pick.lead, payload),
        uv_per_count=uv_per_count * microvolts_per(_singular(text_at(lead, "leadamplitudeunits"))),
        sign=pick.sign,
    )


def _counts(lead: Element, name: str, payload: bytes) -> npt.NDArray[np.int64]:
    size = number(text_at(lead, "leadsamplesize")) or 2
    if size not in _WORDS or len(payload) % int(size):
        raise FeedRefusedError(f"lead {name} holds no whole number of samples; export it again")
    counts = np.frombuffer(payload, dtype=_WORDS[int(size)]).astype(np.int64)
    n_stated = number(text_at(lead, "leadsamplecounttotal"))
    if n_stated is not None and n_stated != counts.size:
        raise FeedRefusedError(
            f"lead {name} states {n_stated:g} samples and holds {counts.size}; export it again"
        )
    return counts


def _singular(unit: str) -> str:
    # MUSE writes MICROVOLTS
    return unit[:-1] if unit.lower().endswith("volts") else unit


def _notes_of_checksums(leads: Sequence[Element], payloads: Sequence[bytes]) -> tuple[str, ...]:
    """Check ``LeadDataCRC32`` as far as it can be: which CRC of 32 bits it is, is not documented.

    Where the usual one fits some leads of a file, it is the one, and leads it does not fit are damaged.
    """
    written = [text_at(lead, "leaddatacrc32") for lead in leads]
    fits = [
        zlib.crc32(payload) == int(checksum) % 2**32
        for checksum, payload in zip(written, payloads, strict=True)
        if checksum.lstrip("-").isdecimal() and int(checksum)  # 0 is written where none was computed
    ]
    if any(fits) and not all(fits):
        raise FeedRefusedError("checksums of some leads do not match their samples; export it again")
    return () if all(fits) else ("checksums of its leads were not checked: they are of another kind",)


def _notes_of_offsets(leads: Sequence[Element]) -> tuple[str, ...]:
    n_offset = sum(any(number(text_at(lead, name)) for name in _UNDOCUMENTED) for lead in leads)
    return (f"an undocumented baseline stated for {n_offset} leads was not added",) if n_offset else ()
