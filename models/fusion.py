"""The heads: embedding, measurements, age and sex fused into calibrated log-odds, with their uncertainty.

Each head is linear in standardised inputs, so what a part contributes is not an explanation after the fact
but the sum itself: reference log-odds plus the contributions *are* the log-odds. The heads differ in the
bootstrap sample of patients they were fitted on; their spread is the interval.
"""

import torch
from torch import Tensor, nn

from models.features import CLIP, COLUMNS, PARTS, WAVEFORM


def part_matrix(n_embedding: int) -> Tensor:
    """Which input belongs to which part: float32, (n_inputs, n_parts)."""
    owners = [WAVEFORM] * n_embedding + 2 * [part for _, part in COLUMNS]
    rows = torch.zeros(len(owners), len(PARTS))
    for i, part in enumerate(owners):
        rows[i, PARTS.index(part)] = 1.0
    return rows


class Heads(nn.Module):
    """Bootstrapped linear heads over embedding and features.

    Buffers
    -------
    centre, scale : (n_embedding + n_features,)
        Standardisation of the inputs.
    weights, biases : (n_heads, n_inputs), (n_heads,)
        Already calibrated. ``n_inputs`` = embedding, features, and one flag for each missing feature.
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
        n_inputs = n_embedding + 2 * len(COLUMNS)
        self.register_buffer("centre", torch.zeros(n_embedding + len(COLUMNS)))
        self.register_buffer("scale", torch.ones(n_embedding + len(COLUMNS)))
        self.register_buffer("weights", torch.zeros(n_heads, n_inputs))
        self.register_buffer("biases", torch.zeros(n_heads))
        self.register_buffer("reference", torch.zeros(n_inputs))
        self.register_buffer("parts", part_matrix(n_embedding), persistent=False)

    def inputs(self, embedding: Tensor, features: Tensor) -> Tensor:
        """Standardise, clip, and flag what is missing.

        Parameters
        ----------
        embedding : torch.Tensor
            float32, (B, n_embedding).
        features : torch.Tensor
            float32, (B, n_features); NaN is missing and counts as the mean, with its flag raised.

        Returns
        -------
        torch.Tensor
            float32, (B, n_inputs).
        """
        missing = torch.isnan(features)
        both = torch.cat([embedding, features], dim=1)
        z = ((both - self.centre) / self.scale).clamp(-CLIP, CLIP).nan_to_num(nan=0.0)
        return torch.cat([z, missing.float()], dim=1)

    def forward(self, embedding: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Score.

        Returns
        -------
        log_odds : torch.Tensor
            float32, (B, n_heads), calibrated.
        contributions : torch.Tensor
            float32, (B, n_parts): of the mean head, against the reference; their sum is its log-odds less
            those of the reference.
        """
        z = self.inputs(embedding, features)
        log_odds = z @ self.weights.T + self.biases
        moved = (z - self.reference) * self.weights.mean(dim=0)
        return log_odds, moved @ self.parts

    @property
    def reference_log_odds(self) -> float:
        """Log-odds of the mean head for the mean inputs of the reference population."""
        return float(self.reference @ self.weights.mean(dim=0) + self.biases.mean())
