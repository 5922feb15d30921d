"""HL7 aECG: the series and sequences that are the rhythm recording, and their samples."""

from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from streams.feeds.limits import ReadLimits
from streams.feeds.readers.leads import Picked, missing_leads, shown_words
from streams.feeds.readers.moments import parse_moment
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.readers.xml import attribute_at, number, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SECONDS_PER: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
_LEAD_CODE: Final = "MDC_ECG_LEAD_"
_REPRESENTATIVE: Final = "REPRESENTATIVE_BEAT"

#: Shorter than any beat: digits as an example, no recording.
_NO_RECORDING_S: Final = 0.2

#: A refusal names at most this many leads that it found.
_SHOWN_LEADS: Final = 12


def choose_sequences(root: Element) -> tuple[Element, list[Element]]:
    """Return the series and the sequences of its best set: all leads first, then the most samples.

    Raises
    ------
    FeedRefusedError
        NO_WAVEFORM when there is none.
    """

    def worth(candidate: tuple[Element, list[Element]]) -> tuple[bool, int]:
        leads = [sequence for sequence in candidate[1] if is_lead(sequence)]
        n_digits = max((len(text_at(lead, "value/digits")) for lead in leads), default=0)
        return not missing_leads([code_of(lead) for lead in leads]), n_digits

    candidates = [
        (series, sequence_set.findall("component/sequence"))
        for series in root.iterfind("component/series")
        if code_of(series).upper() != _REPRESENTATIVE
        for sequence_set in series.iterfind("component/sequenceset")
    ]
    if not candidates:
        raise FeedRefusedError(
            "an aECG document without a waveform; export it with its rhythm series", RefusalReason.NO_WAVEFORM
        )
    return max(candidates, key=worth)


def require_recording(leads: list[Element], names: list[str], rate_hz: float) -> None:
    """Refuse a document whose series is there for form's sake: no lead, or some samples of one.

    Raises
    ------
    FeedRefusedError
        NO_WAVEFORM, naming what was found.
    """
    missing = missing_leads(names)
    n_samples = max((len(text_at(lead, "value/digits").split()) for lead in leads), default=0)
    if missing and n_samples < _NO_RECORDING_S * rate_hz:
        found = shown_words([name.removeprefix(_LEAD_CODE) for name in names[:_SHOWN_LEADS]]) or "no lead"
        raise FeedRefusedError(
            f"an aECG document without a 12-lead waveform: found {found} ({n_samples} samples), "
            f"missing {', '.join(missing)}; export it with its rhythm series",
            RefusalReason.NO_WAVEFORM,
        )


def require_few_samples(leads: list[Element], limits: ReadLimits) -> None:
    """Refuse more samples than one delivery may hold, before they are read.

    Raises
    ------
    FeedRefusedError
        TOO_LARGE.
    """
    # A sample takes at least a digit and a blank.
    n_most = sum(len(text_at(lead, "value/digits")) + 1 for lead in leads) // 2
    if n_most > limits.max_samples:
        raise FeedRefusedError(
            f"up to {n_most} samples, more than the {limits.max_samples} of one delivery; "
            "export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )


def channel_of(sequence: Element, pick: Picked) -> Channel:
    """Read a lead: its digits as they stand, its scale and origin with their units.

    Raises
    ------
    FeedRefusedError
        When they are not numbers, or a unit is none of voltage.
    """
    scale = number(attribute_at(sequence, "value/scale", "value"))
    origin = number(attribute_at(sequence, "value/origin", "value") or "0")
    if scale is None or origin is None:
        raise FeedRefusedError(f"scale or origin of lead {pick.lead} are not numbers; export it again")
    unit = attribute_at(sequence, "value/scale", "unit")
    return Channel(
        name=pick.lead,
        counts=_counts(text_at(sequence, "value/digits"), pick.lead),
        uv_per_count=scale * microvolts_per(unit),
        offset_uv=origin * microvolts_per(attribute_at(sequence, "value/origin", "unit") or unit),
        sign=pick.sign,
    )


def _counts(digits: str, lead: str) -> npt.NDArray[np.int64]:
    try:
        return np.array(digits.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise FeedRefusedError(
            f"samples of lead {lead} are not numbers, or not whole ones; export it again"
        ) from None


def time_base(sequences: list[Element]) -> tuple[datetime | None, float]:
    """Return the first sample's moment where it is absolute, and the rate in Hz.

    Raises
    ------
    FeedRefusedError
        When no step between samples is stated.
    """
    times = [sequence for sequence in sequences if code_of(sequence) in ("TIME_ABSOLUTE", "TIME_RELATIVE")]
    heads = (parse_moment(attribute_at(sequence, "value/head", "value")) for sequence in times)
    head = next((moment for moment in heads if moment is not None), None)
    for sequence in times:
        step = number(attribute_at(sequence, "value/increment", "value")) or 0.0
        step_s = step * _SECONDS_PER.get(attribute_at(sequence, "value/increment", "unit"), 0.0)
        # 1/0.002 is 500 but for the last bit of a double; no cart means 499.99999999
        if step_s > 0.0 and np.isfinite(1 / step_s):
            return head, round(1 / step_s, 6)
    raise FeedRefusedError(
        "the aECG states no time step of its samples; export it with its time sequence",
        RefusalReason.IMPLAUSIBLE_RATE,
    )


def is_lead(sequence: Element) -> bool:
    """Whether a sequence is a lead, by its code."""
    return code_of(sequence).upper().startswith(_LEAD_CODE)


def code_of(element: Element) -> str:
    """Code of a series, sequence or observation."""
    return attribute_at(element, "code", "code")
