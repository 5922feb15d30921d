"""HL7 aECG (ANSI/HL7 V3 ECG R1-2004): the rhythm series of an AnnotatedECG document."""

import re
import uuid
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.leads import Picked, missing_leads, pick_leads
from streams.feeds.readers.moments import parse_moment
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

_NS: Final = {"h": "urn:hl7-org:v3"}
_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}
_SECONDS_PER: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

_LEAD_CODE: Final = "MDC_ECG_LEAD_"
_REPORTED_AGE: Final = "21612-7"  # LOINC, in a UCUM unit
_YEARS_PER: Final = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}
_PATIENT: Final = ".//h:subjectAssignment/h:subject/h:trialSubject"


#: A root that is itself the id of one document, not of the organisation or device that numbers them.
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def read_aecg(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the rhythm recording of an aECG document, entity expansion and external references off.

    Of several sequence sets the longest that carries the twelve leads is taken; derived series
    (representative beats) never are.

    The document's id becomes the record's UID where it names this one document: a root with an extension, or
    a root that is a UUID. A bare OID may be the exporter's own, the same in all its documents, so such an ECG
    is told apart by patient, time and samples.

    Raises
    ------
    FeedRefusedError
        When it is no aECG, is malformed, or lacks leads, time or patient.
    """
    root = _parsed(document.content)
    if root is None or root.tag != f"{{{_NS['h']}}}AnnotatedECG":
        raise FeedRefusedError("XML, but not an HL7 AnnotatedECG document; send aECG, DICOM or WFDB")
    return assemble(_found(root, options), options)


def _parsed(content: bytes) -> Element | None:
    try:
        root: Element | None = fromstring(content)
        return root
    except (ParseError, DefusedXmlException) as error:
        raise FeedRefusedError(
            f"not well-formed or unsafe XML ({type(error).__name__}); export it again"
        ) from None
    except (ValueError, LookupError):
        # expat knows UTF-8, UTF-16, and encodings of one byte a character.
        raise FeedRefusedError(
            "XML in an encoding that is not read (Shift_JIS?); export it as UTF-8"
        ) from None


def _found(root: Element, options: ReadOptions) -> Found:
    series, sequences = _choose_sequences(root)
    head, rate_hz = _time_base(sequences)
    acquired_at = head or _acquired_at(root, series)
    device = ".//h:manufacturedSeriesDevice"
    leads = [sequence for sequence in sequences if _code(sequence).startswith(_LEAD_CODE)]
    names = [_code(lead) for lead in leads]
    picked = pick_leads(names)
    columns = {pick.column for pick in picked}
    return Found(
        channels=tuple(_channel(leads[pick.column], pick) for pick in picked),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
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
        age_years=_age_years(root, acquired_at or options.acquired_at),
        sex=_SEX.get(_attribute(root, ".//h:administrativeGenderCode", "code"), Sex.UNKNOWN),
    )


def _document_uid(root: Element) -> str:
    document, extension = _attribute(root, "h:id", "root"), _attribute(root, "h:id", "extension")
    if document and extension:
        return f"{document}^{extension}"
    is_of_one = _UUID.fullmatch(document) and uuid.UUID(document).int
    return document if is_of_one else ""


def _choose_sequences(root: Element) -> tuple[Element, list[Element]]:
    """Return the series and the sequences of its best set: all leads first, then the most samples."""

    def worth(candidate: tuple[Element, list[Element]]) -> tuple[bool, int]:
        leads = [s for s in candidate[1] if _code(s).startswith(_LEAD_CODE)]
        n_digits = max((len(_text(s, "h:value/h:digits")) for s in leads), default=0)
        return not missing_leads([_code(s) for s in leads]), n_digits

    candidates = [
        (series, sequence_set.findall("h:component/h:sequence", _NS))
        for series in root.findall("h:component/h:series", _NS)
        for sequence_set in series.findall("h:component/h:sequenceSet", _NS)
    ]
    if not candidates:
        raise FeedRefusedError("an aECG document without a waveform; export it with its rhythm series")
    return max(candidates, key=worth)


def _channel(sequence: Element, pick: Picked) -> Channel:
    try:
        counts = np.array(_text(sequence, "h:value/h:digits").split(), dtype=np.int64)
        scale = float(_attribute(sequence, "h:value/h:scale", "value"))
        origin = float(_attribute(sequence, "h:value/h:origin", "value") or 0.0)
    except (ValueError, OverflowError):
        raise FeedRefusedError(
            f"samples, scale or origin of lead {pick.lead} are not numbers; export it again"
        ) from None
    return Channel(
        name=pick.lead,
        counts=counts,
        uv_per_count=scale * microvolts_per(_attribute(sequence, "h:value/h:scale", "unit")),
        offset_uv=origin * microvolts_per(_attribute(sequence, "h:value/h:origin", "unit") or "uV"),
        sign=pick.sign,
    )


def _time_base(sequences: list[Element]) -> tuple[datetime | None, float]:
    """Return the first sample's moment where it is absolute, and the rate in Hz."""
    for sequence in sequences:
        if _code(sequence) not in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            continue
        step = _number(_attribute(sequence, "h:value/h:increment", "value"))
        step_s = step * _SECONDS_PER.get(_attribute(sequence, "h:value/h:increment", "unit"), 0.0)
        if 0.0 < step_s < np.inf:
            # 1/0.002 is 500 but for the last bit of a double; no cart means 499.99999999
            return parse_moment(_attribute(sequence, "h:value/h:head", "value")), round(1 / step_s, 6)
    raise FeedRefusedError("the aECG states no time step of its samples; export it with its time sequence")


def _acquired_at(root: Element, series: Element) -> datetime | None:
    texts = (
        _attribute(series, "h:effectiveTime/h:low", "value"),
        _attribute(root, "h:effectiveTime/h:low", "value"),
        _attribute(root, "h:effectiveTime/h:center", "value"),
    )
    moments = (parse_moment(text) for text in texts)
    return next((moment for moment in moments if moment is not None), None)


def _age_years(root: Element, acquired_at: datetime | None) -> float | None:
    for observation in root.iterfind(".//h:relatedObservation", _NS):
        unit = _attribute(observation, "h:value", "unit")
        if _code(observation) == _REPORTED_AGE and unit in _YEARS_PER:
            age = _number(_attribute(observation, "h:value", "value"))
            if np.isfinite(age):
                return round(age * _YEARS_PER[unit], 2)
    return age_from_birth(_attribute(root, ".//h:subjectDemographicPerson/h:birthTime", "value"), acquired_at)


def _number(text: str) -> float:
    """Read a number; NaN when it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _code(element: Element) -> str:
    return _attribute(element, "h:code", "code")


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path, _NS)
    return "" if found is None else (found.get(name) or "").strip()


def _text(element: Element, path: str) -> str:
    return (element.findtext(path, "", _NS) or "").strip()
