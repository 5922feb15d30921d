"""A record that contradicts itself or the world cannot be built."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.alert import AlertClosed, AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.codec import RECORD_TYPES, Codec
from schemas.errors import InvalidRecordError
from schemas.featurized import EcgFeaturized, Measurements, Quality, StageTiming
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry, newest_version
from schemas.risk import Contribution, Motion, Phenotype, RiskAssessed

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
NAN, INF = float("nan"), float("inf")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 naive on purpose
ELSEWHERE = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
ANCIENT = datetime(1, 1, 1, tzinfo=UTC)


def example(record_type: type) -> Any:
    name = record_type.__name__
    payload = bytes.fromhex((GOLDEN / f"{name}.{newest_version(name)}.hex").read_text())
    return Codec(FileRegistry()).decode(payload, record_type)


SAMPLES = np.zeros((12, 10), np.int16)
UNUSABLE = Quality(acceptable=False, score=0)
BROKEN: list[tuple[type, dict[str, Any], str]] = [
    (EcgRecorded, {"ecg_id": "not-a-uuid"}, "ecg_id"),
    (EcgRecorded, {"ecg_id": "8D6C0B0E-1F7E-5C0A-9A51-5D2A4B8F1C01"}, "ecg_id"),
    (EcgRecorded, {"patient_id": ""}, "patient_id"),
    (EcgRecorded, {"patient_id": "  "}, "patient_id"),
    (EcgRecorded, {"patient_id": "a\nb"}, "patient_id"),
    (EcgRecorded, {"patient_id": "x" * 129}, "patient_id"),
    (EcgRecorded, {"acquired_at": NAIVE}, "acquired_at"),
    (EcgRecorded, {"acquired_at": ELSEWHERE}, "acquired_at"),
    (EcgRecorded, {"acquired_at": ANCIENT}, "acquired_at"),
    (EcgRecorded, {"sample_rate_hz": 49.9}, "sample_rate_hz"),
    (EcgRecorded, {"sample_rate_hz": 4001}, "sample_rate_hz"),
    (EcgRecorded, {"sample_rate_hz": NAN}, "sample_rate_hz"),
    (EcgRecorded, {"sample_rate_hz": np.float32(500)}, "sample_rate_hz"),
    (EcgRecorded, {"uv_per_unit": 0}, "uv_per_unit"),
    (EcgRecorded, {"uv_per_unit": -1.0}, "uv_per_unit"),
    (EcgRecorded, {"uv_per_unit": 1001}, "uv_per_unit"),
    (EcgRecorded, {"uv_per_unit": INF}, "uv_per_unit"),
    (EcgRecorded, {"age_years": -1}, "age_years"),
    (EcgRecorded, {"age_years": 131}, "age_years"),
    (EcgRecorded, {"ward_id": "w" * 257}, "ward_id"),
    (EcgRecorded, {"source_uid": "\ud800"}, "source_uid"),
    (EcgRecorded, {"lead_names": ()}, "lead_names"),
    (EcgRecorded, {"lead_names": ("I",) * 12}, "lead_names"),
    (EcgRecorded, {"lead_names": tuple("ABCDEFGHIJKLMNOPQ")}, "lead_names"),
    (EcgRecorded, {"lead_names": ("", *"ABCDEFGHIJK")}, "lead_names"),
    (EcgRecorded, {"lead_names": ("x" * 17, *"ABCDEFGHIJK")}, "lead_names"),
    (EcgRecorded, {"samples": SAMPLES[:11]}, "samples"),
    (EcgRecorded, {"samples": SAMPLES[0]}, "samples"),
    (EcgRecorded, {"samples": SAMPLES[:, :0]}, "samples"),
    (EcgRecorded, {"samples": SAMPLES.astype(np.int32)}, "samples"),
    (EcgRecorded, {"samples": np.zeros((12, 333_334), np.int16)}, "samples"),
    (EcgFeaturized, {"model_input_uv": None}, "model_input_uv"),
    (EcgFeaturized, {"model_input_uv": np.zeros((12, 5000), np.int16)}, "model_input_uv"),
    (EcgFeaturized, {"quality": Quality(acceptable=False, score=0)}, "model_input_uv"),
    (EcgFeaturized, {"quality": UNUSABLE, "model_input_uv": None}, "median_beat_uv"),
    (EcgFeaturized, {"median_beat_uv": np.zeros((8, 551), np.int16)}, "median_beat_uv"),
    (EcgFeaturized, {"median_beat_uv": np.zeros((8, 550), np.float32)}, "median_beat_uv"),
    (EcgFeaturized, {"r_peaks": (5000,)}, "r_peaks"),
    (EcgFeaturized, {"r_peaks": (-1, 4)}, "r_peaks"),
    (EcgFeaturized, {"published_at": NAIVE}, "published_at"),
    (RiskAssessed, {"phenotype": Phenotype.NOT_SCORED}, "probability"),
    (RiskAssessed, {"probability": None}, "probability"),
    (RiskAssessed, {"probability": 1.01, "probability_high": None, "probability_low": None}, "probability"),
    (RiskAssessed, {"probability": NAN}, "probability"),
    (RiskAssessed, {"probability_low": None}, "probability_low"),
    (RiskAssessed, {"probability_low": 0.74}, "probability_low"),
    (RiskAssessed, {"probability_high": 0.7}, "probability_high"),
    (RiskAssessed, {"not_scored_reasons": ("TOO_SHORT",)}, "not_scored_reasons"),
    (RiskAssessed, {"rhythm_strip_uv": np.zeros(1249, np.int16)}, "rhythm_strip_uv"),
    (RiskAssessed, {"assessed_at": ELSEWHERE}, "assessed_at"),
    (AlertRaised, {"alert_id": "x"}, "alert_id"),
    (AlertRaised, {"before_ecg_id": "x"}, "before_ecg_id"),
    (AlertRaised, {"before_ecg_id": None}, "before_ecg_id"),
    (AlertRaised, {"probability_before": 2}, "probability_before"),
    (AlertRaised, {"before_acquired_at": NAIVE}, "before_acquired_at"),
    (AlertRaised, {"change_text": "x" * 10_001}, "change_text"),
    (AlertClosed, {"probability": -0.1}, "probability"),
    (AlertClosed, {"patient_id": ""}, "patient_id"),
    (TechnicalAlarm, {"source": ""}, "source"),
    (TechnicalAlarm, {"started_at": NAIVE}, "started_at"),
    (CareAction, {"actor": ""}, "actor"),
    (CareAction, {"acted_at": NAIVE}, "acted_at"),
]


@pytest.mark.parametrize("record_type", RECORD_TYPES.values(), ids=lambda record_type: record_type.__name__)
def test_the_examples_are_lawful_to_begin_with(record_type: type) -> None:
    assert type(replace(example(record_type))) is record_type


@pytest.mark.parametrize(
    ("record_type", "change", "field"),
    BROKEN,
    ids=[f"{kind.__name__} {change}"[:60] for kind, change, _ in BROKEN],
)
def test_a_broken_record_is_refused_by_naming_the_field(
    record_type: type, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRecordError, match=field):
        replace(example(record_type), **change)


@pytest.mark.parametrize("score", [-0.1, 1.1, NAN, INF])
def test_a_quality_score_lies_between_0_and_1(score: float) -> None:
    with pytest.raises(InvalidRecordError, match="score"):
        Quality(acceptable=True, score=score)


@pytest.mark.parametrize("name", [field.name for field in fields(Measurements)])
@pytest.mark.parametrize("number", [NAN, INF, np.float32(1), 1e308, -1e308, 1e6])
def test_a_measurement_is_a_number_an_ecg_can_show_or_absent(name: str, number: float) -> None:
    with pytest.raises(InvalidRecordError, match=name):
        Measurements(**{name: number})


@pytest.mark.parametrize(
    "lawful", [{"heart_rate_bpm": 1000.0}, {"pr_ms": 0.0}, {"t_axis_deg": -180.0}, {"s_v3_mv": -32.7}]
)
def test_the_bounds_of_a_measurement_are_wider_than_any_ecg(lawful: dict[str, float]) -> None:
    assert Measurements(**lawful)


def test_curves_have_their_shape_and_no_gaps() -> None:
    with pytest.raises(InvalidRecordError, match="velocities"):
        Motion(velocities_cm_s=np.zeros((128, 2), np.float32))
    with pytest.raises(InvalidRecordError, match="velocities"):
        Motion(velocities_cm_s=np.full((2, 128), np.nan, np.float32))
    with pytest.raises(InvalidRecordError, match="a_prime"):
        Motion(velocities_cm_s=np.zeros((2, 128), np.float32), a_prime_lateral_cm_s=NAN)


MOTION_NUMBERS = [field.name for field in fields(Motion) if field.name != "velocities_cm_s"]


@pytest.mark.parametrize("name", MOTION_NUMBERS)
@pytest.mark.parametrize("number", [NAN, INF, np.float32(1)])
def test_a_measurement_of_motion_is_a_number_or_absent(name: str, number: float) -> None:
    with pytest.raises(InvalidRecordError, match=name):
        Motion(velocities_cm_s=np.zeros((2, 128), np.float32), **{name: number})


@pytest.mark.parametrize("name", [name for name in MOTION_NUMBERS if name.endswith(("_sd_cm_s", "_ms"))])
def test_a_spread_or_duration_of_motion_is_not_negative(name: str) -> None:
    with pytest.raises(InvalidRecordError, match=name):
        Motion(velocities_cm_s=np.zeros((2, 128), np.float32), **{name: -0.1})


def test_an_ecg_without_a_whole_beat_is_lawful() -> None:
    assert replace(example(EcgFeaturized), median_beat_uv=None).model_input_uv is not None


def test_parts_are_refused_too() -> None:
    with pytest.raises(InvalidRecordError, match="log_odds"):
        Contribution(name="age", log_odds=INF)
    with pytest.raises(InvalidRecordError, match="batch_size"):
        StageTiming(stage="infer", queue_ms=0, work_ms=0, batch_size=0)
    with pytest.raises(InvalidRecordError, match="queue_ms"):
        StageTiming(stage="infer", queue_ms=-1, work_ms=0, batch_size=1)


def test_the_array_of_a_record_cannot_be_written_to_but_the_builders_own_can() -> None:
    samples = np.zeros((12, 10), np.int16)
    ecg = replace(example(EcgRecorded), samples=samples)
    assert not ecg.samples.flags.writeable
    assert np.shares_memory(ecg.samples, samples)
    assert samples.flags.writeable


@pytest.mark.parametrize("rate_hz", [50, 99, 2500, 4000])
def test_rates_that_featurize_must_answer_for_are_lawful(rate_hz: float) -> None:
    assert replace(example(EcgRecorded), sample_rate_hz=rate_hz).sample_rate_hz == rate_hz
