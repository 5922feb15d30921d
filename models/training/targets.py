"""What the encoder is asked to read from an ECG nobody has labelled: what the ECG and its header tell.

Angles are asked for as cosine and sine, since −180° is next to 180°. Voltages are asked for relative to the
deviation of the whole ECG, since that is what the encoder's input is divided by.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.features import AGE, COLUMN_NAMES, SEX
from models.normalisation import lead_weights

Floats = npt.NDArray[np.float32]


def _regressed(name: str) -> tuple[str, ...]:
    return (f"{name}_cos", f"{name}_sin") if name.endswith("_deg") else (name,)


#: Standardised targets, age last; one column of the encoder's output after another, and then the flags.
MEASUREMENTS: Final = tuple(
    part for name in COLUMN_NAMES if name not in (AGE, SEX) for part in _regressed(name)
)
REGRESSED: Final = (*MEASUREMENTS, AGE)
FLAGS: Final = ("p_absent", "irregular", "is_male")
TARGETS: Final = (*REGRESSED, *FLAGS)

#: Standardised targets are cut here: one wrong measurement must not pull.
_CLIP: Final = 4.0
#: RR intervals vary by less than this share of their mean in 95 of 100 sinus rhythms; in atrial fibrillation
#: by 20–30 %.
_IRREGULAR: Final = 0.1
#: The beat is asked for at 100 Hz: 550 samples become 110, each the mean of five.
_BEAT_MEAN_OF: Final = 5
#: No wave of a beat is 15 times as high as the whole ECG's deviation; what is, is an artefact.
_BEAT_CLIP: Final = 15.0
_CHUNK: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standard:
    """Means and deviations of regressed targets among those trained on: float32, (len(REGRESSED),)."""

    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, raw: Floats) -> "Standard":
        """Learn from raw targets; a column that is never known, or never differs, is left as it is."""
        regressed = raw[:, : len(REGRESSED)].astype(np.float64)
        known = np.isfinite(regressed)
        n_known = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, regressed, 0.0).sum(axis=0) / n_known
        scale = np.sqrt((np.where(known, regressed - centre, 0.0) ** 2).sum(axis=0) / n_known)
        return cls(
            centre=centre.astype(np.float32), scale=np.where(scale > 1e-6, scale, 1.0).astype(np.float32)
        )

    def apply(self, raw: Floats) -> Floats:
        """Standardise raw targets; flags stay 0 or 1, NaN stays NaN."""
        out = raw.copy()
        n = len(REGRESSED)
        out[:, :n] = np.clip((raw[:, :n] - self.centre) / self.scale, -_CLIP, _CLIP)
        return out


def scales_mv(inputs_uv: npt.NDArray[np.int16]) -> Floats:
    """Deviation of each ECG over all twelve leads, mV; read piece by piece: a mapped file stays on disk.

    Parameters
    ----------
    inputs_uv : numpy.ndarray
        int16, (n, 8, 5000), µV.

    Returns
    -------
    numpy.ndarray
        float32, (n,), at least 0.001.
    """
    leads = lead_weights().numpy()
    out = np.empty(len(inputs_uv), dtype=np.float32)
    for start in range(0, len(inputs_uv), _CHUNK):
        mv = np.asarray(inputs_uv[start : start + _CHUNK], dtype=np.float32) / 1000.0
        mv -= mv.mean(axis=-1, keepdims=True)
        products = mv @ mv.swapaxes(1, 2) / mv.shape[-1]  # (n, 8, 8)
        variance = np.einsum("ij,njk,ik->n", leads, products, leads) / len(leads)
        out[start : start + _CHUNK] = np.maximum(np.sqrt(np.maximum(variance, 0.0)), 1e-3)
    return out


def raw_targets(features: Floats, scale_mv: Floats) -> Floats:
    """Turn feature rows into targets that are not yet standardised.

    Parameters
    ----------
    features : numpy.ndarray
        float32, (n, len(models.features.COLUMNS)); NaN is missing.
    scale_mv : numpy.ndarray
        float32, (n,): see :func:`scales_mv`.

    Returns
    -------
    numpy.ndarray
        float32, (n, len(TARGETS)); NaN where the measurement, age or sex is missing, and for the rhythm's
        flags where the heart rate is.
    """
    of = {name: features[:, i] for i, name in enumerate(COLUMN_NAMES)}
    columns = [part for name in COLUMN_NAMES[:-2] for part in _parts(name, of[name], scale_mv)]
    rate = of["heart_rate_bpm"]
    p_absent = np.where(np.isnan(rate), np.nan, np.isnan(of["pr_ms"]))
    variation = of["rr_sd_ms"] * rate / 60_000.0  # of the mean RR
    irregular = np.where(np.isnan(variation), np.nan, variation > _IRREGULAR)
    is_male = (of[SEX] + 1.0) / 2.0
    return np.column_stack([*columns, of[AGE], p_absent, irregular, is_male]).astype(np.float32)


def _parts(name: str, column: Floats, scale_mv: Floats) -> tuple[Floats, ...]:
    if name.endswith("_deg"):
        return np.cos(np.deg2rad(column)), np.sin(np.deg2rad(column))
    return (column / scale_mv,) if name.endswith(("_mv", "_mv_ms")) else (column,)


def beat_targets(beats_uv: npt.NDArray[np.int16], scale_mv: Floats) -> Floats:
    """Median beats as targets: float32, (n, 8, 110), over the ECG's deviation; NaN where there is none."""
    n, leads, samples = beats_uv.shape
    mv = beats_uv.reshape(n, leads, samples // _BEAT_MEAN_OF, _BEAT_MEAN_OF).mean(axis=-1, dtype=np.float32)
    relative = np.clip(mv / 1000.0 / scale_mv[:, None, None], -_BEAT_CLIP, _BEAT_CLIP)
    relative[~beats_uv.any(axis=(1, 2))] = np.nan
    return np.asarray(relative, dtype=np.float32)


def column_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Loss of each column over the ECGs of which it is known; 0 where it is of none.

    Parameters
    ----------
    outputs, targets : torch.Tensor
        float32, (B, len(TARGETS)); NaN targets do not contribute.

    Returns
    -------
    torch.Tensor
        float32, (len(TARGETS),): squared error of regressed ones, cross-entropy of flags.
    """
    known = torch.isfinite(targets)
    filled = torch.where(known, targets, 0.0)
    n = len(REGRESSED)
    squared = (outputs[:, :n] - filled[:, :n]).square()
    entropy = functional.binary_cross_entropy_with_logits(outputs[:, n:], filled[:, n:], reduction="none")
    losses = torch.where(known, torch.cat([squared, entropy], dim=1), 0.0)
    return losses.sum(dim=0) / known.sum(dim=0).clamp(min=1)


def beat_loss(drawn: Tensor, beats: Tensor, variance: float) -> Tensor:
    """Mean squared error of drawn beats, (B, 8, 110), as a share of the beats' variance; NaN is left out."""
    known = torch.isfinite(beats)
    squared = torch.where(known, drawn - torch.where(known, beats, 0.0), 0.0).square()
    return squared.sum() / known.sum().clamp(min=1) / variance
