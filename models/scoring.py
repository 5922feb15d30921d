"""Score whole cohorts, from memory or mapped from disk, batch by batch: for training and study."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor, nn

from models.bundle import Bundle
from models.cohorts.featurized import Cohort
from models.prediction import INTERVAL_QUANTILES
from models.progress import Progress
from models.scorer import Extracted, Extractor

Floats = npt.NDArray[np.float32]

_BATCH_SIZE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExtractedArrays:
    """What encoder and generator read out of a cohort, row by row; all float32.

    Attributes
    ----------
    embedding : numpy.ndarray
        (n, n_features).
    motion, deviation : numpy.ndarray
        (n, 13) and (n, 6), as :class:`models.scorer.Extracted`; NaN is absent.
    curves : numpy.ndarray or None
        (n, 2, 128), cm/s; None unless asked for.
    """

    embedding: Floats
    motion: Floats
    deviation: Floats
    curves: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredArrays:
    """A bundle's answers to a cohort, row by row; not rounded.

    Attributes
    ----------
    probability, probability_low, probability_high : numpy.ndarray
        float64, (n,), calibrated, with the ends of the 90 % interval.
    log_odds : numpy.ndarray
        float64, (n,), of the mean head.
    contributions : numpy.ndarray
        float32, (n, n_parts), by :data:`models.features.PARTS`.
    """

    probability: npt.NDArray[np.float64]
    probability_low: npt.NDArray[np.float64]
    probability_high: npt.NDArray[np.float64]
    log_odds: npt.NDArray[np.float64]
    contributions: Floats
    extracted: ExtractedArrays

    @property
    def embedding(self) -> Floats:
        """(n, n_features)."""
        return self.extracted.embedding

    @property
    def motion(self) -> Floats:
        """(n, 13), :data:`models.motion_measurements.MOTION_COLUMNS`."""
        return self.extracted.motion

    @property
    def curves(self) -> Floats | None:
        """(n, 2, 128), cm/s; None unless asked for."""
        return self.extracted.curves


@torch.inference_mode()
def extract(
    extractor: Extractor,
    cohort: Cohort,
    batch_size: int = _BATCH_SIZE,
    *,
    with_curves: bool = False,
    progress: Progress | None = None,
) -> ExtractedArrays:
    """Embed a cohort and generate its motion, where the extractor is.

    Parameters
    ----------
    cohort : Cohort
        Read ``batch_size`` rows at a time; what is kept of each is its embedding, its measurements, and the
        curves if asked for.
    """
    found: list[Extracted] = []
    for batch in _batches(extractor, cohort, batch_size, progress):
        each = extractor(*batch)
        kept = each if with_curves else each._replace(curves=each.curves[:, :, :0])
        found.append(Extracted(*(tensor.float().cpu() for tensor in kept)))
    return ExtractedArrays(
        embedding=_joined([each.embedding for each in found]),
        motion=_joined([each.motion for each in found]),
        deviation=_joined([each.deviation for each in found]),
        curves=_joined([each.curves for each in found]) if with_curves else None,
    )


@torch.inference_mode()
def score_cohort(
    bundle: Bundle,
    cohort: Cohort,
    batch_size: int = _BATCH_SIZE,
    *,
    device: torch.device | str = "cpu",
    with_curves: bool = False,
    progress: Progress | None = None,
) -> ScoredArrays:
    """Score a cohort as the running pipeline would, before rounding.

    Parameters
    ----------
    bundle : Bundle
        Its encoder and generator are moved to the device, and stay there.
    """
    extractor = Extractor(bundle.encoder, bundle.motion, bundle.manifest.input).to(device).eval()
    extracted = extract(extractor, cohort, batch_size, with_curves=with_curves, progress=progress)
    inputs = (extracted.embedding, extracted.motion, np.array(cohort.features, dtype=np.float32))
    of_heads, contributions = bundle.ensemble.cpu()(*map(torch.from_numpy, inputs))
    log_odds = of_heads.double().mean(dim=1).numpy()
    low, high = np.quantile(of_heads.double().numpy(), INTERVAL_QUANTILES, axis=1)
    return ScoredArrays(
        probability=expit(log_odds),
        probability_low=expit(np.minimum(low, log_odds)),
        probability_high=expit(np.maximum(high, log_odds)),
        log_odds=log_odds,
        contributions=contributions.numpy(),
        extracted=extracted,
    )


def _batches(
    module: nn.Module, cohort: Cohort, batch_size: int, progress: Progress | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Model inputs, beats and features, where the module's weights are."""
    device = next(module.parameters()).device
    for start in range(0, len(cohort), batch_size):
        if progress is not None:
            progress("score", start / len(cohort))
        rows = slice(start, start + batch_size)
        # Copied: a mapped file is read-only, and torch would warn of it.
        uv, beats_uv, features = (
            torch.from_numpy(np.array(each[rows])).to(device)
            for each in (cohort.inputs_uv, cohort.beats_uv, cohort.features)
        )
        yield uv, beats_uv, features


def _joined(pieces: list[Tensor]) -> Floats:
    joined: Floats = torch.cat(pieces).numpy()
    return joined
