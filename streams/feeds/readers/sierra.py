"""Philips Sierra XML (PageWriter, TraceMasterVue, IntelliSpace ECG): the rhythm recording of all leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np

from schemas.leads import LEADS_12
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers import sierra_statements as stated
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.calibration_tail import end_of_ecg
from streams.feeds.readers.leads import Picked, pick_leads
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel
from streams.feeds.readers.sierra_limb_leads import Counts, holds_residuals, rebuilt
from streams.feeds.readers.sierra_waveform import Packing, unpacked
from streams.feeds.readers.xml import attribute_at, number, parse_xml, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_TYPES: Final = frozenset({"sierraecg", "philipsecg"})
_VERSIONS: Final = ("1.03", "1.04", "1.04.01", "1.04.02")

#: Kinds of recording whose channels are the twelve leads in their order, where no labels are written (1.03).
_TWELVE_LEADS: Final = frozenset({"STD-12", "10-WIRE"})

#: More than any cart has electrodes for.
_MAX_CHANNELS: Final = 64

_BITS: Final = 16

_NO: Final = frozenset({"false", "no", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waveforms:
    """The rhythm recording, and the characteristics of the signal that it may leave unsaid."""

    element: Element
    signal: Element | None

    def stated(self, *names: str) -> str:
        """Return what the waveform says of itself (1.04), else the signal's characteristics (1.03)."""
        said = (attribute_at(self.element, ".", name) for name in names)
        return next(filter(None, said), "") or next(
            filter(None, (text_at(self.signal, name) for name in names)), ""
        )


