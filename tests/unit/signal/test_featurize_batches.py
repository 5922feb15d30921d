from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.leads import LEADS_12
from streams.featurize import CLOCK_SKEW, UnreadableSamplesError, featurize
from streams.stage import Received

PUBLISHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _received(record):
    return Received(record=record, published_at=PUBLISHED)


@pytest.fixture
def mixed(recording_batch):
    return [_received(record) for record in recording_batch]


@pytest.fixture
def recording_batch(ptbxl_uv, ptb, aecg, make_recorded):
    return [
        make_recorded(ptbxl_uv[0]),
        make_recorded(ptb.uv[:, :10000], 1000.0),
        make_recorded(ptbxl_uv[1]),
        make_recorded(aecg.uv[::-1], lead_names=LEADS_12[::-1]),
        make_recorded(ptbxl_uv[2, :, :4000]),
        make_recorded(ptbxl_uv[3] / 5, uv_per_unit=5.0),
        make_recorded(aecg.uv, 50.0),
    ]


def _same(one, other):
    for name in EcgFeaturized.__dataclass_fields__:
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right, name


def test_there_is_one_result_for_each_record_in_order(mixed):
    results = featurize(mixed)
    assert [type(result) for result in results] == [EcgFeaturized] * len(mixed)
    assert [result.quality.acceptable for result in results] == [True, True, True, True, False, True, False]
    assert results[4].quality.reasons == ("TOO_SHORT",)
    assert results[6].quality.reasons == ("UNSUPPORTED_RATE",)


def test_a_result_does_not_depend_on_the_batch(mixed):
    for alone, together in zip([featurize([each])[0] for each in mixed], featurize(mixed), strict=True):
        _same(alone, together)
    for reversed_, straight in zip(featurize(mixed[::-1])[::-1], featurize(mixed), strict=True):
        _same(reversed_, straight)


def test_identity_and_demographics_are_carried_over(aecg, make_recorded):
    record = make_recorded(aecg.uv, site_id="S", ward_id="W", device_id="D", age_years=71.5)
    result = featurize([_received(record)])[0]
    for name in ("ecg_id", "patient_id", "acquired_at", "site_id", "ward_id", "device_id", "age_years", "sex",
                 "has_pacemaker", "urgency"):  # fmt: skip
        assert getattr(result, name) == getattr(record, name)
    assert result.published_at == PUBLISHED


def test_the_model_input_is_small_int16_and_read_only(mixed):
    result = featurize(mixed)[0]
    assert result.model_input_uv.dtype == np.int16
    assert result.model_input_uv.shape == (8, 5000)
    assert not result.model_input_uv.flags.writeable
    assert result.model_input_uv.base is None


def test_the_median_beat_goes_with_the_model_input(mixed):
    for result in featurize(mixed):
        assert (result.median_beat_uv is not None) == result.quality.acceptable
        if result.median_beat_uv is not None:
            assert result.median_beat_uv.any()
            assert result.median_beat_uv.base is None


def test_r_peaks_lie_on_the_model_input(mixed):
    for result in featurize(mixed):
        assert list(result.r_peaks) == sorted(set(result.r_peaks))
        assert all(type(peak) is int and 0 <= peak < 5000 for peak in result.r_peaks)
        assert (len(result.r_peaks) > 5) == result.quality.acceptable


def test_a_contradictory_record_costs_itself_alone(mixed, aecg, make_recorded):
    record = make_recorded(aecg.uv)
    # Records check themselves when made; what reaches us may have been made elsewhere.
    object.__setattr__(record, "uv_per_unit", float("nan"))
    results = featurize([mixed[0], _received(record), mixed[1]])
    assert isinstance(results[1], UnreadableSamplesError)
    assert isinstance(results[1], PoisonError)
    assert "P1" not in str(results[1])
    assert isinstance(results[0], EcgFeaturized)
    assert isinstance(results[2], EcgFeaturized)


def test_an_empty_batch_is_an_empty_list():
    assert featurize([]) == []


@pytest.mark.parametrize("seed", range(12))
def test_no_samples_are_too_strange_to_get_a_result(seed, make_recorded):
    rng = np.random.default_rng(seed)
    n, rate_hz = int(rng.integers(1000, 21000)), float(rng.choice([100, 240.5, 500, 1000, 2000]))
    strange = [
        rng.integers(-32768, 32768, size=(12, n)),
        np.cumsum(rng.normal(size=(12, n)) * 40, axis=1),
        np.full((12, n), -32768),
        (rng.random((12, n)) < 0.002) * 3000.0,
        np.sin(np.arange(n) / rate_hz * 2 * np.pi * rng.uniform(0.2, 9)) * np.ones((12, 1)) * 500,
    ]
    batch = [_received(make_recorded(np.clip(uv, -32768, 32767), rate_hz)) for uv in strange]
    results = featurize(batch)
    assert [type(result) for result in results] == [EcgFeaturized] * len(batch)
    assert not results[0].quality.acceptable
    assert not results[2].quality.acceptable


def test_an_ecg_dated_ahead_of_its_publication_is_shown_and_not_scored(make_recorded, ptbxl_uv):
    soon, ahead = (
        replace(make_recorded(ptbxl_uv[0]), acquired_at=PUBLISHED + CLOCK_SKEW + late)
        for late in (timedelta(0), timedelta(microseconds=1))
    )
    scored, shown = featurize([_received(soon), _received(ahead)])
    assert scored.quality.acceptable
    assert "ACQUIRED_IN_FUTURE" in shown.quality.reasons
    assert shown.model_input_uv is None
    assert shown.measurements == scored.measurements
