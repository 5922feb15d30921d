"""FHIR R4 Observations of an ECG as tests need them, held to FHIR's own models, in JSON and XML."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import numpy.typing as npt
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.observation import Observation

from schemas.leads import LEADS_12

IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
MDC = "urn:iso:std:iso:11073:10101"
CODE = {"I": 131329, "II": 131330, "III": 131389, "aVR": 131390, "aVL": 131391, "aVF": 131392} | {
    f"V{i}": 131330 + i for i in range(1, 7)
}


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def component(
    lead: str, samples: Sequence[float] | npt.NDArray[np.generic], **changes: Any
) -> dict[str, Any]:
    return {
        "code": concept(MDC, str(CODE[lead]), f"MDC_ECG_ELEC_POTL_{lead.upper()}"),
        "valueSampledData": {
            "origin": {"value": 0, "unit": "uV", "system": "http://unitsofmeasure.org", "code": "uV"},
            "period": 2,
            "factor": 1.25,
            "dimensions": 1,
            "data": " ".join(f"{sample}" for sample in samples),
            **changes,
        },
    }


def quantity(code: str, display: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "code": concept("http://loinc.org", code, display),
        "valueQuantity": {"value": value, "code": unit},
    }


def patient(*, own_id: str = "p1", identifier: str = "P-77", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": own_id,
        "identifier": [{"type": concept(IDENTIFIER_TYPES, "MR", "MRN"), "value": identifier}],
        "gender": "female",
        "birthDate": "1960-03-01",
        **changes,
    }  # fmt: skip


def observation(
    counts: npt.NDArray[np.generic],
    *,
    leads: Sequence[str] = LEADS_12,
    sampled: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "urn:carts", "value": "ecg-1"}],
        "code": concept(MDC, "131328", "MDC_ECG_ELEC_POTL"),
        "subject": {"reference": "#p1"},
        "contained": [patient()],
        "effectiveDateTime": "2024-02-29T08:30:00.250+01:00",
        "device": {"identifier": {"value": "SN-1"}, "display": "Cart"},
        "component": [
            component(lead, row, **(sampled or {})) for lead, row in zip(leads, counts, strict=True)
        ],
        **changes,
    }


def bundle(*resources: dict[str, Any], urls: Sequence[str] = ()) -> dict[str, Any]:
    entries = [{"resource": resource} for resource in resources]
    for entry, url in zip(entries, urls, strict=False):
        entry["fullUrl"] = url  # type: ignore[assignment]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def fhir_json(resource: Mapping[str, Any], *, is_lawful: bool = True) -> bytes:
    """JSON of a resource; a lawful one is checked against FHIR's model of it first."""
    if is_lawful:
        {"Observation": Observation, "Bundle": Bundle}[resource["resourceType"]].model_validate(resource)
    return json.dumps(resource).encode()


def fhir_xml(resource: Mapping[str, Any]) -> bytes:
    root = _element(resource)
    root.set("xmlns", "http://hl7.org/fhir")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root)


def _element(resource: Mapping[str, Any]) -> Element:
    root = Element(resource["resourceType"])
    _fill(root, {name: member for name, member in resource.items() if name != "resourceType"})
    return root


def _fill(parent: Element, members: Mapping[str, Any]) -> None:
    for name, member in members.items():
        for each in member if isinstance(member, list) else [member]:
            child = SubElement(parent, name)
            if not isinstance(each, dict):
                child.set("value", str(each).lower() if isinstance(each, bool) else str(each))
            elif "resourceType" in each:
                child.append(_element(each))
            else:
                _fill(child, each)
