"""Deterministic ids: doing anything twice yields the same id, so it changes nothing."""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

#: Namespace of all ids of Diastole: UUIDv5 of the DNS namespace and this name. Changing it changes every id.
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "diastole.ecg")


def _id(kind: str, *parts: str) -> str:
    # Length-prefixed, so that ("a", "bc") and ("ab", "c") differ.
    name = kind + "".join(f"|{len(part)}:{part}" for part in parts)
    return str(uuid.uuid5(NAMESPACE, name))


def ecg_id(*, source_uid: str, patient_id: str, acquired_at: datetime, samples: npt.NDArray[np.int16]) -> str:
    """Id of one ECG: of the source's own UID where there is one, else of patient, time and samples.

    Parameters
    ----------
    source_uid : str
        The UID the source gave it (DICOM SOP Instance UID, aECG id); empty when it gave none.
    acquired_at : datetime
        Aware; converted to UTC, so the same instant in any zone gives the same id.
    samples : numpy.ndarray
        int16, (n_leads, n_samples).
    """
    if source_uid:
        return _id("ecg", source_uid)
    digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
    return _id("ecg", patient_id, acquired_at.astimezone(UTC).isoformat(timespec="microseconds"), digest)


def quarantine_id(*, feed: str, source: str, digest: str, claims: Sequence[str] = ()) -> str:
    """Id of a delivery that was not accepted: the same bytes from the same source are the same delivery.

    Parameters
    ----------
    digest : str
        Of the document with all its files.
    claims : sequence of str
        What the message that brought the document says of it and the document does not, such as the patient:
        the same document under another patient's name is another delivery.
    """
    return _id("quarantine", feed, source, digest, *claims)


def act_id(*, quarantine_id: str, verb: str, occasion: str) -> str:
    """Id of an act on a quarantined delivery: doing it again on the same occasion is the same act."""
    return _id("quarantine-act", quarantine_id, verb, occasion)


def alert_id(*, policy_version: str, patient_id: str, episode_ecg_id: str, kind: str) -> str:
    """Id of one alert: an episode raises each kind of alert at most once."""
    return _id("alert", policy_version, patient_id, episode_ecg_id, kind)


def alarm_id(*, kind: str, source: str, started_at: datetime) -> str:
    """Id of one technical alarm."""
    return _id("alarm", kind, source, started_at.astimezone(UTC).isoformat(timespec="microseconds"))


def action_id(
    *, verb: str, alert_id: str, actor: str, level: int = 0, channel: str = "", at: str = ""
) -> str:
    """Id of one act on an alert; what the system does by itself is the same act whenever it is done again.

    Parameters
    ----------
    at : str
        What tells a person's repeated acts apart (the request's idempotency key); empty for the system's own.
    """
    return _id("action", verb, alert_id, actor, str(level), channel, at)


def subject_id(*, scope: str, subject: str, site_id: str = "") -> str:
    """Id under which acts on a patient, a ward or a site are kept.

    Parameters
    ----------
    site_id : str
        Of a ward: of which site; empty: the wards of that name at every site.
    """
    return _id("subject", scope, subject, *([site_id] if site_id else []))
