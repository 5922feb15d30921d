"""From the model input to what the encoder was trained on: twelve leads, 0.67–40 Hz, z-scored; on the device.

The band and the z-score are those of ECGFounder's preprocessing. Its zero-phase Butterworth filter is
applied as its squared amplitude response in the frequency domain: one batched transform instead of recursion,
the same on CPU and GPU, each ECG by itself.
"""

from typing import Final

import torch
from scipy.signal import butter, sosfreqz
from torch import Tensor, nn

from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES
from schemas.leads import DERIVED_FROM_I_II, LEADS_8, LEADS_12

BAND_HZ: Final = (0.67, 40.0)
_ORDER: Final = 4
#: Mirrored at each end, so that the transform does not tie the end to the start; 5000 + 2 × 500 = 6000 is
#: a product of 2, 3 and 5.
_PAD: Final = 500
_TINY: Final = 1e-8


def lead_weights() -> Tensor:
    """Weights of :data:`schemas.leads.LEADS_12` over :data:`schemas.leads.LEADS_8`: float32, (12, 8)."""
    rows = torch.zeros(len(LEADS_12), len(LEADS_8))
    for i, name in enumerate(LEADS_12):
        of = DERIVED_FROM_I_II.get(name)
        if of is None:
            rows[i, LEADS_8.index(name)] = 1.0
        else:
            rows[i, 0], rows[i, 1] = of
    return rows


def band_response(n_padded: int) -> Tensor:
    """Amplitude response of the band filter run forward and backward: float32, (n_padded/2 + 1,)."""
    sections = butter(_ORDER, BAND_HZ, btype="bandpass", fs=MODEL_INPUT_RATE_HZ, output="sos")
    frequency_hz = torch.fft.rfftfreq(n_padded, 1.0 / MODEL_INPUT_RATE_HZ, dtype=torch.float64).numpy()
    _, once = sosfreqz(sections, worN=frequency_hz, fs=MODEL_INPUT_RATE_HZ)
    return torch.from_numpy(abs(once) ** 2).float()


class Normalisation(nn.Module):
    """Model input → encoder input."""

    leads: Tensor
    response: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("leads", lead_weights(), persistent=False)
        self.register_buffer("response", band_response(MODEL_INPUT_SAMPLES + 2 * _PAD), persistent=False)

    def forward(self, uv: Tensor) -> Tensor:
        """Normalise ECGs.

        Parameters
        ----------
        uv : torch.Tensor
            int16 or float32, (B, 8, 5000), µV.

        Returns
        -------
        torch.Tensor
            float32, (B, 12, 5000), mean 0 and deviation 1 over the whole of each ECG; all 0 for a flat one.
        """
        twelve = torch.einsum("ij,bjt->bit", self.leads, uv.float() / 1000.0)  # (B, 12, 5000), mV
        twelve = twelve - twelve.mean(dim=-1, keepdim=True)
        padded = torch.nn.functional.pad(twelve, (_PAD, _PAD), mode="reflect")  # (B, 12, 6000)
        filtered = torch.fft.irfft(torch.fft.rfft(padded) * self.response, n=padded.shape[-1])
        band = filtered[..., _PAD:-_PAD]  # (B, 12, 5000)
        mean = band.mean(dim=(1, 2), keepdim=True)
        deviation = (band - mean).square().mean(dim=(1, 2), keepdim=True).sqrt()
        normalised: Tensor = (band - mean) / (deviation + _TINY)
        return normalised
