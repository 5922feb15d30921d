"""A strip comes back sample by sample, small, and only for who asks for its ECG."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cohorts.simulated import Ward
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized, Measurements, Quality
from schemas.leads import LEADS_12
from streams.featurize import featurize
from streams.stage import Received
from streams.strip import strip_svg
from streams.waveform import (
    EncodedStrip,
    Strip,
    WaveformLimits,
    as_recorded,
    decode_strip,
    encode_strip,
    encoded_strips,
    twelve_leads_uv,
)

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def ecg(samples: npt.NDArray[np.int16] | None, number: int = 1) -> EcgFeaturized:
    return EcgFeaturized(
        ecg_id=str(uuid.UUID(int=number)),
        patient_id="MRN-4711",
        acquired_at=AT,
        published_at=AT,
        quality=Quality(acceptable=samples is not None, score=1.0),
        measurements=Measurements(),
        model_input_uv=samples,
        ward_id="Ü 7",
        site_id="S",
    )


def coded(featurized: EcgFeaturized) -> EncodedStrip:
    encoded = encode_strip(featurized)
    assert encoded is not None
    return encoded


def round_trip(featurized: EcgFeaturized) -> Strip:
    strip = decode_strip(featurized.ecg_id, coded(featurized).body)
    assert strip is not None
    return strip


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 100, 32767]))
def test_every_sample_comes_back_whatever_it_is(seed: int, most_uv: int) -> None:
    samples = np.random.default_rng(seed).integers(-most_uv - 1, most_uv, (8, 5000), np.int16, endpoint=True)
    np.testing.assert_array_equal(round_trip(ecg(samples)).leads_uv, samples)


def test_whose_where_and_when_come_back() -> None:
    strip = round_trip(ecg(np.zeros((8, 5000), np.int16)))
    assert (strip.patient_id, strip.ward_id, strip.site_id) == ("MRN-4711", "Ü 7", "S")
    assert (strip.acquired_at, strip.sample_rate_hz) == (AT, 500)
    assert not strip.leads_uv.flags.writeable


def test_what_is_kept_holds_no_patient_identifier_in_clear_and_opens_for_its_ecg_alone() -> None:
    encoded = coded(ecg(np.zeros((8, 5000), np.int16)))
    assert b"MRN-4711" not in encoded.body
    with pytest.raises(PoisonError):
        decode_strip(str(uuid.UUID(int=2)), encoded.body)


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x02" + bytes(40)])
def test_a_strip_of_another_version_counts_as_not_kept(body: bytes) -> None:
    assert decode_strip(str(uuid.UUID(int=1)), body) is None


def test_a_batch_gives_one_result_an_ecg_and_none_where_there_is_no_model_input() -> None:
    batch = [ecg(np.zeros((8, 5000), np.int16), 1), ecg(None, 2), ecg(np.ones((8, 5000), np.int16), 3)]
    results = encoded_strips([Received(record=each, published_at=AT) for each in batch])
    assert [each and each.ecg_id for each in results] == [batch[0].ecg_id, None, batch[2].ecg_id]


def test_limb_leads_are_derived_from_the_first_two() -> None:
    samples = np.arange(8, dtype=np.int16)[:, None] * np.ones((1, 5000), np.int16) + np.int16(100)
    leads = dict(zip(LEADS_12, twelve_leads_uv(round_trip(ecg(samples)))[:, 0], strict=True))
    assert (leads["I"], leads["II"], leads["V6"]) == (100.0, 101.0, 107.0)
    assert (leads["III"], leads["aVR"], leads["aVL"], leads["aVF"]) == (1.0, -100.5, 49.5, 51.0)


def test_a_strip_is_drawn_as_a_recording_is() -> None:
    assert strip_svg(as_recorded(round_trip(ecg(np.zeros((8, 5000), np.int16))))).startswith("<svg")


def test_a_strip_of_ten_seconds_takes_less_than_30_kb() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    ward = Ward(beds=8, seed=5, since=now, fault_rate=0.0)
    batch = [Received(record=ward.record(bed, now), published_at=now) for bed in range(8)]
    featurized = [each for each in featurize(batch) if isinstance(each, EcgFeaturized)]
    sizes = [len(encoded.body) for encoded in map(encode_strip, featurized) if encoded]
    assert len(sizes) >= 6
    assert 10_000 < max(sizes) < 30_000


@pytest.mark.parametrize("fields", [{"per_patient": 0}, {"max_age": timedelta()}])
def test_limits_that_would_keep_nothing_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        WaveformLimits(**fields)
