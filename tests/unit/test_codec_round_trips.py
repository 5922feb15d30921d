"""Whatever a record may hold comes back as it was."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.alert import (
    AlarmKind,
    AlertClosed,
    AlertKind,
    AlertRaised,
    CloseReason,
    Priority,
    TechnicalAlarm,
)
from schemas.audit import CareAction, CareVerb
from schemas.codec import Codec
from schemas.featurized import EcgFeaturized, Measurements, Quality, StageTiming
from schemas.recorded import EcgRecorded, Sex, Urgency
from schemas.registry import FileRegistry
from schemas.risk import Contribution, Motion, Phenotype, RiskAssessed

CODEC = Codec(FileRegistry())

UUIDS = st.uuids().map(str)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 hypothesis adds the zone
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FRACTIONS = st.floats(0, 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)
PATIENTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=128)
MAYBE_NUMBERS = st.none() | NUMBERS
WHERE = {"site_id": TEXTS, "ward_id": TEXTS}
WHO = {
    **WHERE,
    "device_id": TEXTS,
    "age_years": st.none() | st.floats(0, 130),
    "sex": st.sampled_from(Sex),
    "urgency": st.sampled_from(Urgency),
}

MEASUREMENTS = st.builds(
    Measurements, **{field.name: st.none() | st.floats(0, 100) for field in fields(Measurements)}
)
CONTRIBUTIONS = st.lists(st.builds(Contribution, name=NAMES, log_odds=NUMBERS), max_size=3).map(tuple)
REASONS = st.lists(NAMES, max_size=3).map(tuple)
TIMINGS = st.lists(
    st.builds(
        StageTiming,
        stage=NAMES,
        queue_ms=st.floats(0, 1e9),
        work_ms=st.floats(0, 1e9),
        batch_size=st.integers(1, 1000),
    ),
    max_size=3,
).map(tuple)
VELOCITIES = hnp.arrays(
    np.float32, (2, 128), elements=st.floats(-30, 30, width=32), fill=st.just(np.float32(0.5))
)
MOTIONS = st.none() | st.builds(
    Motion,
    velocities_cm_s=VELOCITIES,
    s_prime_septal_cm_s=MAYBE_NUMBERS,
    a_prime_lateral_cm_s=MAYBE_NUMBERS,
    e_over_a=MAYBE_NUMBERS,
    ivrt_ms=st.none() | st.floats(0, 1e4),
    e_prime_lateral_sd_cm_s=st.none() | st.floats(0, 100),
)
STRIPS = st.none() | hnp.arrays(np.int16, 1250, elements=st.integers(-(2**15), 2**15 - 1), fill=st.just(-1))


@st.composite
def recorded(draw: st.DrawFn) -> EcgRecorded:
    lead_names = tuple(draw(st.lists(NAMES, min_size=1, max_size=16, unique=True)))
    n_samples = draw(st.integers(1, 50))
    return EcgRecorded(
        ecg_id=draw(UUIDS),
        patient_id=draw(PATIENTS),
        acquired_at=draw(TIMES),
        sample_rate_hz=draw(st.floats(50, 4000)),
        lead_names=lead_names,
        uv_per_unit=draw(st.floats(1e-3, 1000)),
        samples=draw(hnp.arrays(np.int16, (len(lead_names), n_samples))),
        has_pacemaker=draw(st.none() | st.booleans()),
        source_uid=draw(TEXTS),
        **{name: draw(strategy) for name, strategy in WHO.items()},
    )


@st.composite
def featurized(draw: st.DrawFn) -> EcgFeaturized:
    acceptable = draw(st.booleans())
    has_beat = acceptable and draw(st.booleans())
    elements = {"elements": st.integers(-(2**15), 2**15 - 1), "fill": st.just(7)}
    return EcgFeaturized(
        ecg_id=draw(UUIDS),
        patient_id=draw(PATIENTS),
        acquired_at=draw(TIMES),
        published_at=draw(TIMES),
        quality=Quality(acceptable=acceptable, score=draw(FRACTIONS), reasons=draw(REASONS)),
        measurements=draw(MEASUREMENTS),
        model_input_uv=draw(hnp.arrays(np.int16, (8, 5000), **elements)) if acceptable else None,
        median_beat_uv=draw(hnp.arrays(np.int16, (8, 550), **elements)) if has_beat else None,
        r_peaks=tuple(draw(st.lists(st.integers(0, 4999), max_size=5))),
        has_pacemaker=draw(st.none() | st.booleans()),
        timings=draw(TIMINGS),
        **{name: draw(strategy) for name, strategy in WHO.items()},
    )


@st.composite
def interval(draw: st.DrawFn) -> dict[str, float | None]:
    low, probability, high = sorted(draw(st.tuples(FRACTIONS, FRACTIONS, FRACTIONS)))
    if draw(st.booleans()):
        return {"probability": probability, "probability_low": None, "probability_high": None}
    return {"probability": probability, "probability_low": low, "probability_high": high}


@st.composite
def assessed(draw: st.DrawFn) -> RiskAssessed:
    phenotype = draw(st.sampled_from(Phenotype))
    unscored = phenotype is Phenotype.NOT_SCORED
    answer: dict[str, Any] = {"not_scored_reasons": ("TOO_SHORT",)} if unscored else draw(interval())
    return RiskAssessed(
        ecg_id=draw(UUIDS),
        patient_id=draw(PATIENTS),
        acquired_at=draw(TIMES),
        published_at=draw(TIMES),
        assessed_at=draw(TIMES),
        phenotype=phenotype,
        bundle_version=draw(TEXTS),
        bundle_sha256=draw(TEXTS),
        quality=Quality(acceptable=not unscored, score=draw(FRACTIONS)),
        measurements=draw(MEASUREMENTS),
        not_for_text=draw(TEXTS),
        contributions=draw(CONTRIBUTIONS),
        motion=draw(MOTIONS),
        rhythm_strip_uv=draw(STRIPS),
        timings=draw(TIMINGS),
        **answer,
        **{name: draw(strategy) for name, strategy in WHO.items()},
    )


@st.composite
def raised(draw: st.DrawFn) -> AlertRaised:
    before: dict[str, Any] = {}
    if draw(st.booleans()):
        before = {
            "probability_before": draw(FRACTIONS),
            "before_ecg_id": draw(UUIDS),
            "before_acquired_at": draw(TIMES),
        }
    return AlertRaised(
        alert_id=draw(UUIDS),
        kind=draw(st.sampled_from(AlertKind)),
        patient_id=draw(PATIENTS),
        episode_ecg_id=draw(UUIDS),
        ecg_id=draw(UUIDS),
        acquired_at=draw(TIMES),
        assessed_at=draw(TIMES),
        published_at=draw(TIMES),
        first_seen=draw(st.booleans()),
        policy_version=draw(TEXTS),
        bundle_version=draw(TEXTS),
        bundle_sha256=draw(TEXTS),
        change_text=draw(TEXTS),
        not_for_text=draw(TEXTS),
        quality=Quality(acceptable=True, score=draw(FRACTIONS), reasons=draw(REASONS)),
        measurements=draw(MEASUREMENTS),
        contributions=draw(CONTRIBUTIONS),
        motion=draw(MOTIONS),
        rhythm_strip_uv=draw(STRIPS),
        **draw(interval()),  # type: ignore[arg-type]
        **before,
        **{name: draw(strategy) for name, strategy in WHERE.items()},
    )


CLOSED = st.builds(
    AlertClosed,
    alert_id=UUIDS,
    patient_id=PATIENTS,
    ecg_id=UUIDS,
    acquired_at=TIMES,
    reason=st.sampled_from(CloseReason),
    probability=FRACTIONS,
    policy_version=TEXTS,
    **WHERE,
)
ALARMS = st.builds(
    TechnicalAlarm,
    alarm_id=UUIDS,
    kind=st.sampled_from(AlarmKind),
    priority=st.sampled_from(Priority),
    source=NAMES,
    started_at=TIMES,
    message=TEXTS,
    action_text=TEXTS,
)
ACTIONS = st.builds(
    CareAction,
    action_id=UUIDS,
    alert_id=UUIDS,
    verb=st.sampled_from(CareVerb),
    actor=NAMES,
    acted_at=TIMES,
    origin=TEXTS,
    reason=TEXTS,
)


def plainly(held: Any) -> Any:
    if is_dataclass(held):
        return {field.name: plainly(getattr(held, field.name)) for field in fields(held)}
    if isinstance(held, np.ndarray):
        return held.dtype.name, held.shape, held.tobytes()
    if isinstance(held, tuple):
        return tuple(plainly(each) for each in held)
    return type(held), held


@given(record=st.one_of(recorded(), featurized(), assessed(), raised(), CLOSED, ALARMS, ACTIONS))
def test_a_record_comes_back_as_it_was_and_encodes_to_the_same_bytes(record: Any) -> None:
    payload = CODEC.encode(record)
    back: Any = CODEC.decode(payload, type(record))
    assert plainly(back) == plainly(record)
    assert CODEC.encode(back) == payload


@pytest.mark.parametrize("layout", ["columns first", "every other", "big endian copy"])
def test_samples_of_any_memory_layout_are_written_row_by_row(layout: str) -> None:
    rows = np.arange(24, dtype=np.int16).reshape(2, 12)
    samples = {
        "columns first": np.asfortranarray(rows),
        "every other": np.repeat(rows, 2, axis=1)[:, ::2],
        "big endian copy": rows.astype(">i2").astype(np.int16),
    }[layout]
    ecg = EcgRecorded(
        ecg_id="8d6c0b0e-1f7e-5c0a-9a51-5d2a4b8f1c01",
        patient_id="p",
        acquired_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=1),
        sample_rate_hz=500,
        lead_names=("I", "II"),
        uv_per_unit=1,
        samples=samples,
    )
    np.testing.assert_array_equal(CODEC.decode(CODEC.encode(ecg), EcgRecorded).samples, rows)
