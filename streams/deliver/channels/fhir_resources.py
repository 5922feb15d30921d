"""An alert as FHIR R4: the risk (RiskAssessment), that it matters now (Flag), who was told (Communication).

Identifiers are UUIDs of ours (``urn:ietf:rfc:3986``), and each resource is created only if there is none with
its identifier: of one alert there is one RiskAssessment and one Flag, and of one key one Communication.
"""

import uuid
from typing import Any, Final
from urllib.parse import urlencode

from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.communication import Communication
from fhir.resources.R4B.flag import Flag
from fhir.resources.R4B.riskassessment import RiskAssessment

from schemas.alert import Priority
from schemas.identity import NAMESPACE
from streams.deliver.channels.notice import Notice, not_for_text, one_line, risk_text, text_of

#: System of identifiers that are URIs (FHIR R4 §2.1.28.0.4).
URI_SYSTEM: Final = "urn:ietf:rfc:3986"

_OUTCOME: Final = "High-risk diastolic-dysfunction phenotype"
_METHOD: Final = "12-lead ECG, ECG foundation model and synthetic annular motion"

#: Of http://hl7.org/fhir/request-priority, in rising order: routine, urgent, asap, stat.
_PRIORITIES: Final = {Priority.HIGH: "stat", Priority.MEDIUM: "urgent", Priority.LOW: "routine"}


def told(notice: Notice, key: str, patient_system: str = "") -> Bundle:
    """Make the transaction that tells of an alert; repeated, it creates nothing.

    Parameters
    ----------
    patient_system : str
        System of the patient's identifier; "" sends it without one.

    Raises
    ------
    pydantic.ValidationError
        Never for a valid notice: what is sent is validated here.
    """
    subject = _subject(notice, patient_system)
    risk = _risk_assessment(notice, subject)
    flag = flag_of(notice, patient_system)
    alert_urn = _urn(notice.alert.alert_id)
    key_urn = _urn(str(uuid.uuid5(NAMESPACE, f"fhir-communication|{key}")))
    communication = _communication(notice, subject, key_urn)
    return _transaction(
        _created(_local_urn(notice, "RiskAssessment"), risk, alert_urn),
        _created(_local_urn(notice, "Flag"), flag, alert_urn),
        _created(key_urn, communication, key_urn),
    )


def over(notice: Notice, patient_system: str = "") -> Bundle:
    """Make the transaction that puts the flag out; one that was never there is made inactive."""
    found = urlencode({"identifier": f"{URI_SYSTEM}|{_urn(notice.alert.alert_id)}"})
    entry = {
        "fullUrl": _local_urn(notice, "Flag"),
        "resource": flag_of(notice, patient_system),
        "request": {"method": "PUT", "url": f"Flag?{found}"},
    }
    return _transaction(entry)


def flag_of(notice: Notice, patient_system: str = "") -> Flag:
    """Make the flag: active from the raise until the alert is over."""
    case, alert = notice.case, notice.alert
    period = {"start": case.raised_at}
    if case.over_at is not None:
        period["end"] = case.over_at
    category = _coded("http://terminology.hl7.org/CodeSystem/flag-category", "clinical", "Clinical")
    return Flag.model_validate(
        {
            "identifier": [_identifier(_urn(alert.alert_id))],
            "status": "inactive" if notice.is_over else "active",
            "category": [category],
            "code": {"text": f"{_OUTCOME}: {one_line(alert.change_text)}"},
            "subject": _subject(notice, patient_system),
            "period": period,
            "author": {"type": "Device", "display": _author(notice)},
        }
    )


def _risk_assessment(notice: Notice, subject: dict[str, Any]) -> RiskAssessment:
    alert = notice.alert
    prediction = {
        "outcome": {"text": _OUTCOME},
        # In percent: "Decimals are expressed as percentages as well (max = 100)" (R4 RiskAssessment).
        "probabilityDecimal": round(alert.probability * 100, 2),
        # In words: how likely "high" is in a code system's sense is not what the policy's threshold says.
        "qualitativeRisk": {"text": "HIGH by the site's alert policy"},
        "rationale": f"{one_line(alert.change_text)} Risk, ECG before and this ECG: {risk_text(alert)}.",
    }
    note = not_for_text(alert)
    return RiskAssessment.model_validate(
        {
            "identifier": [_identifier(_urn(alert.alert_id))],
            "status": "final",
            "subject": subject,
            "occurrenceDateTime": alert.acquired_at,
            "method": {"text": _METHOD},
            "performer": {"type": "Device", "display": _author(notice)},
            "basis": [
                {"type": "Observation", "identifier": _identifier(_urn(alert.ecg_id)), "display": "ECG"}
            ],
            "prediction": [prediction],
            "note": [{"text": note}] if note else None,
        }
    )


def _communication(notice: Notice, subject: dict[str, Any], key_urn: str) -> Communication:
    return Communication.model_validate(
        {
            "identifier": [_identifier(key_urn)],
            "status": "completed",
            "category": [
                _coded("http://terminology.hl7.org/CodeSystem/communication-category", "alert", "Alert"),
            ],
            "priority": _PRIORITIES[notice.severity],
            "subject": subject,
            "about": [{"reference": _local_urn(notice, kind)} for kind in ("RiskAssessment", "Flag")],
            "sent": notice.now,
            "recipient": [{"type": "CareTeam", "display": one_line(notice.recipient)}]
            if notice.recipient
            else None,
            "sender": {"type": "Device", "display": _author(notice)},
            "payload": [{"contentString": text_of(notice, with_patient=False)}],
        }
    )


def _transaction(*entries: dict[str, Any]) -> Bundle:
    return Bundle.model_validate({"type": "transaction", "entry": list(entries)})


def _created(full_url: str, resource: RiskAssessment | Flag | Communication, urn: str) -> dict[str, Any]:
    kind = resource.get_resource_type()
    condition = urlencode({"identifier": f"{URI_SYSTEM}|{urn}"})
    return {
        "fullUrl": full_url,
        "resource": resource,
        "request": {"method": "POST", "url": kind, "ifNoneExist": condition},
    }


def _subject(notice: Notice, patient_system: str) -> dict[str, Any]:
    identifier = {"value": notice.alert.patient_id}
    if patient_system:
        identifier["system"] = patient_system
    return {"type": "Patient", "identifier": identifier}


def _identifier(urn: str) -> dict[str, str]:
    return {"system": URI_SYSTEM, "value": urn}


def _coded(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _author(notice: Notice) -> str:
    alert = notice.alert
    return one_line(f"Diastole, model {alert.bundle_version}, policy {alert.policy_version}")


def _urn(identifier: str) -> str:
    return f"urn:uuid:{identifier}"


def _local_urn(notice: Notice, kind: str) -> str:
    """Name an entry within the transaction, for those that refer to it."""
    return _urn(str(uuid.uuid5(NAMESPACE, f"fhir-{kind}|{notice.alert.alert_id}")))
