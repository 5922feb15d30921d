"""ECGFounder's published preprocessing, exactly, in batches: what its checkpoint must be given.

In its order (PKUDigitalHealth/ECGFounder, MIT; NEJM AI 2025, AIoa2401033):

1. NaN → 0; leads as :data:`schemas.leads.LEADS_12`;
2. notch at the mains frequency, 50 Hz there, of Q 30; then a Butterworth band-pass of order 4, 0.67–40 Hz;
   each forward and backward with scipy's default padding;
3. minus the median of the 201 samples around each, as ``scipy.signal.medfilt``: zeros lie before and after;
4. z-score over the whole 12 × 5000 array, with 1e-8 added to the deviation.

The output differs from these steps run in scipy, lead by lead in float64, by at most 1e-5 deviations on ECGs,
and by less than 1e-4 where the baseline wanders 100 times as far as the ECG is high. 5e-6 of it is the
rounding of scipy's band-pass, a recursion of order 8 in one piece: that moves as much when the same ECG comes
in another unit. A flat ECG is 0 throughout here, where the published steps divide their rounding by 1e-8.

That is the difference for the same samples. In the running pipeline they are the model input, which was
limited to 0.4–75 Hz and notched at 50 and 60 Hz before (:mod:`models.resample`). Against the published steps
on raw 500 Hz recordings the whole chain differs by 0.003–0.008 deviations (root mean square), 0.01–0.02 at
most from the second second on, and up to 0.3 at the very ends, where each filter pads in its own way.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import torch
from scipy.signal import butter, iirnotch
from torch import Tensor, nn

from models.founder_rows import Recipe, preprocess
from models.normalisation import BAND_HZ, lead_weights
from models.running_median import running_median
from models.zero_phase import Stage, ZeroPhase, zero_phase
from schemas.errors import ConfigurationError
from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES
from schemas.leads import LEADS_12

#: Mains frequencies of the world; the published recipe knows the first.
MAINS_HZ: Final = (50.0, 60.0)
_MAINS_Q: Final = 30.0
_ORDER: Final = 4
#: ``filtfilt`` pads by three times the coefficients: 3 of a notch, 2 × order + 1 of a band-pass.
_NOTCH_PADDING: Final = 3 * 3
_BAND_PADDING: Final = 3 * (2 * _ORDER + 1)
#: int(0.4 s × 500 Hz) + 1, in samples.
_MEDIAN_WIDTH: Final = int(0.4 * MODEL_INPUT_RATE_HZ) + 1
_TINY: Final = 1e-8
_MV_PER_UV: Final = 1e-3


@lru_cache(maxsize=len(MAINS_HZ))
def published_filters(mains_hz: float) -> ZeroPhase:
    """Build notch and band-pass for 10 s at 500 Hz, once a process."""
    notch = np.concatenate(iirnotch(mains_hz, _MAINS_Q, MODEL_INPUT_RATE_HZ))[None]  # (1, 6)
    band = butter(_ORDER, BAND_HZ, btype="bandpass", fs=MODEL_INPUT_RATE_HZ, output="sos")
    stages = (
        Stage(sections=notch, n_padding=_NOTCH_PADDING),
        Stage(sections=band, n_padding=_BAND_PADDING),
    )
    return zero_phase(stages, MODEL_INPUT_SAMPLES)


class FounderNormalisation(nn.Module):
    """Model input → input of an encoder that was trained on the published preprocessing.

    Parameters
    ----------
    mains_hz : {50, 60}
        Where the notch lies.
    n_threads : int, optional
        Threads on the CPU; as many as torch's own when not given.

    Raises
    ------
    ConfigurationError
        When there are no such mains.

    Examples
    --------
    >>> FounderNormalisation()(torch.zeros(2, 8, 5000, dtype=torch.int16)).shape
    torch.Size([2, 12, 5000])
    """

    leads: Tensor
    same_leads: Tensor
    response: Tensor
    line: Tensor
    weigh: Tensor
    ends: Tensor

    def __init__(self, mains_hz: float = MAINS_HZ[0], n_threads: int | None = None) -> None:
        super().__init__()
        if mains_hz not in MAINS_HZ:
            raise ConfigurationError(
                f"there are no mains of {mains_hz:g} Hz: set those of the site, 50 or 60"
            )
        self._chain = published_filters(float(mains_hz))
        self._n_threads = n_threads
        self.register_buffer("leads", lead_weights() * _MV_PER_UV, persistent=False)
        self.register_buffer("same_leads", torch.eye(len(LEADS_12)), persistent=False)
        for name in ("response", "line", "weigh", "ends"):
            self.register_buffer(name, torch.tensor(getattr(self._chain, name)), persistent=False)

    def forward(self, uv: Tensor) -> Tensor:
        """Preprocess model inputs.

        Parameters
        ----------
        uv : torch.Tensor
            int16 or float32, (B, 8, 5000), µV. NaN counts as 0 µV.

        Returns
        -------
        torch.Tensor
            float32, (B, 12, 5000), on the same device: mean 0 and deviation 1 over the whole of each ECG, all
            0 for a flat one. Each depends on its ECG alone; one with infinities is NaN throughout. Gradients
            pass the running median by: it counts as constant.
        """
        return self._normalise(uv, self.leads)  # all up to the median is linear: 8 leads are filtered for 12

    def from_twelve_leads(self, mv: Tensor) -> Tensor:
        """Preprocess ECGs with twelve leads of their own: float32, (B, 12, 5000), mV → as :meth:`forward`."""
        return self._normalise(mv, self.same_leads)

    def _normalise(self, given: Tensor, leads: Tensor) -> Tensor:
        if given.device.type != "cpu" or given.requires_grad:
            return self.by_tensors(given, leads)
        recipe = Recipe(chain=self._chain, leads=leads.numpy(), median_width=_MEDIAN_WIDTH, tiny=_TINY)
        return torch.from_numpy(preprocess(given.numpy(), recipe, self._n_threads or torch.get_num_threads()))

    def by_tensors(self, given: Tensor, leads: Tensor) -> Tensor:
        """Do in whole-tensor operations, on any device, what :mod:`models.founder_rows` does on the CPU."""
        rows = given.float().nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)  # (B, C, 5000)
        rows = rows - rows[..., :1]
        rise = rows[..., -1:]  # (B, C, 1)
        rows = rows - rise * self.line
        circular = torch.fft.irfft(torch.fft.rfft(rows) * self.response, n=rows.shape[-1])
        band = circular + torch.cat([rows @ self.weigh.T, rise], dim=-1) @ self.ends
        ecgs = torch.matmul(leads, band)  # (B, 12, 5000), mV
        medians = running_median(ecgs.reshape(-1, ecgs.shape[-1]), _MEDIAN_WIDTH)
        level = ecgs - medians.reshape(ecgs.shape)
        centred = level - level.mean(dim=(1, 2), keepdim=True)
        return centred / (centred.square().mean(dim=(1, 2), keepdim=True).sqrt() + _TINY)
