import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import medfilt

from models.rank_window import medians_of_rows
from models.running_median import running_median

Rows = npt.NDArray[np.float32]
WAYS = ("compiled", "by tensors")
#: Few different numbers, so that ties are common; signs of zero, denormals and the ends of the range.
NUMBERS = (0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3.4e38, -3.4e38, np.inf, -np.inf, 0.1, 0.2, 0.3)


def medians(way: str, rows: Rows, width: int) -> Rows:
    if way == "by tensors":
        return running_median(torch.from_numpy(rows), width).numpy()
    found = np.full_like(rows, np.nan)
    medians_of_rows(rows, found, width // 2)
    return found


def sorted_windows(rows: Rows, width: int) -> Rows:
    padded = np.pad(rows, ((0, 0), (width // 2, width // 2)))
    return np.sort(sliding_window_view(padded, width, axis=1), axis=-1)[..., width // 2]


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)  # the first call compiles
@given(
    rows=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 200)),
        elements=st.one_of(st.sampled_from(NUMBERS), st.floats(width=32, allow_nan=False)),
    ),
    half=st.integers(0, 60),
)
def test_every_sample_is_the_middle_of_its_sorted_surroundings(way: str, rows: Rows, half: int) -> None:
    width = 2 * half + 1
    np.testing.assert_array_equal(medians(way, rows, width), sorted_windows(rows, width))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "rising", "falling", "flat"])
def test_ten_seconds_have_the_medians_of_scipy(way: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    row = {
        "noise": rng.standard_normal(5000),
        "walk": np.cumsum(rng.standard_normal(5000)),
        "steps": rng.integers(-3, 4, 5000),
        "rising": np.arange(5000) - 2500,
        "falling": 2500 - np.arange(5000),
        "flat": np.full(5000, 2.5),
    }[kind].astype(np.float32)
    np.testing.assert_array_equal(medians(way, row[None], 201)[0], medfilt(row, 201))


@pytest.mark.parametrize("way", WAYS)
def test_a_row_without_numbers_harms_no_other_row(way: str) -> None:
    rows = np.random.default_rng(1).standard_normal((3, 500)).astype(np.float32)
    alone = medians(way, rows, 51)
    rows[1] = np.nan
    rows[1, ::3] = -np.nan
    beside = medians(way, rows, 51)
    np.testing.assert_array_equal(beside[[0, 2]], alone[[0, 2]])


def test_no_gradient_flows_through() -> None:
    assert not running_median(torch.zeros(1, 9, requires_grad=True), 3).requires_grad


@pytest.mark.cuda
def test_cuda_gives_the_medians_of_the_cpu() -> None:
    rows = torch.randn(24, 5000)
    assert torch.equal(running_median(rows.cuda(), 201).cpu(), running_median(rows, 201))
