"""ECGs and broken messages that carry planted identifiers wherever a sender can put one."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import numpy as np
from assessments import assessed
from fastavro import schemaless_writer
from notices import alert_of
from planted import ACCESSION, NAME, PATIENT_IDS, PRIOR_ID, SURVIVING_ID
from pydicom.uid import TwelveLeadECGWaveformStorage
from writers.dicom import Group, dataset, dicom_bytes
from writers.hl7_v2 import encapsulated, message, oru
from writers.json_ecg import json_bytes, json_ecg
from writers.muse import muse_xml, rhythm_xml
from writers.wfdb import zipped

from models.cohorts.simulated import Ward
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.leads import LEADS_12
from schemas.mapping import to_plain
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry, current_schema
from schemas.risk import RiskAssessed
from schemas.wire import schema_id_prefix
from streams.topology import CARE_AUDIT, ECG_ALERT, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, FEED_TOPICS

CODEC = Codec(FileRegistry())
#: A record whose signal file is named for its patient, and is not there.
WFDB_HEADER = "ZQX7VELD 1 500 5000\nZQX7VELD-1.dat 16 200/mV 16 0 0 0 0 I\n# Zqx7veld\n"

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_WARD = Ward(beds=8, seed=5, since=_SINCE, fault_rate=0.0)


def recorded(number: int, patient_id: str) -> EcgRecorded:
    """An ECG as simulated, of somebody else."""
    return replace(_WARD.record(number % 8, _SINCE + timedelta(hours=number)), patient_id=patient_id)


def of_dicom(number: int, patient_id: str, **changes: Any) -> bytes:
    """A DICOM file that names its patient in every way it can."""
    named = {
        "SOPClassUID": TwelveLeadECGWaveformStorage,
        "SOPInstanceUID": f"1.2.826.0.1.3680043.10.1234.77.{number}",
        "PatientID": patient_id,
        "PatientName": NAME,
        "PatientAddress": NAME,
        "OtherPatientNames": NAME,
        "AccessionNumber": ACCESSION,
        "StudyID": ACCESSION,
        "ReferringPhysicianName": NAME,
        "SpecificCharacterSet": "ISO_IR 192",
    }
    whole = dataset([Group(counts=recorded(number, PATIENT_IDS[0]).samples)], changes={**named, **changes})
    whole.file_meta.MediaStorageSOPClassUID = whole.SOPClassUID
    whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID
    return dicom_bytes(whole)


def of_muse(patient_id: str, *, is_whole: bool = True) -> bytes:
    """A MUSE document; one that is not whole breaks off within the patient's name."""
    named = f"<PatientID>{patient_id}</PatientID><PatientFirstName>{NAME}</PatientFirstName>"
    counts = {lead: row.astype(np.int64) for lead, row in zip(LEADS_12[:2], _counts()[:2], strict=True)}
    chest = {f"V{n + 1}": _counts()[n + 6].astype(np.int64) for n in range(6)}
    written = muse_xml(rhythm_xml({**counts, **chest}), patient=named).encode("iso-8859-1")
    return written if is_whole else written[: written.index(NAME.encode()) + 12]


def _counts() -> np.ndarray:
    return recorded(3, "P").samples


def in_hl7(document: bytes, patient_id: str) -> bytes:
    """An order's result that holds a DICOM file, of a patient with a name and an accession number."""
    ecg = encapsulated(document, subtype="DICOM")
    return oru(
        ecg,
        pid=f"PID|1||{patient_id}^^^HOSP^MR||{NAME}|{NAME}|19410307|F",
        obr=f"OBR|1|{ACCESSION}|{ACCESSION}|93000^ECG^LN|||20260301080000",
    )


def hl7_messages() -> list[tuple[bytes, str]]:
    """Messages, and what each is to be answered with."""
    merged = ("EVN|A40|20260301", f"PID|1||{SURVIVING_ID}^^^HOSP^MR||{NAME}", f"MRG|{PRIOR_ID}^^^HOSP^MR")
    to_itself = ("EVN|A40|20260301", f"PID|1||{PRIOR_ID}^^^HOSP^MR", f"MRG|{PRIOR_ID}^^^HOSP^MR")
    broken = b"<PatientID>ZQX7VELD-1</PatientID>"
    return [
        (in_hl7(of_dicom(31, PATIENT_IDS[0]), PATIENT_IDS[0]), "AA"),
        (in_hl7(of_dicom(32, PATIENT_IDS[0]), PATIENT_IDS[4]), "AE"),
        (in_hl7(broken, PATIENT_IDS[0]), "AE"),
        (message(*merged, kind="ADT^A40^ADT_A39"), "AA"),
        (message(*to_itself, kind="ADT^A40^ADT_A39"), "AA"),
        (message(f"PID|1||{PRIOR_ID}", kind="SIU^S12"), "AR"),
    ]