def read_sierra(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a Sierra XML document of version 1.03, 1.04, 1.04.01 or 1.04.02.

    Leads are told by their labels, in any order; limb leads are rebuilt from XLI's residuals; the calibration
    pulse after the recording is recognised and cut. Representative beats are never taken. Of ecgdatakit only
    the codecs are used, not the parser: that one decompresses without bound, and rebuilds limb leads in one
    order of labels alone. Reading the same document again gives the same record.

    Raises
    ------
    FeedRefusedError
        When it is of another version, has no waveform or resolution, or lacks leads, time or patient.
    """
    root = parse_xml(document.content, limits)
    _require_version(root)
    return assemble(_found(root, options, limits), options)


def _require_version(root: Element) -> None:
    kind, version = text_at(root, "documentinfo/documenttype"), text_at(root, "documentinfo/documentversion")
    if root.tag != "restingecgdata" or not kind or not version:
        raise FeedRefusedError("Sierra XML without its type and version; export it again")
    if kind.lower() not in _TYPES or version not in _VERSIONS:
        raise FeedRefusedError(
            f"Sierra XML of a version that is not read; known are {', '.join(_VERSIONS)}",
            RefusalReason.UNSUPPORTED,
        )


def _found(root: Element, options: ReadOptions, limits: ReadLimits) -> Found:
    element = root.find(".//parsedwaveforms")
    if element is None:
        raise FeedRefusedError(
            "a Sierra document without a waveform; export it with its rhythm recording",
            RefusalReason.NO_WAVEFORM,
        )
    waveforms = _Waveforms(element=element, signal=root.find(stated.SIGNAL))
    names = _labels(waveforms)
    picked = pick_leads(names)
    rate_hz = _sample_rate_hz(waveforms)
    leads, notes = _leads(waveforms, picked, _packing(waveforms, rate_hz, len(names)), limits)
    uv_per_count = _uv_per_count(waveforms)
    n_kept = end_of_ecg(np.stack(list(leads.values())), uv_per_count, rate_hz) if leads else 0
    if leads and not n_kept:
        raise FeedRefusedError(
            "its waveform is a calibration pulse alone; export the rhythm recording",
            RefusalReason.NO_WAVEFORM,
        )
    columns = {pick.column for pick in picked}
    acquired_at = stated.acquired_at(root)
    return Found(
        channels=tuple(
            Channel(
                name=pick.lead,
                counts=leads[pick.lead][:n_kept],
                uv_per_count=uv_per_count,
                sign=pick.sign,
            )
            for pick in picked
        ),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        sample_rate_hz=rate_hz,
        source_format="Sierra XML",
        acquired_at=acquired_at,
        patient_id=stated.patient_id(root),
        source_system=stated.source_system(root),
        site_id=stated.site_id(root),
        ward_id=stated.ward_id(root),
        device_id=stated.device_id(root),
        age_years=stated.age_years(root, acquired_at or options.acquired_at),
        sex=stated.sex(root),
        has_pacemaker=stated.has_pacemaker(root),
        cart=stated.cart(root),
        notes=(*notes, *_notes_of_cut(leads, n_kept)),
    )


def _labels(waveforms: _Waveforms) -> list[str]:
    labels = attribute_at(waveforms.element, ".", "leadlabels").replace(",", " ").split()
    n_stated = number(waveforms.stated("numberofleads")) or 0.0
    if labels:
        return labels[: int(n_stated)] if n_stated >= 1 else labels
    n_channels = n_stated or number(waveforms.stated("numberchannelsallocated", "numberchannelsvalid")) or 0.0
    if not 1 <= n_channels <= _MAX_CHANNELS:
        raise FeedRefusedError("it does not say which leads it holds; export it with its lead labels")
    kinds = {text_at(waveforms.signal, name).upper() for name in ("acquisitiontype", "leadset")}
    known = LEADS_12 if kinds & _TWELVE_LEADS else ()
    unknown = (f"Channel {place + 1}" for place in range(len(known), int(n_channels)))
    return [*known, *unknown][: int(n_channels)]


def _sample_rate_hz(waveforms: _Waveforms) -> float:
    rate_hz = number(waveforms.stated("samplespersecond", "samplingrate"))
    if rate_hz is None or not rate_hz > 0.0:
        raise FeedRefusedError("it states no sampling rate; export it again", RefusalReason.IMPLAUSIBLE_RATE)
    return rate_hz


def _uv_per_count(waveforms: _Waveforms) -> float:
    uv_per_count = number(waveforms.stated("resolution", "signalresolution"))
    if uv_per_count is None or not uv_per_count > 0.0:
        raise FeedRefusedError(
            "it states no resolution, so no voltage of its samples; export it calibrated",
            RefusalReason.UNIT_UNKNOWN,
        )
    return uv_per_count


def _packing(waveforms: _Waveforms, rate_hz: float, n_leads: int) -> Packing:
    duration_ms = number(attribute_at(waveforms.element, ".", "durationperchannel"))
    if duration_ms is None or not duration_ms > 0.0:
        raise FeedRefusedError("it states no duration of its leads; export it again")
    bits = number(waveforms.stated("bitspersample", "nbitspersample"))
    if bits is not None and bits != _BITS:
        raise FeedRefusedError(
            f"its samples have {bits:g} bits, only {_BITS} are read; export it with {_BITS}",
            RefusalReason.UNSUPPORTED,
        )
    return Packing(
        encoding=attribute_at(waveforms.element, ".", "dataencoding").lower(),
        compression=_compression(waveforms),
        is_signed=waveforms.stated("signalsigned").lower() not in _NO,
        n_leads=n_leads,
        n_samples=round(duration_ms * rate_hz / 1000.0),
    )


def _compression(waveforms: _Waveforms) -> str:
    flag = attribute_at(waveforms.element, ".", "compressflag").lower()
    method = waveforms.stated("compression", "compressmethod").lower()
    if flag in _NO or method in ("uncompressed", "none"):
        return ""
    # 1.03 knows one way to compress, and may leave its name out.
    return method or ("xli" if flag else "")


def _leads(
    waveforms: _Waveforms, picked: Sequence[Picked], packing: Packing, limits: ReadLimits
) -> tuple[dict[str, Counts], tuple[str, ...]]:
    """Return the leads of the twelve by name, 0 at 0 V, and what was odd in how they were stored."""
    every = unpacked(waveforms.element, packing, limits)
    stored = {pick.lead: every[pick.column] for pick in picked}
    is_xli = packing.compression == "xli"
    are_residuals = holds_residuals(stored, as_format_says=is_xli)
    leads = rebuilt(stored) if are_residuals else stored
    zero = int(number(waveforms.stated("signaloffset")) or 0)
    unlike = "whole in spite of XLI" if is_xli else "as residuals although not packed as XLI"
    notes = (f"limb leads are stored {unlike}, told by Einthoven's law",) if are_residuals != is_xli else ()
    return {lead: counts - zero for lead, counts in leads.items()}, notes


def _notes_of_cut(leads: Mapping[str, Counts], n_kept: int) -> tuple[str, ...]:
    n_cut = max((counts.size for counts in leads.values()), default=0) - n_kept
    return (f"calibration pulse cut off: the last {n_cut} samples of each lead",) if n_cut else ()
