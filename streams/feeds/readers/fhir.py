"""FHIR R4 Observation of an ECG: one component with SampledData for each lead, alone or in a Bundle."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from schemas.recorded import CartStatement, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.fhir_nodes import JsonNode, Node, XmlNode, one, text
from streams.feeds.readers.fhir_samples import Lead, channel_of, lead_of
from streams.feeds.readers.leads import pick_leads
from streams.feeds.readers.measured import Measured, statement_of
from streams.feeds.readers.moments import parse_iso_moment
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.xml import parse_xml
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"female": Sex.FEMALE, "male": Sex.MALE}

#: What was recorded but must not be believed (value set observation-status).
_WITHDRAWN: Final = frozenset({"entered-in-error", "cancelled"})

#: Medical record number (HL7 table 0203): the identifier that a site knows a patient by.
_RECORD_NUMBER: Final = "MR"


def read_fhir_xml(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read an Observation, or a Bundle that holds one, as FHIR XML; see :func:`read_fhir_json`."""
    return _read(XmlNode(parse_xml(document.content, limits)), options, limits)


def read_fhir_json(resource: dict[str, Any], options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read an Observation, or a Bundle that holds one, parsed from FHIR JSON.

    Voltages are ``data`` · ``factor`` + ``origin`` in the unit of ``origin``. The patient is the identifier
    of ``subject``, or that of the Patient it refers to within the delivery (the medical record number where
    there are several), or else the id it is referred to by.

    Raises
    ------
    FeedRefusedError
        When there is no such Observation or several, it is withdrawn, has gaps or no unit, or lacks leads,
        time or patient.
    """
    return _read(JsonNode(resource), options, limits)


def _read(root: Node, options: ReadOptions, limits: ReadLimits) -> Reading:
    resources = _resources(root)
    observation = _ecg_among(resources)
    within = [*observation.many("contained"), *resources]
    return assemble(_found(observation, within, options, limits), options)


def _resources(root: Node) -> list[Node]:
    if root.kind != "Bundle":
        return [root]
    return [resource for entry in root.many("entry") for resource in entry.many("resource")]


def _ecg_among(resources: Sequence[Node]) -> Node:
    ecgs = [resource for resource in resources if resource.kind == "Observation" and _has_samples(resource)]
    if not ecgs:
        raise FeedRefusedError(
            "FHIR without an Observation that holds SampledData; send the ECG's Observation, "
            "one component for each lead",
            RefusalReason.NO_WAVEFORM,
        )
    if len(ecgs) > 1:
        raise FeedRefusedError(
            f"a Bundle of {len(ecgs)} recordings; send one ECG at a time", RefusalReason.UNSUPPORTED
        )
    if text(ecgs[0], "status") in _WITHDRAWN:
        raise FeedRefusedError(
            "its status says that it was withdrawn; send ECGs that are valid", RefusalReason.INVALID_RECORD
        )
    return ecgs[0]


def _has_samples(observation: Node) -> bool:
    return any(component.many("valueSampledData") for component in observation.many("component"))


def _found(observation: Node, within: Sequence[Node], options: ReadOptions, limits: ReadLimits) -> Found:
    leads = [
        lead_of(component, limits)
        for component in observation.many("component")
        if component.many("valueSampledData")
    ]
    picked = pick_leads([lead.name for lead in leads])
    columns = {pick.column for pick in picked}
    _require_once([leads[column] for column in range(len(leads)) if column not in columns])
    acquired_at = _acquired_at(observation)
    patient = _referred(one(observation, "subject"), within, "Patient")
    device = _referred(one(observation, "device"), within, "Device")
    return Found(
        channels=tuple(channel_of(leads[pick.column], pick) for pick in picked),
        left_out=tuple(lead.name for column, lead in enumerate(leads) if column not in columns),
        sample_rate_hz=_sample_rate_hz([leads[column] for column in sorted(columns)] or leads),
        source_format="FHIR",
        acquired_at=acquired_at,
        patient_id=_patient_id(one(observation, "subject"), patient),
        source_uid=_uid(observation),
        source_system=text(device, "manufacturer"),
        device_id=_device_id(one(observation, "device"), device),
        age_years=age_from_birth(
            text(patient, "birthDate").replace("-", ""), acquired_at or options.acquired_at
        ),
        sex=_SEX.get(text(patient, "gender"), Sex.UNKNOWN),
        cart=_cart(observation),
    )


def _require_once(left_out: Sequence[Lead]) -> None:
    """Refuse a lead in several components: which is first in time, or what is rhythm, is not stated."""
    if pick_leads([lead.name for lead in left_out]):
        raise FeedRefusedError(
            "a lead in several components; send each lead once, in one piece", RefusalReason.UNSUPPORTED
        )


def _sample_rate_hz(leads: Sequence[Lead]) -> float:
    periods_ms = {lead.period_ms for lead in leads}
    if len(periods_ms) > 1:
        raise FeedRefusedError(
            "its leads have different rates; send them at one rate", RefusalReason.UNSUPPORTED
        )
    # A period is a decimal, and 1000 / 1.953125 is 512.
    return 1000.0 / periods_ms.pop()


def _acquired_at(observation: Node) -> datetime | None:
    period = one(observation, "effectivePeriod")
    written = (
        text(observation, "effectiveDateTime"),
        text(observation, "effectiveInstant"),
        text(period, "start"),
    )
    return next((moment for each in written if (moment := parse_iso_moment(each)) is not None), None)


def _referred(reference: Node | None, within: Sequence[Node], kind: str) -> Node | None:
    """Return the resource that a reference names, among those that came along; one alone needs no name."""
    of_kind = [resource for resource in within if resource.kind == kind]
    last = text(reference, "reference").rstrip("/").rpartition("/")[2].removeprefix("#")
    named = [resource for resource in of_kind if last and text(resource, "id") == last]
    if named:
        return named[0]
    is_elsewhere = bool(last) and not last.startswith("urn:") and any(text(each, "id") for each in of_kind)
    return of_kind[0] if len(of_kind) == 1 and not is_elsewhere else None


def _patient_id(subject: Node | None, patient: Node | None) -> str:
    logical = one(subject, "identifier")
    own = _identifier(patient)
    if text(logical, "value"):
        return text(logical, "value")
    reference = text(subject, "reference")
    is_local = reference.startswith(("#", "urn:")) or not reference
    return own or ("" if is_local else reference.rstrip("/").rpartition("/")[2])


def _identifier(patient: Node | None) -> str:
    identifiers = (
        [] if patient is None else [each for each in patient.many("identifier") if text(each, "value")]
    )
    numbered = [each for each in identifiers if _RECORD_NUMBER in _codes(one(each, "type"))]
    if len(numbered) == 1 or len(identifiers) == 1:
        return text((numbered or identifiers)[0], "value")
    return ""  # which of several is the site's is not guessed


def _codes(concept: Node | None) -> list[str]:
    return [] if concept is None else [text(coding, "code") for coding in concept.many("coding")]


def _uid(observation: Node) -> str:
    """Return a business identifier with its system; an id alone is a server's own and may be given again."""
    identifier = one(observation, "identifier")
    system, value = text(identifier, "system"), text(identifier, "value")
    return f"{system}|{value}" if system and value else ""


def _device_id(reference: Node | None, device: Node | None) -> str:
    return (
        text(device, "serialNumber")
        or text(one(device, "identifier"), "value")
        or text(one(reference, "identifier"), "value")
        or text(one(device, "deviceName"), "name")
        or text(reference, "display")
    )


def _cart(observation: Node) -> CartStatement | None:
    return statement_of(_measured(observation))


def _measured(observation: Node) -> Iterator[Measured]:
    for component in observation.many("component"):
        quantity, concept = one(component, "valueQuantity"), one(component, "code")
        if quantity is None or concept is None:
            continue
        try:
            amount = float(text(quantity, "value"))
        except ValueError:
            continue
        unit = text(quantity, "code") or text(quantity, "unit")
        for coding in concept.many("coding"):
            yield Measured(code=text(coding, "code"), words=text(coding, "display"), amount=amount, unit=unit)
        yield Measured(code="", words=text(concept, "text"), amount=amount, unit=unit)
