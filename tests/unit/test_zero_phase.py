import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, filtfilt, iirnotch

from models.zero_phase import Stage, ZeroPhase, zero_phase

Float64s = npt.NDArray[np.float64]


def filtered(chain: ZeroPhase, rows: Float64s) -> Float64s:
    start, rise = rows[:, :1], rows[:, -1:] - rows[:, :1]
    inner = rows - start - rise * chain.line
    circular = np.fft.irfft(np.fft.rfft(inner) * chain.response, n=rows.shape[1])
    return circular + np.hstack([inner @ chain.weigh.T, rise]) @ chain.ends


def stage(order: int, band: tuple[float, float]) -> tuple[Stage, tuple[Float64s, Float64s]]:
    padding = 3 * (2 * order + 1)
    sections = butter(order, band, btype="bandpass", output="sos")
    return Stage(sections=sections, n_padding=padding), butter(order, band, btype="bandpass")


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("n", [100, 1000])
def test_chain_equals_the_filter_run_forward_and_backward(order: int, n: int) -> None:
    one, coefficients = stage(order, (0.05, 0.4))
    rows = np.random.default_rng(0).standard_normal((5, n))
    expected = filtfilt(*coefficients, rows)
    np.testing.assert_allclose(filtered(zero_phase((one,), n), rows), expected, atol=2e-6)


def test_two_filters_follow_each_other_in_order_each_with_its_padding() -> None:
    band, coefficients = stage(2, (0.02, 0.5))
    notch = iirnotch(0.2, 10.0)
    first = Stage(sections=np.concatenate(notch)[None], n_padding=9)
    rows = np.random.default_rng(1).standard_normal((5, 400))
    expected = filtfilt(*coefficients, filtfilt(*notch, rows))
    np.testing.assert_allclose(filtered(zero_phase((first, band), 400), rows), expected, atol=2e-6)
    other_order = filtered(zero_phase((band, first), 400), rows)
    assert np.abs(other_order - expected).max() > 1e-4


@pytest.mark.parametrize("place", [0, 1, 8, 9, 60, 118, 119])
def test_an_impulse_near_an_end_is_filtered_as_anywhere(place: int) -> None:
    one, coefficients = stage(2, (0.05, 0.4))
    impulse = np.zeros((1, 120))
    impulse[0, place] = 1.0
    np.testing.assert_allclose(
        filtered(zero_phase((one,), 120), impulse), filtfilt(*coefficients, impulse), atol=1e-6
    )


def test_free_responses_are_as_many_as_the_states_at_both_ends() -> None:
    band, _ = stage(3, (0.05, 0.4))
    notch = Stage(sections=np.concatenate(iirnotch(0.2, 10.0))[None], n_padding=9)
    assert len(zero_phase((notch, band), 500).weigh) == 2 * (6 + 2)


def test_offset_and_slope_are_taken_off_and_put_back() -> None:
    one, coefficients = stage(2, (0.05, 0.4))
    rows = 1000.0 + 3.0 * np.arange(200.0)[None]
    expected = filtfilt(*coefficients, rows)
    np.testing.assert_allclose(filtered(zero_phase((one,), 200), rows), expected, atol=1e-4)


def test_arrays_of_a_chain_cannot_be_written() -> None:
    chain = zero_phase((stage(1, (0.05, 0.4))[0],), 100)
    for array in (chain.response, chain.line, chain.weigh, chain.ends):
        assert array.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
