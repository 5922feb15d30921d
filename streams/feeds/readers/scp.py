"""SCP-ECG (EN 1064, ISO 11073-91064): the rhythm data of a cart's standard communications protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from schemas.recorded import CartStatement
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.assembly import Reading, assemble
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.ecgdatakit_adapter import Parsed, found_from, parse_with
from streams.feeds.readers.lead_codes import coded_lead
from streams.feeds.readers.measured import rate_of
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scp_record import LeadRange, check_record
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_PARSER: Final = "scp_ecg.SCPECGParser"

#: Codes for "not computed" and "not found" (EN 1064 §5.10).
_NONE: Final = (29999, 65535)


def read_scp(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the rhythm recording, every checksum of it verified.

    Amplitudes may be plain or first or second differences, Huffman-coded by the default table or the file's
    own, with reference beats subtracted. Times carry a zone where the cart states one (tag 34). Rhythm data
    thinned out between the beats (bimodal compression) has lost what it left out, and is refused.

    Raises
    ------
    FeedRefusedError
        When it is damaged, leads were not recorded at once, or its scale, leads, time or patient are missing.
    """
    leads = check_record(document.content, limits)
    _require_at_once(leads)
    parsed = parse_with(_PARSER, document.content, limits)
    found = found_from(parsed, "SCP-ECG")
    interval_us = int(parsed.record.raw_metadata["rhythm_sample_interval_us"])
    # The library rounds the rate; the file states the interval in whole microseconds.
    found = replace(found, sample_rate_hz=1_000_000 / interval_us, cart=_cart(parsed))
    return assemble(found, options)


def _require_at_once(leads: Sequence[LeadRange]) -> None:
    ranges = {(lead.first, lead.last) for lead in leads if coded_lead(f"2:{lead.code}") is not None}
    if len(ranges) > 1:
        raise FeedRefusedError(
            "its leads were recorded one after the other or have different lengths; "
            "export the 10 s rhythm recording of all leads",
            RefusalReason.UNSUPPORTED,
        )


def _cart(parsed: Parsed) -> CartStatement | None:
    """Return what section 7 states of the first, predominant beat, and of rates and QTc of all."""
    measured, raw = parsed.record.measurements, parsed.record.raw_metadata
    blocks: Sequence[Mapping[str, Any]] = raw.get("measurement_blocks") or ({},)
    p_ms = _between(blocks[0], "p_onset", "p_offset")
    rate_bpm = measured.heart_rate or (rate_of(measured.rr_interval) if measured.rr_interval else None)
    return cart_statement(
        heart_rate_bpm=rate_bpm,
        p_duration_ms=p_ms,
        pr_ms=_between(blocks[0], "p_onset", "qrs_onset") if p_ms else None,
        qrs_ms=_between(blocks[0], "qrs_onset", "qrs_offset"),
        qt_ms=_between(blocks[0], "qrs_onset", "t_offset"),
        qtc_ms=measured.qtc_bazett or raw.get("qtc_ms"),
        p_axis_deg=_axis(blocks[0], "p_axis"),
        qrs_axis_deg=_axis(blocks[0], "qrs_axis"),
        t_axis_deg=_axis(blocks[0], "t_axis"),
    )


def _between(block: Mapping[str, Any], begin: str, end: str) -> float | None:
    begins_ms, ends_ms = block.get(begin), block.get(end)
    if begins_ms is None or ends_ms is None or begins_ms in _NONE or ends_ms in _NONE:
        return None
    return float(ends_ms - begins_ms) if ends_ms > begins_ms else None


def _axis(block: Mapping[str, Any], name: str) -> float | None:
    degrees = block.get(name)
    return None if degrees is None or abs(degrees) in (999, *_NONE) else float(degrees)
