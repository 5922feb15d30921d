"""What of an assessment enters the risk history, and its bytes."""

import uuid
from dataclasses import replace
from datetime import UTC
from types import SimpleNamespace

import pytest
from assessments import START, assessed, moving, nth_ecg_id
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from schemas.featurized import Measurements
from schemas.recorded import Sex
from schemas.risk import Phenotype, RiskAssessed
from streams.bisection import run_bisecting
from streams.history import EncodedPoint, HistoryLimits, HistoryPoint, Place, history_point, history_points
from streams.history_encoding import (
    decode_place,
    decode_point,
    encode_body,
    encode_name,
    encoded_points,
    instant,
)
from streams.stage import Received

TEN_THOUSANDTHS = st.none() | st.integers(0, 10_000).map(lambda number: number / 10_000)
HUNDREDTHS = st.none() | st.integers(0, 3_000).map(lambda number: number / 100)
TENTHS = st.none() | st.integers(0, 30_000).map(lambda number: number / 10)
POINTS = st.builds(
    HistoryPoint,
    patient_id=st.just("P-1"),
    ecg_id=st.uuids().map(str),
    bundle_version=st.text(max_size=20),
    acquired_at=st.datetimes(timezones=st.just(UTC)),
    phenotype=st.sampled_from(Phenotype),
    probability=TEN_THOUSANDTHS,
    probability_low=TEN_THOUSANDTHS,
    probability_high=TEN_THOUSANDTHS,
    not_scored_reasons=st.lists(st.sampled_from(["PACED", "LEAD_OFF:V3", "ÜBER"]), max_size=3).map(tuple),
    quality_score=st.integers(0, 100).map(lambda number: number / 100),
    heart_rate_bpm=TENTHS,
    pr_ms=TENTHS,
    qrs_ms=TENTHS,
    qtc_ms=TENTHS,
    e_prime_cm_s=HUNDREDTHS,
    e_over_a=HUNDREDTHS,
)


def test_a_scored_assessment_keeps_risk_interval_quality_and_measurements() -> None:
    measurements = Measurements(heart_rate_bpm=71.3, pr_ms=160.0, qrs_ms=92.0, qtc_ms=431.0)
    point = history_point(assessed(1, 0.31, measurements=measurements))
    assert point == HistoryPoint(
        patient_id="P-1",
        ecg_id=nth_ecg_id(1),
        bundle_version="b1",
        acquired_at=START.replace(hour=13),
        phenotype=Phenotype.LOW,
        probability=0.31,
        quality_score=0.9,
        heart_rate_bpm=71.3,
        pr_ms=160.0,
        qrs_ms=92.0,
        qtc_ms=431.0,
    )


def test_motion_is_kept_as_the_mean_early_velocity_and_its_ratio_to_the_late_one() -> None:
    point = history_point(assessed(1, 0.31, motion=moving(7.5, 0.75)))
    assert (point.e_prime_cm_s, point.e_over_a) == (7.5, 0.75)


def test_in_atrial_fibrillation_there_is_no_ratio() -> None:
    point = history_point(assessed(1, 0.31, motion=moving(7.5, None)))
    assert (point.e_prime_cm_s, point.e_over_a) == (7.5, None)
    read = decode_point("P-1", point.acquired_at, encode_name(point), encode_body(point))
    assert (read.e_prime_cm_s, read.e_over_a) == (7.5, None)


def test_one_wall_alone_gives_no_mean_velocity() -> None:
    motion = replace(moving(7.5), e_prime_lateral_cm_s=None)
    assert history_point(assessed(1, 0.31, motion=motion)).e_prime_cm_s is None


def test_not_scored_is_kept_with_its_reasons_and_without_a_number() -> None:
    point = history_point(assessed(1, None, reasons=("LEAD_OFF:V3", "NOISE")))
    assert (point.phenotype, point.probability) == (Phenotype.NOT_SCORED, None)
    assert point.not_scored_reasons == ("LEAD_OFF:V3", "NOISE")


def test_a_batch_gives_one_point_per_assessment_in_order() -> None:
    risks = [assessed(2, 0.1), assessed(1, None), assessed(2, 0.1)]
    batch = [Received(record=risk, published_at=risk.published_at) for risk in risks]
    assert [point.ecg_id for point in history_points(batch)] == [nth_ecg_id(n) for n in (2, 1, 2)]


@given(POINTS)
def test_bytes_give_the_point_back(point: HistoryPoint) -> None:
    read = decode_point(point.patient_id, point.acquired_at, encode_name(point), encode_body(point))
    assert read == point


def test_not_scored_is_never_read_back_as_zero_risk() -> None:
    point = history_point(assessed(1, None))
    read = decode_point("P-1", point.acquired_at, encode_name(point), encode_body(point))
    assert (read.probability, read.probability_low, read.probability_high) == (None, None, None)


def test_a_risk_of_zero_is_read_back_as_zero_and_not_as_none() -> None:
    point = history_point(assessed(1, 0.0))
    assert decode_point("P-1", point.acquired_at, encode_name(point), encode_body(point)).probability == 0.0


def test_a_scored_point_without_its_name_takes_21_bytes() -> None:
    assert len(encode_body(history_point(assessed(1, 0.31)))) == 21


