"""EcgRecorded → EcgFeaturized: judged, measured, and brought to the model's input."""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Final

import numpy as np

from models.examination import Examined, examine
from models.quality import Finding, Reason
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.recorded import EcgRecorded
from streams.stage import Received

#: How far a cart's clock may run ahead of Kafka's. Clocks set by hand drift by some minutes a year; a wrong
#: time zone is at least 15 minutes off, and mostly hours.
CLOCK_SKEW: Final = timedelta(minutes=10)

#: ECGs with the same rate, length and lead names are worked on as one array.
_Shape = tuple[float, int, tuple[str, ...]]


class UnreadableSamplesError(PoisonError):
    """The samples contradict their own description; the sender must export the ECG anew."""

    code: ClassVar[str] = "UNREADABLE_SAMPLES"


def featurize(batch: Sequence[Received[EcgRecorded]]) -> list[EcgFeaturized | PoisonError]:
    """Featurize a batch: one result for each record, in order.

    An ECG that is too short, of an unsupported rate, or bad in any of the ways of :mod:`models.quality` is a
    result too, not acceptable and with its reasons. Only a record whose samples contradict their description
    is an error, for the caller to dead-letter.

    Replay gives the same results, and no result depends on what else is in the batch.
    """
    results: list[EcgFeaturized | PoisonError | None] = [_contradiction(each.record) for each in batch]
    alike: defaultdict[_Shape, list[int]] = defaultdict(list)
    for i, each in enumerate(batch):
        if results[i] is None:
            record = each.record
            alike[record.sample_rate_hz, record.samples.shape[1], record.lead_names].append(i)
    for members in alike.values():
        for i, examined in zip(members, _examine([batch[i] for i in members]), strict=True):
            results[i] = _featurized(batch[i], examined)
    return [result for result in results if result is not None]


def _contradiction(record: EcgRecorded) -> UnreadableSamplesError | None:
    if record.samples.ndim != 2 or record.samples.shape[0] != len(record.lead_names):
        return UnreadableSamplesError(
            f"samples of shape {record.samples.shape} for {len(record.lead_names)} lead names: "
            "send one row of samples for each lead name"
        )
    if not (math.isfinite(record.uv_per_unit) and record.uv_per_unit > 0):
        return UnreadableSamplesError(f"{record.uv_per_unit} µV per unit: send a positive number")
    return None


def _examine(alike: Sequence[Received[EcgRecorded]]) -> list[Examined]:
    records = [received.record for received in alike]
    first = records[0]
    return examine(
        np.stack([record.samples for record in records]),  # (n_ecgs, n_rows, n_samples)
        sample_rate_hz=first.sample_rate_hz,
        lead_names=first.lead_names,
        uv_per_unit=np.array([record.uv_per_unit for record in records]),
        stated=[_stated(received) for received in alike],
    )


def _stated(received: Received[EcgRecorded]) -> list[Finding]:
    """Gather what is known beside the samples.

    An ECG dated ahead of its publication would be its patient's newest until that date, and every true one
    until then would move nothing: it is shown, not scored.
    """
    record = received.record
    found: list[Finding] = [(Reason.PACED, "")] if record.has_pacemaker else []
    if record.acquired_at > received.published_at + CLOCK_SKEW:
        found.append((Reason.ACQUIRED_IN_FUTURE, ""))
    return found


def _featurized(received: Received[EcgRecorded], examined: Examined) -> EcgFeaturized:
    record = received.record
    return EcgFeaturized(
        ecg_id=record.ecg_id,
        patient_id=record.patient_id,
        acquired_at=record.acquired_at,
        published_at=received.published_at,
        quality=examined.quality,
        measurements=examined.measurements,
        model_input_uv=examined.model_input_uv,
        median_beat_uv=examined.median_beat_uv,
        r_peaks=examined.r_peaks,
        site_id=record.site_id,
        ward_id=record.ward_id,
        device_id=record.device_id,
        age_years=record.age_years,
        sex=record.sex,
        has_pacemaker=record.has_pacemaker,
        urgency=record.urgency,
    )
