import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.readers.scaling import Channel, odd_scales, to_one_scale
from streams.feeds.refusal import FeedRefusedError


def channel(counts: list[int], uv_per_count: float = 1.0, offset_uv: float = 0.0, name: str = "I") -> Channel:
    return Channel(
        name=name, counts=np.array(counts, dtype=np.int64), uv_per_count=uv_per_count, offset_uv=offset_uv
    )


@given(st.lists(st.integers(-32767, 32767), min_size=1, max_size=50), st.floats(0.01, 100.0))
def test_channels_of_one_scale_come_through_unchanged(counts: list[int], uv_per_count: float) -> None:
    uv_per_unit, samples = to_one_scale([channel(counts, uv_per_count)] * 2)
    assert uv_per_unit == pytest.approx(uv_per_count, rel=1e-12)
    np.testing.assert_array_equal(samples, [counts, counts])


@given(
    st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=20),  # × 0.03 µV = 252 mV at most
    st.floats(0.001, 0.03),
    st.floats(0.001, 0.03),
    st.floats(-5000.0, 5000.0),
)
def test_no_sample_moves_by_more_than_half_a_unit_or_wraps(
    counts: list[int], first_uv: float, second_uv: float, offset_uv: float
) -> None:
    channels = [channel(counts, first_uv), channel(counts, second_uv, offset_uv)]
    uv_per_unit, samples = to_one_scale(channels)
    for row, stored in zip(samples, channels, strict=True):
        expected_uv = stored.counts * stored.uv_per_count + stored.offset_uv
        assert np.abs(row * uv_per_unit - expected_uv).max() <= uv_per_unit * 0.5001


def test_the_array_is_read_only() -> None:
    _, samples = to_one_scale([channel([1, 2])])
    assert not samples.flags.writeable


@pytest.mark.parametrize("uv_per_count", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_no_positive_number_is_refused(uv_per_count: float) -> None:
    with pytest.raises(FeedRefusedError, match="sensitivity of lead I"):
        to_one_scale([channel([1], uv_per_count)])


def test_a_baseline_that_is_no_number_is_refused() -> None:
    with pytest.raises(FeedRefusedError, match="baseline of lead I"):
        to_one_scale([channel([1], 1.0, float("nan"))])


def test_a_scale_is_never_coarsened_beyond_ten_microvolts_without_a_word() -> None:
    quiet, loud = channel([5, -5]), channel([2**23, 0], name="V6")
    with pytest.raises(FeedRefusedError, match="more than 16 bits hold at 10 µV"):
        to_one_scale([quiet, loud])
    coarse, samples = to_one_scale([channel([5, -5], 244.0)])  # coarse at its source: nothing is lost here
    assert (coarse, samples.tolist()) == (244.0, [[5, -5]])


def test_an_inverted_lead_is_turned_back() -> None:
    inverted = Channel(name="aVR", counts=np.array([3, -4]), uv_per_count=2.0, offset_uv=2.0, sign=-1.0)
    uv_per_unit, samples = to_one_scale([inverted])
    assert (uv_per_unit, samples.tolist()) == (2.0, [[-4, 3]])


def test_leads_without_samples_are_refused() -> None:
    with pytest.raises(FeedRefusedError, match="no samples"):
        to_one_scale([channel([])])


def test_a_product_beyond_all_floats_is_refused_and_no_warning() -> None:
    with pytest.raises(FeedRefusedError, match="inf mV"):
        to_one_scale([channel([10**18], 1e300)])


def test_a_lead_whose_scale_is_not_that_of_the_others_is_named() -> None:
    counts = np.arange(4, dtype=np.int64)

    def scaled(*scales: float) -> list[Channel]:
        return [
            Channel(name=f"V{k}", counts=counts, uv_per_count=scale)
            for k, scale in enumerate(scales, start=1)
        ]

    assert odd_scales(scaled(5.0, 5.0, 0.5, 5.0, 5.0, 5.0)) == ("V3",)
    assert odd_scales(scaled(*[5.0] * 6)) == ()
    assert odd_scales(scaled(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) == ()  # each lead's own
    assert odd_scales(scaled(2.5, 2.5, 2.5, 5.0, 5.0, 5.0)) == ()
