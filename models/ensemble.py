"""The ensemble: synthetic motion, embedding, measurements, age and sex fused into calibrated log-odds.

Each head is linear in standardised inputs and their squares, so what a part contributes is not an
explanation after the fact but the sum itself: reference log-odds plus the contributions *are* the log-odds.
The heads differ in the bootstrap sample of patients they were fitted on; their spread is the interval.
"""

from itertools import repeat

import torch
from torch import Tensor, nn

from models.features import CLIP, COLUMNS, FOUNDATION, MOTION, PARTS
from models.motion_measurements import MOTION_COLUMNS


def input_parts(n_embedding: int) -> tuple[str, ...]:
    """Name the part each input belongs to, in the order of :meth:`Ensemble.inputs`."""
    may_be_missing = [*repeat(MOTION, len(MOTION_COLUMNS)), *(part for _, part in COLUMNS)]
    n_motion = len(MOTION_COLUMNS)
    standardised = [*may_be_missing[:n_motion], *repeat(FOUNDATION, n_embedding), *may_be_missing[n_motion:]]
    return (*standardised, *may_be_missing, *may_be_missing)


def part_matrix(n_embedding: int) -> Tensor:
    """Which input belongs to which part: float32, (n_inputs, n_parts)."""
    owners = input_parts(n_embedding)
    rows = torch.zeros(len(owners), len(PARTS))
    for i, part in enumerate(owners):
        rows[i, PARTS.index(part)] = 1.0
    return rows


class Ensemble(nn.Module):
    """Bootstrapped linear heads over motion, embedding and features.

    Buffers
    -------
    centre, scale : (n_motion + n_embedding + n_features,)
        Standardisation of the inputs.
    weights, biases : (n_heads, n_inputs), (n_heads,)
        Already calibrated.
    reference : (n_inputs,)
        Mean inputs of the reference population, against which contributions are counted.
    """

    centre: Tensor
    scale: Tensor
    weights: Tensor
    biases: Tensor
    reference: Tensor
    parts: Tensor

    def __init__(self, n_embedding: int, n_heads: int) -> None:
        super().__init__()
        self.n_embedding, self.n_heads = n_embedding, n_heads
        n_known = len(MOTION_COLUMNS) + n_embedding + len(COLUMNS)
        n_inputs = len(input_parts(n_embedding))
        self.register_buffer("centre", torch.zeros(n_known))
        self.register_buffer("scale", torch.ones(n_known))
        self.register_buffer("weights", torch.zeros(n_heads, n_inputs))
        self.register_buffer("biases", torch.zeros(n_heads))
        self.register_buffer("reference", torch.zeros(n_inputs))
        self.register_buffer("parts", part_matrix(n_embedding), persistent=False)

    def inputs(self, embedding: Tensor, motion: Tensor, features: Tensor) -> Tensor:
        """Standardise, clip, square, and flag what is missing.

        Parameters
        ----------
        embedding : torch.Tensor
            float32, (B, n_embedding).
        motion, features : torch.Tensor
            float32, (B, 13) and (B, 17), columns :data:`models.motion_measurements.MOTION_COLUMNS` and
            :data:`models.features.COLUMNS`; NaN is missing and counts as the mean, with its flag raised.

        Returns
        -------
        torch.Tensor
            float32, (B, n_inputs): all standardised (motion, embedding, features), then the squares of motion
            and features, as far above their expectation as a normal variable's deviates, then their flags.
        """
        known = torch.cat([motion, embedding, features], dim=1)
        z = ((known - self.centre) / self.scale).clamp(-CLIP, CLIP)
        n_motion = motion.shape[1]
        may_be_missing = torch.cat([z[:, :n_motion], z[:, n_motion + self.n_embedding :]], dim=1)  # (B, 30)
        squares = (may_be_missing.square() - 1.0) / 2.0**0.5
        out = torch.cat([z, squares], dim=1).nan_to_num(nan=0.0)
        return torch.cat([out, torch.isnan(may_be_missing).to(out.dtype)], dim=1)

    def forward(self, embedding: Tensor, motion: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Score.

        Returns
        -------
        log_odds : torch.Tensor
            float32, (B, n_heads), calibrated.
        contributions : torch.Tensor
            float32, (B, n_parts): of the mean head, against the reference; their sum is its log-odds less
            those of the reference.
        """
        x = self.inputs(embedding, motion, features)
        log_odds = x @ self.weights.T + self.biases
        moved = (x - self.reference) * self.weights.mean(dim=0)
        return log_odds, moved @ self.parts

    @property
    def reference_log_odds(self) -> float:
        """Log-odds of the mean head for the mean inputs of the reference population."""
        return float(self.reference @ self.weights.mean(dim=0) + self.biases.mean())
