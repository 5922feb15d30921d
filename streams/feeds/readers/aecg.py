"""HL7 aECG (ANSI/HL7 V3 ECG R1-2004): the rhythm series of an AnnotatedECG document."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from schemas.recorded import EcgRecorded, Sex
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, assemble
from streams.feeds.readers.leads import missing_leads, standard_name
from streams.feeds.readers.options import ReadOptions, parse_moment
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

_NS: Final = {"h": "urn:hl7-org:v3"}
_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}
_SECONDS_PER: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

_LEAD_CODE: Final = "MDC_ECG_LEAD_"
_REPORTED_AGE: Final = "21612-7"  # LOINC, in years
_PATIENT: Final = ".//h:subjectAssignment/h:subject/h:trialSubject"


def read_aecg(path: Path, options: ReadOptions) -> EcgRecorded:
    """Read the rhythm recording of an aECG document, entity expansion and external references off.

    Of several sequence sets the longest that carries the twelve leads is taken; derived series
    (representative beats) never are.

    Raises
    ------
    FeedRefusedError
        When it is no aECG, is malformed, or lacks leads, time or patient.
    """
    try:
        root = parse(path).getroot()
    except (ParseError, DefusedXmlException) as error:
        raise FeedRefusedError(
            f"not well-formed or unsafe XML ({type(error).__name__}); export it again"
        ) from error
    if root is None or root.tag != f"{{{_NS['h']}}}AnnotatedECG":
        raise FeedRefusedError("XML, but not an HL7 AnnotatedECG document; send aECG, DICOM or WFDB")
    return assemble(_found(root, options), options)


def _found(root: Element, options: ReadOptions) -> Found:
    series, sequences = _choose_sequences(root)
    head, rate_hz = _time_base(sequences, options)
    acquired_at = head or _acquired_at(root, series, options)
    device = ".//h:manufacturedSeriesDevice"
    return Found(
        channels=tuple(_channels(sequences)),
        sample_rate_hz=rate_hz,
        source_format="aECG",
        acquired_at=acquired_at,
        patient_id=_attribute(root, f"{_PATIENT}/h:id", "extension")
        or _attribute(root, f"{_PATIENT}/h:id", "root"),
        source_uid=_document_uid(root),
        source_system=f"{_text(series, './/h:manufacturerOrganization/h:name')} "
        f"{_text(series, f'{device}/h:manufacturerModelName')}".strip(),
        site_id=_attribute(root, "h:location/h:testingSite/h:id", "extension"),
        device_id=_text(series, f"{device}/h:manufacturerModelName"),
        age_years=_age_years(root, acquired_at),
        sex=_SEX.get(_attribute(root, ".//h:administrativeGenderCode", "code"), Sex.UNKNOWN),
    )


def _document_uid(root: Element) -> str:
    parts = (_attribute(root, "h:id", "root"), _attribute(root, "h:id", "extension"))
    return "^".join(part for part in parts if part)


def _choose_sequences(root: Element) -> tuple[Element, list[Element]]:
    """Return the series and the sequences of its best set: all leads first, then the most samples."""

    def worth(candidate: tuple[Element, list[Element]]) -> tuple[bool, int]:
        leads = [s for s in candidate[1] if _code(s).startswith(_LEAD_CODE)]
        n_digits = max((len(_text(s, "h:value/h:digits")) for s in leads), default=0)
        return not missing_leads(standard_name(_code(s)) for s in leads), n_digits

    candidates = [
        (series, sequence_set.findall("h:component/h:sequence", _NS))
        for series in root.findall("h:component/h:series", _NS)
        for sequence_set in series.findall("h:component/h:sequenceSet", _NS)
    ]
    if not candidates:
        raise FeedRefusedError("an aECG document without a waveform; export it with its rhythm series")
    return max(candidates, key=worth)


def _channels(sequences: list[Element]) -> Iterator[Channel]:
    for sequence in sequences:
        if _code(sequence).startswith(_LEAD_CODE):
            yield _channel(sequence)


def _channel(sequence: Element) -> Channel:
    name = standard_name(_code(sequence))
    try:
        counts = np.array(_text(sequence, "h:value/h:digits").split(), dtype=np.int64)
        scale = float(_attribute(sequence, "h:value/h:scale", "value"))
        origin = float(_attribute(sequence, "h:value/h:origin", "value") or 0.0)
    except (ValueError, OverflowError) as error:
        raise FeedRefusedError(
            f"samples, scale or origin of lead {name} are not numbers; export it again"
        ) from error
    return Channel(
        name=name,
        counts=counts,
        uv_per_count=scale * microvolts_per(_attribute(sequence, "h:value/h:scale", "unit")),
        offset_uv=origin * microvolts_per(_attribute(sequence, "h:value/h:origin", "unit") or "uV"),
    )


def _time_base(sequences: list[Element], options: ReadOptions) -> tuple[datetime | None, float]:
    """Return the first sample's moment where it is absolute, and the rate in Hz."""
    for sequence in sequences:
        if _code(sequence) not in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            continue
        try:
            step = float(_attribute(sequence, "h:value/h:increment", "value"))
        except ValueError:
            continue
        step_s = step * _SECONDS_PER.get(_attribute(sequence, "h:value/h:increment", "unit"), 0.0)
        if step_s > 0.0:
            # 1/0.002 is 500 but for the last bit of a double; no cart means 499.99999999
            return parse_moment(_attribute(sequence, "h:value/h:head", "value"), options.timezone), round(
                1 / step_s, 6
            )
    raise FeedRefusedError("the aECG states no time step of its samples; export it with its time sequence")


def _acquired_at(root: Element, series: Element, options: ReadOptions) -> datetime | None:
    texts = (
        _attribute(series, "h:effectiveTime/h:low", "value"),
        _attribute(root, "h:effectiveTime/h:low", "value"),
        _attribute(root, "h:effectiveTime/h:center", "value"),
    )
    moments = (parse_moment(text, options.timezone) for text in texts)
    return next((moment for moment in moments if moment is not None), None)


def _age_years(root: Element, acquired_at: datetime | None) -> float | None:
    for observation in root.iterfind(".//h:relatedObservation", _NS):
        if _code(observation) == _REPORTED_AGE and _attribute(observation, "h:value", "unit") == "a":
            try:
                return float(_attribute(observation, "h:value", "value"))
            except ValueError:
                break
    return age_from_birth(_attribute(root, ".//h:subjectDemographicPerson/h:birthTime", "value"), acquired_at)


def _code(element: Element) -> str:
    return _attribute(element, "h:code", "code")


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path, _NS)
    return "" if found is None else (found.get(name) or "").strip()


def _text(element: Element, path: str) -> str:
    return (element.findtext(path, "", _NS) or "").strip()