@pytest.mark.parametrize(
    ("odd", "kept"),
    [(float("nan"), None), (float("inf"), None), (1e308, 6553.4), (-1e308, 0.0), (6553.5, 6553.4)],
)
def test_whatever_a_measurement_is_the_point_can_be_kept(odd: float, kept: float | None) -> None:
    fields = {"patient_id": "P-1", "ecg_id": str(uuid.UUID(int=1)), "bundle_version": "b1"}
    point = HistoryPoint(
        **fields, acquired_at=START, phenotype=Phenotype.LOW, probability=0.1, quality_score=1, pr_ms=odd
    )
    assert decode_point("P-1", START, encode_name(point), encode_body(point)).pr_ms == kept


def test_the_work_of_the_stage_gives_all_that_the_store_writes() -> None:
    risk = assessed(1, 0.31)
    (entry,) = encoded_points([Received(record=risk, published_at=START)])
    assert entry.patient_id == risk.patient_id
    read = decode_point(entry.patient_id, instant(entry.acquired_us), entry.name, entry.body)
    assert read == history_point(risk)


def test_what_cannot_be_encoded_costs_itself_and_reaches_no_effect() -> None:
    unencodable = SimpleNamespace(
        **{name: getattr(assessed(2, 0.1), name) for name in RiskAssessed.__slots__}
    )
    unencodable.bundle_version = "\ud800"
    batch = [Received(record=record, published_at=START) for record in (assessed(1, 0.1), unencodable)]
    kept, refused = run_bisecting("history", encoded_points, batch)
    assert isinstance(kept, EncodedPoint)
    assert isinstance(refused, UnicodeEncodeError)


def test_the_golden_bytes_of_version_1_are_read_for_ever() -> None:
    body = bytes.fromhex("01025a1c0cffffffffc902ffff9803ffff")
    read = decode_point("P-1", START, uuid.UUID(int=7).bytes + b"b1", body)
    assert (read.ecg_id, read.bundle_version, read.phenotype) == (nth_ecg_id(7), "b1", Phenotype.HIGH)
    assert (read.probability, read.quality_score, read.heart_rate_bpm, read.pr_ms) == (0.31, 0.9, 71.3, None)
    assert read.qrs_ms == 92.0
    assert (read.e_prime_cm_s, read.e_over_a) == (None, None)


def test_reasons_of_version_1_begin_where_its_numbers_end() -> None:
    body = bytes.fromhex("01000affffffffffffc902ffff9803ffff") + b"NOISE\nFLAT:V1"
    read = decode_point("P-1", START, uuid.UUID(int=7).bytes + b"b1", body)
    assert (read.probability, read.not_scored_reasons) == (None, ("NOISE", "FLAT:V1"))


def test_the_golden_bytes_of_version_2_are_read_for_ever() -> None:
    body = bytes.fromhex("02025a1c0cffffffffc902ffff9803ffffee025a00")
    point = history_point(assessed(7, 0.31, motion=moving(7.5, 0.9)))
    assert encode_body(replace(point, phenotype=Phenotype.HIGH)) == body
    read = decode_point("P-1", START, uuid.UUID(int=7).bytes + b"b1", body)
    assert (read.phenotype, read.probability, read.qrs_ms) == (Phenotype.HIGH, 0.31, 92.0)
    assert (read.e_prime_cm_s, read.e_over_a) == (7.5, 0.9)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01\x02",
        b"\x02" + bytes(16),
        b"\x03" + bytes(26),  # ends within the place
        b"\x03" + bytes(23) + b"\x99" + bytes(16),  # a ward longer than the body
        b"\x03" + bytes(20) + b"\x07" + bytes(16),  # a sex there is not
        b"\x04" + bytes(40),
        b"\x01\x09" + bytes(15),
    ],
)
def test_bytes_of_another_version_or_damaged_are_refused_with_what_to_do(body: bytes) -> None:
    with pytest.raises(ConfigurationError, match="diastole history rebuild"):
        decode_point("P-1", START, bytes(16), body)


def test_the_place_is_kept_beside_the_point_and_changes_nothing_in_it() -> None:
    gap = history_point(assessed(1, None, reasons=("NOISE", "FLAT:V1")))
    for point in (gap, history_point(assessed(1, 0.31))):
        for place in (Place(), Place(ward_id="Ü 7", site_id="S", age_years=71.5, sex=Sex.MALE)):
            body = encode_body(point, place)
            assert decode_place(body) == place
            assert decode_point("P-1", point.acquired_at, encode_name(point), body) == point
    assert decode_place(encode_body(gap)) is None


def test_the_golden_bytes_of_version_3_are_read_for_ever() -> None:
    body = (
        bytes.fromhex("03025a1c0cffffffffc902ffff9803ffffee025a00") + bytes.fromhex("02cb0202000100") + b"W1S"
    )
    point = replace(history_point(assessed(7, 0.31, motion=moving(7.5, 0.9))), phenotype=Phenotype.HIGH)
    assert encode_body(point, Place(ward_id="W1", site_id="S", age_years=71.5, sex=Sex.MALE)) == body
    assert decode_point("P-1", point.acquired_at, encode_name(point), body) == point


def test_the_work_of_the_stage_keeps_where_the_patient_lay() -> None:
    (entry,) = encoded_points([Received(record=assessed(1, 0.31), published_at=START)])
    assert decode_place(entry.body) == Place(ward_id="W1")


def test_limits_that_would_keep_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        HistoryLimits(max_points=0)
