import numpy as np
import torch
from scipy.signal import butter, sosfiltfilt

from models.normalisation import Normalisation
from schemas.leads import LEADS_12


def noise_uv(n: int = 2) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy((300 * rng.standard_normal((n, 8, 5000))).astype(np.int16))


def test_output_is_z_scored_over_the_whole_ecg() -> None:
    x = Normalisation()(noise_uv())
    assert x.shape == (2, 12, 5000)
    assert torch.allclose(x.mean(dim=(1, 2)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(x.std(dim=(1, 2)), torch.ones(2), atol=1e-3)


def test_derived_leads_keep_einthovens_law() -> None:
    x = dict(zip(LEADS_12, Normalisation()(noise_uv())[0], strict=True))
    mean = x["I"] + x["III"] - x["II"]  # 0 but for the mean that was taken off
    assert float(mean.std()) < 1e-4
    assert float((x["aVR"] + x["aVL"] + x["aVF"]).std()) < 1e-4


def test_band_is_that_of_a_butterworth_run_forward_and_backward() -> None:
    uv = noise_uv(1)
    sections = butter(4, (0.67, 40.0), btype="bandpass", fs=500, output="sos")
    lead_i = uv[0, 0].numpy().astype(float)
    expected = sosfiltfilt(sections, lead_i, padtype="even", padlen=4999)
    ours = Normalisation()(uv)[0, 0].numpy()
    assert np.corrcoef(expected, ours)[0, 1] > 0.9999


def test_flat_ecg_stays_finite() -> None:
    assert torch.equal(Normalisation()(torch.zeros(1, 8, 5000, dtype=torch.int16)), torch.zeros(1, 12, 5000))
