"""HL7 aECG: what the cart measured, from the annotations of a series and of the beats derived from it."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from schemas.recorded import CartStatement
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.xml import attribute_at, number

#: No field of its own: a rate where none is stated.
_RR: Final = "rr_ms"

#: Codes of IEEE 11073-10102 (``_GL`` means global), and Mindray's own.
_FIELDS: Final[Mapping[str, str]] = {
    "MDC_ECG_HEART_RATE": "heart_rate_bpm",
    "MDC_ECG_TIME_PD_RR": _RR,
    "MDC_ECG_TIME_PD_P": "p_duration_ms",
    "MDC_ECG_TIME_PD_PR": "pr_ms",
    "MDC_ECG_TIME_PD_QRS": "qrs_ms",
    "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_TIME_PD_QTC": "qtc_ms",
    "MDC_ECG_TIME_PD_QTCB": "qtc_ms",
    "MDC_ECG_ANGLE_P_FRONT": "p_axis_deg",
    "MDC_ECG_ANGLE_QRS_FRONT": "qrs_axis_deg",
    "MDC_ECG_ANGLE_T_FRONT": "t_axis_deg",
    "MINDRAY_ECG_P_AXIS": "p_axis_deg",
    "MINDRAY_ECG_QRS_AXIS": "qrs_axis_deg",
    "MINDRAY_ECG_T_AXIS": "t_axis_deg",
}
_BEAT: Final = "MDC_ECG_BEAT"

#: By the last word of the field: what one of each unit is. Without a unit a number may be anything.
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "bpm": {
        **dict.fromkeys(("bpm", "/min", "1/min", "{beats}/min", "{beat}/min", "{H.B.}/min"), 1.0),
        "Hz": 60.0,
        "/s": 60.0,
    },
    "ms": {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3},
    "deg": {"deg": 1.0, "rad": 57.29577951308232},  # 180/π
}


def cart_of(series: Element) -> CartStatement | None:
    """Return what a device measured on a series, none of what a person did, and nothing of single leads.

    What is stated for the whole recording comes first, then what is stated for its representative beat; where
    a cart states each beat alone, it is their median.
    """
    whole, beats = _collected(series)
    derived = [part for beat in series.iterfind("derivation/derivedseries") for part in _collected(beat)]
    found: dict[str, float] = {}
    for source in (whole, *derived, beats):
        for field, numbers in source.items():
            found.setdefault(field, statistics.median(numbers))
    rr_ms = found.pop(_RR, 0.0)
    if rr_ms > 0.0:
        found.setdefault("heart_rate_bpm", 60_000.0 / rr_ms)
    return cart_statement(**found)


def _collected(series: Element) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the numbers by field, those of the whole and those of its beats."""
    whole: dict[str, list[float]] = {}
    beats: dict[str, list[float]] = {}
    for annotations in series.iterfind("subjectof/annotationset"):
        if annotations.find("author/assignedentity/assignedauthortype/assignedperson") is not None:
            continue
        for annotation, is_of_beat in _walked(annotations, is_of_beat=False):
            _collect(annotation, beats if is_of_beat else whole)
    return whole, beats


def _walked(parent: Element, *, is_of_beat: bool) -> Iterator[tuple[Element, bool]]:
    """Yield annotations and those within them; depth is bounded by the parser."""
    for annotation in parent.iterfind("component/annotation"):
        if _is_of_one_lead(annotation):
            continue
        within_beat = is_of_beat or attribute_at(annotation, "code", "code").upper() == _BEAT
        yield annotation, within_beat
        yield from _walked(annotation, is_of_beat=within_beat)


def _is_of_one_lead(annotation: Element) -> bool:
    boundaries = annotation.iterfind("support/supportingroi/component/boundary")
    return any("_ECG_LEAD_" in attribute_at(boundary, "code", "code").upper() for boundary in boundaries)


def _collect(annotation: Element, into: dict[str, list[float]]) -> None:
    field = _FIELDS.get(attribute_at(annotation, "code", "code").upper().removesuffix("_GL"))
    measured = number(attribute_at(annotation, "value", "value"))
    if field is None or measured is None:
        return
    factor = _UNITS[field.rpartition("_")[2]].get(attribute_at(annotation, "value", "unit"))
    if factor is not None:
        into.setdefault(field, []).append(measured * factor)
