"""HL7 aECG (ANSI/HL7 V3 ECG R1-2004): the rhythm series of an AnnotatedECG document."""

import re
import uuid
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.aecg_annotations import cart_of
from streams.feeds.readers.aecg_series import (
    channel_of,
    choose_sequences,
    code_of,
    is_lead,
    require_few_samples,
    require_recording,
    time_base,
)
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.leads import pick_leads
from streams.feeds.readers.moments import parse_moment
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.xml import attribute_at, number, parse_xml, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}
_REPORTED_AGE: Final = "21612-7"  # LOINC, in a UCUM unit
_YEARS_PER: Final = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}

# Paths are in lower case, as names come from the parser.
_SUBJECT: Final = ".//subjectassignment/subject/trialsubject"
_PERSON: Final = f"{_SUBJECT}/subjectdemographicperson"
_DEVICE: Final = ".//manufacturedseriesdevice"
_TRIAL_SITE: Final = ".//clinicaltrial/location/trialsite"

#: Identifiers that are none, as exporters write them where a document type wants one.
_NO_ID: Final = frozenset({"", "?", "0", "UNK", "NA", "N/A"})

#: A root that is itself an id of one thing, not of the organisation or device that numbers things.
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def read_aecg(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the rhythm recording of an aECG document, entity expansion and external references off.

    Of several series and sequence sets the longest that carries the twelve leads is taken; derived series
    (representative beats) never are. ecgdatakit's parser is not used: it takes the first series and set
    whatever they hold, rounds rates to whole Hz, and passes over measurements made beat by beat.

    The document's id becomes the record's UID where it names this one document: a root with an extension, or
    a root that is a UUID. A bare OID may be the exporter's own, the same in all its documents, so such an ECG
    is told apart by patient, time and samples; for the same reason no bare OID is a patient.

    Raises
    ------
    FeedRefusedError
        When it is no aECG, is malformed, or lacks leads, time or patient; NO_WAVEFORM when it holds no
        12-lead recording at all.
    """
    root = parse_xml(document.content, limits)
    if root.tag != "annotatedecg":
        raise FeedRefusedError(
            "XML, but not an HL7 AnnotatedECG document; send aECG, DICOM or WFDB",
            RefusalReason.UNKNOWN_FORMAT,
        )
    return assemble(_found(root, options, limits), options)


def _found(root: Element, options: ReadOptions, limits: ReadLimits) -> Found:
    series, sequences = choose_sequences(root)
    head, rate_hz = time_base(sequences)
    acquired_at = head or _acquired_at(root, series)
    leads = [sequence for sequence in sequences if is_lead(sequence)]
    names = [code_of(lead) for lead in leads]
    require_recording(leads, names, rate_hz)
    picked = pick_leads(names)
    require_few_samples([leads[pick.column] for pick in picked], limits)
    columns = {pick.column for pick in picked}
    manufacturer = text_at(series, ".//manufacturerorganization/name")
    model = text_at(series, f"{_DEVICE}/manufacturermodelname")
    return Found(
        channels=tuple(channel_of(leads[pick.column], pick) for pick in picked),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        sample_rate_hz=rate_hz,
        source_format="aECG",
        acquired_at=acquired_at,
        patient_id=_subject(root),
        source_uid=_document_uid(root),
        source_system=f"{manufacturer} {model}".strip(),
        site_id=_site(root),
        device_id=_device(series) or model,
        age_years=_age_years(root, acquired_at or options.acquired_at),
        sex=_SEX.get(attribute_at(root, f"{_PERSON}/administrativegendercode", "code").upper(), Sex.UNKNOWN),
        cart=cart_of(series),
    )


def _document_uid(root: Element) -> str:
    document, extension = attribute_at(root, "id", "root"), attribute_at(root, "id", "extension")
    if document and extension:
        return f"{document}^{extension}"
    return document if _is_id_of_one(document) else ""


def _subject(root: Element) -> str:
    for element in root.iterfind(f"{_SUBJECT}/id"):
        extension, issuer = attribute_at(element, ".", "extension"), attribute_at(element, ".", "root")
        if extension.upper() not in _NO_ID:
            return extension
        if _is_id_of_one(issuer):
            return issuer
    return ""


def _is_id_of_one(root: str) -> bool:
    return _UUID.fullmatch(root) is not None and uuid.UUID(root).int != 0


def _site(root: Element) -> str:
    ids = (attribute_at(root, f"{path}/id", "extension") for path in ("location/testingsite", _TRIAL_SITE))
    return next((site for site in ids if site.upper() not in _NO_ID), "")


def _device(series: Element) -> str:
    serial = text_at(series, f"{_DEVICE}/serialnumber") or attribute_at(series, f"{_DEVICE}/id", "extension")
    return "" if serial.upper() in _NO_ID else serial


def _acquired_at(root: Element, series: Element) -> datetime | None:
    texts = (
        attribute_at(series, "effectivetime/low", "value"),
        attribute_at(series, "effectivetime/center", "value"),
        attribute_at(root, "effectivetime/low", "value"),
        attribute_at(root, "effectivetime/center", "value"),
        attribute_at(root, "effectivetime", "value"),
    )
    moments = (parse_moment(text) for text in texts)
    return next((moment for moment in moments if moment is not None), None)


def _age_years(root: Element, acquired_at: datetime | None) -> float | None:
    for observation in root.iterfind(".//relatedobservation"):
        unit = attribute_at(observation, "value", "unit")
        if code_of(observation) == _REPORTED_AGE and unit in _YEARS_PER:
            age = number(attribute_at(observation, "value", "value"))
            if age is not None:
                return round(age * _YEARS_PER[unit], 2)
    return age_from_birth(attribute_at(root, f"{_PERSON}/birthtime", "value"), acquired_at)
