"""All that runs on the device for one batch of ECGs, differentiable from end to end."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.bundle import Bundle
from models.features import PARTS
from models.founder import Net1D
from models.manifest import ECGFOUNDER, InputContract
from models.motion import MotionGenerator, context_rows, has_beat
from models.motion_measurements import MOTION_COLUMNS, N_VELOCITIES, is_fibrillating, measure_motion, rr_ms
from models.normalisation import Normalisation
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS


class Extracted(NamedTuple):
    """What is read out of ECGs before the ensemble; all float32.

    Attributes
    ----------
    embedding : torch.Tensor
        (B, n_features).
    motion : torch.Tensor
        (B, 13), :data:`models.motion_measurements.MOTION_COLUMNS`; NaN is absent, all of it without a beat.
    deviation : torch.Tensor
        (B, 6), cm/s: standard deviations of the first six of these.
    curves : torch.Tensor
        (B, 2, 128), cm/s; septal, lateral; NaN without a beat.
    """

    embedding: Tensor
    motion: Tensor
    deviation: Tensor
    curves: Tensor


def encoder_normalisation(contract: InputContract) -> nn.Module:
    """Make the step from model input to encoder input that a bundle states."""
    if contract.normalisation == ECGFOUNDER:
        # Imported here: it compiles a running median, which bundles without it need not wait for.
        from models.founder_preprocessing import FounderNormalisation

        return FounderNormalisation(contract.mains_hz)
    return Normalisation()


class Extractor(nn.Module):
    """(µV, beats, features) → embedding and synthetic motion."""

    def __init__(self, encoder: Net1D, motion: MotionGenerator, contract: InputContract) -> None:
        super().__init__()
        self.normalisation = encoder_normalisation(contract)
        self.encoder = encoder
        self.motion = motion

    def forward(self, uv: Tensor, beats_uv: Tensor, features: Tensor) -> Extracted:
        """Extract.

        Parameters
        ----------
        uv, beats_uv : torch.Tensor
            int16 or float32, (B, 8, 5000) and (B, 8, 550), µV; a beat that is 0 throughout is none.
        features : torch.Tensor
            float32, (B, 17); NaN is missing.
        """
        is_there = has_beat(beats_uv)
        curves, log_deviation = self.motion(beats_uv, context_rows(features), None)
        motion = measure_motion(curves, rr_ms(features), is_fibrillating(features))
        return Extracted(
            embedding=self.encoder.embed(self.normalisation(uv)),
            motion=torch.where(is_there[:, None], motion, torch.nan),
            deviation=torch.where(is_there[:, None], log_deviation.exp(), torch.nan),
            curves=torch.where(is_there[:, None, None], curves, torch.nan),
        )


class Scorer(nn.Module):
    """(µV, beats, features) → one row for each ECG, laid out as :class:`RowLayout`."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.extractor = Extractor(bundle.encoder, bundle.motion, bundle.manifest.input)
        self.ensemble = bundle.ensemble

    def forward(self, uv: Tensor, beats_uv: Tensor, features: Tensor) -> Tensor:
        """(B, 8, 5000) and (B, 8, 550) int16, (B, 17) float32 → (B, RowLayout.width) float32."""
        found: Extracted = self.extractor(uv, beats_uv, features)
        log_odds, contributions = self.ensemble(found.embedding, found.motion, features)
        return torch.cat(
            [log_odds, contributions, found.motion, found.deviation, found.curves.flatten(1)], dim=1
        )


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Where in a row of the scorer each thing lies; one copy back from the device fetches all of them."""

    n_heads: int

    @property
    def log_odds(self) -> slice:
        """Of each head."""
        return slice(0, self.n_heads)

    @property
    def contributions(self) -> slice:
        """By part of :data:`models.features.PARTS`."""
        return slice(self.n_heads, self.n_heads + len(PARTS))

    @property
    def motion(self) -> slice:
        """Measurements of the curves."""
        return slice(self.contributions.stop, self.contributions.stop + len(MOTION_COLUMNS))

    @property
    def deviation(self) -> slice:
        """Standard deviations of the velocities."""
        return slice(self.motion.stop, self.motion.stop + N_VELOCITIES)

    @property
    def curves(self) -> slice:
        """Septal velocities, then lateral ones."""
        return slice(self.deviation.stop, self.deviation.stop + MOTION_WALLS * MOTION_SAMPLES)

    @property
    def width(self) -> int:
        """Length of a row."""
        return int(self.curves.stop)