def http_bodies() -> list[tuple[bytes, dict[str, str], int]]:
    """Bodies for the HTTP feed, what is said beside them, and the status of the answer."""
    odd, also = PATIENT_IDS[1], PATIENT_IDS[2]
    samples = recorded(5, odd).samples
    beside = np.vstack([samples, samples[:1]])
    return [
        *((of_dicom(n, patient_id), {}, 201) for n, patient_id in enumerate(PATIENT_IDS)),
        (of_dicom(0, PATIENT_IDS[0]), {}, 200),
        (of_muse(PATIENT_IDS[0]), {}, 201),
        (of_muse(PATIENT_IDS[0], is_whole=False), {}, 422),
        (
            json_bytes(json_ecg(samples, patient_id=odd, acquired_at="2026-01-02T08:30:00Z", unit="uV")),
            {},
            201,
        ),
        (json_bytes(json_ecg(samples, patient_id=odd, acquired_at=NAME)), {}, 422),
        (json_bytes(json_ecg(samples, patient_id=odd, unit=also)), {}, 422),
        (json_bytes(json_ecg(samples, patient_id=odd, zqx7veld=also)), {}, 422),
        (json_bytes(json_ecg(samples, names=[f"{also}{n}" for n in range(12)], patient_id=odd)), {}, 422),
        (
            json_bytes(
                json_ecg(beside, names=[*LEADS_12, also], patient_id=odd, acquired_at="2026-01-03T08:30:00Z")
            ),
            {},
            201,
        ),
        (zipped({"ZQX7VELD.hea": WFDB_HEADER.encode()}), {}, 422),
        (of_dicom(20, also), {"patient_id": PATIENT_IDS[0]}, 422),
        (of_dicom(21, "", PatientName=NAME), {}, 422),
        (of_dicom(22, odd).replace(b"20240229083000.250000+0100", NAME.encode().ljust(26)), {}, 422),
        (f"ZQX7VELD is no ECG: {NAME}".encode(), {}, 422),
        (of_dicom(23, odd)[:2000], {}, 422),
        (of_dicom(24, odd), {"timezone": NAME}, 400),
        (of_dicom(24, odd), {"acquired_at": NAME}, 400),
        (of_dicom(24, odd), {"urgency": NAME}, 400),
        (b"", {"patient_id": odd}, 400),
    ]


def broken_records() -> list[tuple[str, bytes]]:
    """Topic and value of records that nobody can take, with an identifier in the broken bytes."""
    ecg = recorded(9, PATIENT_IDS[1])
    samples = ecg.samples.tobytes()
    text = f'{{"patient_id": "{PATIENT_IDS[0]}", "name": "{NAME}"}}'.encode()
    topics = (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK, ECG_ALERT, CARE_AUDIT, *FEED_TOPICS)
    return [
        *((topic, text) for topic in topics),
        (ECG_RECORDED, _encoded(ecg)[: -len(samples) // 2]),
        (ECG_RECORDED, _encoded(ecg, ecg_id=PATIENT_IDS[1])),
        (ECG_RECORDED, _encoded(ecg, lead_names=[PATIENT_IDS[2]] * 12)),
        (ECG_RECORDED, _encoded(ecg, lead_names=[f"{PATIENT_IDS[2]}{n}" for n in range(12)])),
        (ECG_RECORDED, _encoded(ecg, sample_rate_hz=1e9)),
        (ECG_RECORDED, _encoded(ecg, patient_id=PATIENT_IDS[4] * 20)),
        (ECG_RECORDED, _encoded(ecg, acquired_zone=PATIENT_IDS[3], source_uid=PATIENT_IDS[3] * 20)),
        (ECG_RISK, CODEC.encode(risks(PATIENT_IDS[0], _SINCE)[0])[:-9] + text),
    ]


def _encoded(ecg: EcgRecorded, **wrong: Any) -> bytes:
    """Encode what :class:`EcgRecorded` itself would refuse to hold."""
    body = BytesIO()
    body.write(schema_id_prefix(FileRegistry().id_of(EcgRecorded)))
    schemaless_writer(body, current_schema("EcgRecorded"), {**to_plain(ecg), **wrong})
    return body.getvalue()


def risks(patient_id: str, now: datetime) -> list[RiskAssessed]:
    """Two days of assessments of a patient, the last a moment old: LOW, then HIGH."""
    probabilities = (0.1, 0.1, 0.9, 0.92)
    return [
        replace(
            assessed(n, probability, hour=n, patient_id=patient_id),
            ecg_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{patient_id} {n}")),
            acquired_at=now - timedelta(hours=12 * (3 - n), minutes=2),
            published_at=now - timedelta(hours=12 * (3 - n), minutes=1),
            assessed_at=now - timedelta(hours=12 * (3 - n), minutes=1),
        )
        for n, probability in enumerate(probabilities)
    ]


def alert(patient_id: str, now: datetime) -> AlertRaised:
    """An alert of a moment ago."""
    return alert_of(
        77,
        patient_id=patient_id,
        acquired_at=now - timedelta(minutes=3),
        probability=0.9,
        probability_low=None,
        probability_high=None,
    )
