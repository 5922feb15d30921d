"""ECGs that raised alerts as a folder ``diastole train --alerted`` reads (docs/paired-cohort.md)."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from models.cohorts.paired_writer import write_paired
from models.cohorts.rows import LABEL, CohortEcg
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from streams.access import Broker
from streams.adapters.kafka_follower import open_follower
from streams.deliver.labels import EcgLabel, Joined, LabelsError, join_labels
from streams.topology import ECG_RECORDED

#: What the key of patients is derived for (:meth:`streams.feeds.sealing.Secret.derive`).
PURPOSE: Final = "patients of alerted ECGs"

#: 128 bits tell all patients apart and fit ``patient_key``.
_PATIENT_KEY_HEX_DIGITS: Final = 32
_LEAST_SALT_BYTES: Final = 16

#: What ``cohort.json`` says the rows are.
_NAME: Final = "ECGs that raised alerts"
_NOTES: Final = "Labels come from what became of the alerts; ECGs that raised none are not here."


async def recorded_ecgs(
    broker: Broker, codec: Codec, ecg_ids: Collection[str], *, budget_s: float = 600.0
) -> list[EcgRecorded]:
    """Read those ECGs off ``ecg.recorded.v1``, each once, in the order of ``ecg_id``.

    It joins no consumer group and changes nothing. What the topic keeps no longer is not among them. An ECG
    takes about 120 kB, so a thousand need 120 MB.

    Raises
    ------
    TopicBehindError
        When no broker answers, or the end is not reached in the budget.
    ConfigurationError
        When there is no such topic.
    """
    found: dict[str, EcgRecorded] = {}

    def take(message: Any) -> None:
        try:
            ecg = codec.decode(message.value or b"", EcgRecorded, headers=tuple(message.headers))
        except PoisonError:
            return  # a stage parks it as a dead letter, and it has raised no alert
        if ecg.ecg_id in ecg_ids:
            found.setdefault(ecg.ecg_id, ecg)

    async with open_follower(broker, ECG_RECORDED, take, budget_s):
        return [found[ecg_id] for ecg_id in sorted(found)]


def write_alerted(
    folder: Path, ecgs: Iterable[EcgRecorded], labels: Iterable[EcgLabel], *, salt: bytes, is_simulated: bool
) -> Joined:
    """Write ECGs as a paired cohort, with the labels that are known; ``key`` is the ``ecg_id``.

    Those without a label have a blank one, which :func:`streams.deliver.labels.join_labels` fills in later.

    Parameters
    ----------
    folder : pathlib.Path
        New or empty.
    ecgs : iterable of EcgRecorded
        Each once.
    salt : bytes
        As :func:`patient_key`.

    Raises
    ------
    LabelsError
        When the salt is too short.
    CohortError
        When the folder holds files, or there is no ECG.
    """
    rows = _rows(ecgs, salt)
    write_paired(folder, rows, name=_NAME, is_simulated=is_simulated, notes=_NOTES)
    return join_labels(folder, labels)


def patient_key(patient_id: str, salt: bytes) -> str:
    """Name a patient so that only who holds the salt can tell who it is; the same in every folder.

    Parameters
    ----------
    salt : bytes
        16 random bytes or more.

    Raises
    ------
    LabelsError
        When the salt is shorter: patients could be found by trying all numbers.
    """
    if len(salt) < _LEAST_SALT_BYTES:
        raise LabelsError(f"a salt of {len(salt)} bytes hides nobody; use {_LEAST_SALT_BYTES} random ones")
    return hashlib.blake2b(patient_id.encode(), key=salt[:64]).hexdigest()[:_PATIENT_KEY_HEX_DIGITS]


def _rows(ecgs: Iterable[EcgRecorded], salt: bytes) -> Iterator[CohortEcg]:
    for ecg in ecgs:
        yield CohortEcg(
            key=ecg.ecg_id,
            patient_key=patient_key(ecg.patient_id, salt),
            samples=ecg.samples,
            sample_rate_hz=ecg.sample_rate_hz,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit,
            age_years=ecg.age_years,
            sex=ecg.sex,
            centre=ecg.site_id,
            # Filled in by join_labels, with by whom and when beside it, so that a newer one replaces it.
            outcomes={LABEL: float("nan")},
        )
