"""Which pieces of an ECG an answer rests on, by lead and time: gradient × input through the whole scorer.

The gradient of the log-odds says how much each sample would move the answer; times the sample, as it stands
above or below its lead's level, it says how much the sample does, against a flat lead. This is a local,
first-order account: it does not say what the model would make of the ECG without that piece. Measurements
are held fixed, being no smooth function of the samples.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.bundle import Bundle
from models.features import feature_rows
from models.scorer import Scorer
from schemas.featurized import MEDIAN_BEAT_SAMPLES, MODEL_INPUT_LEADS, MODEL_INPUT_RATE_HZ, EcgFeaturized
from schemas.leads import LEADS_8

#: 20 ms: shorter than a Q wave, and half a thousand bins are as much as a strip on a page shows.
BIN_SAMPLES: Final = round(0.020 * MODEL_INPUT_RATE_HZ)
_BEAT_BINS: Final = (MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES // BIN_SAMPLES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saliency:
    """What share of one answer rests on which piece of the ECG; all shares together are 1.

    Attributes
    ----------
    log_odds : float
        Of the mean head: what is explained.
    strip : numpy.ndarray
        float32, (8, 500): by lead and 20 ms of the 10 s, through the encoder.
    beat : numpy.ndarray
        float32, (8, 55): by lead and 20 ms of the median beat, through the motion generator; 0 without one.
    """

    log_odds: float
    strip: npt.NDArray[np.float32]
    beat: npt.NDArray[np.float32]

    @property
    def lead_shares(self) -> dict[str, float]:
        """Share of each lead, of strip and beat together; by name, largest first."""
        shares = self.strip.sum(axis=1) + self.beat.sum(axis=1)
        ranked = sorted(zip(LEADS_8, shares.tolist(), strict=True), key=lambda each: -each[1])
        return dict(ranked)


def explain(bundle: Bundle, ecg: EcgFeaturized) -> Saliency:
    """Say what an answer rests on, for one ECG, where the bundle is.

    Parameters
    ----------
    ecg : EcgFeaturized
        With a model input; without a median beat the motion has no share.

    Returns
    -------
    Saliency
        All 0 where nothing moves the answer, e.g. for a flat ECG.

    Raises
    ------
    ValueError
        When the ECG has no model input.
    """
    if ecg.model_input_uv is None:
        raise ValueError("an ECG without model input is not scored, so there is nothing to explain")
    scorer = Scorer(bundle).eval()
    device = next(scorer.parameters()).device
    beat_uv, has_beat = ecg.median_beat_uv, ecg.median_beat_uv is not None
    if beat_uv is None:
        beat_uv = np.zeros((MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES), dtype=np.int16)
    uv, beats_uv = (
        torch.tensor(each[None], dtype=torch.float32, device=device) for each in (ecg.model_input_uv, beat_uv)
    )
    row = scorer(
        uv.requires_grad_(),
        beats_uv.requires_grad_(has_beat),
        torch.from_numpy(feature_rows([ecg])).to(device),
    )
    log_odds = row[0, : bundle.manifest.n_heads].mean()
    strip = _moved(log_odds, uv, uv.detach().median(dim=-1, keepdim=True).values)
    # A median beat is level where it is 0, at its PQ.
    beat = _moved(log_odds, beats_uv, 0.0) if has_beat else np.zeros(_BEAT_BINS, dtype=np.float32)
    total = float(strip.sum() + beat.sum())
    scale = 1.0 / total if total > 0.0 else 0.0
    return Saliency(
        log_odds=float(log_odds.detach()),
        strip=strip * np.float32(scale),
        beat=beat * np.float32(scale),
    )


def _moved(log_odds: Tensor, uv: Tensor, level_uv: Tensor | float) -> npt.NDArray[np.float32]:
    """Sum up what each bin of a lead moves the log-odds by, without its sign: float32, (8, T / 10)."""
    (gradient,) = torch.autograd.grad(log_odds, uv, retain_graph=True)
    above = uv.detach() - level_uv
    # A sample at its level moves nothing, even where the deviation of a flat ECG has no gradient.
    effect = torch.where(above == 0.0, 0.0, gradient * above)[0]  # (8, T)
    by_bin = effect.reshape(len(effect), -1, BIN_SAMPLES).sum(dim=-1)  # (8, T / 10)
    moved: npt.NDArray[np.float32] = by_bin.abs().cpu().numpy()
    return moved
