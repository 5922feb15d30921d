"""Pairs of ECG and tissue Doppler that the motion generator learns from, is judged and calibrated by."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.cohorts.featurized import Cohort
from models.motion import context_rows
from models.motion_measurements import N_VELOCITIES, is_fibrillating, measure_motion, rr_ms
from schemas.errors import ConfigurationError

#: Rows looked at, judged or measured at a time.
_CHUNK: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Pairs on a device.

    Attributes
    ----------
    beats_uv, context : torch.Tensor
        float32, as the generator gets them.
    rr_ms, fibrillating : torch.Tensor
        float32 and bool, (b,): what measuring needs to know.
    curves : torch.Tensor
        float32, (b, 2, 128), cm/s; measured.
    velocities : torch.Tensor
        float32, (b, 6), cm/s; s', e', a' of those curves, septal and lateral; NaN is absent.
    """

    beats_uv: Tensor
    context: Tensor
    rr_ms: Tensor
    fibrillating: Tensor
    curves: Tensor
    velocities: Tensor

    def velocity_errors(self, made: Tensor) -> Tensor:
        """Velocities of generated curves less the true ones: (b, 6), cm/s; NaN where one lacks the wave."""
        measured = measure_motion(made, self.rr_ms, self.fibrillating)[:, :N_VELOCITIES]
        return measured - self.velocities


class Pairs:
    """Rows of a cohort that have a beat and curves without gaps.

    Beats and curves are fetched when asked for, so that a cohort mapped from disk stays there.

    Raises
    ------
    ConfigurationError
        When there is no such row.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.rows = _paired_rows(cohort)
        features = torch.from_numpy(np.asarray(cohort.features[self.rows], dtype=np.float32))
        self.context = context_rows(features)
        self.rr_ms = rr_ms(features)
        self.fibrillating = is_fibrillating(features)
        self.velocities = torch.cat([self._velocities(places) for places in self._places()])

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.rows)

    def batch(self, places: Tensor, device: torch.device) -> Batch:
        """Fetch pairs at these places, int64, (b,), on the CPU."""
        beats_uv = torch.from_numpy(self.cohort.beats_uv[self.rows[places.numpy()]])
        return Batch(
            beats_uv=beats_uv.to(device).float(),
            context=self.context[places].to(device),
            rr_ms=self.rr_ms[places].to(device),
            fibrillating=self.fibrillating[places].to(device),
            curves=self._curves(places).to(device),
            velocities=self.velocities[places].to(device),
        )

    def batches(self, device: torch.device) -> Iterator[Batch]:
        """Fetch all, in order."""
        for places in self._places():
            yield self.batch(places, device)

    def _places(self) -> tuple[Tensor, ...]:
        return torch.split(torch.arange(len(self)), _CHUNK)

    def _curves(self, places: Tensor) -> Tensor:
        curves = self.cohort.velocities_cm_s[self.rows[places.numpy()]]
        return torch.from_numpy(np.asarray(curves, dtype=np.float32))

    def _velocities(self, places: Tensor) -> Tensor:
        measured = measure_motion(self._curves(places), self.rr_ms[places], self.fibrillating[places])
        return measured[:, :N_VELOCITIES]


def _paired_rows(cohort: Cohort) -> npt.NDArray[np.int64]:
    kept: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(cohort), _CHUNK):
        piece = slice(start, start + _CHUNK)
        is_whole = np.isfinite(cohort.velocities_cm_s[piece]).all(axis=(1, 2))
        has_beat = (cohort.beats_uv[piece] != 0).any(axis=(1, 2))
        kept.append(start + np.flatnonzero(is_whole & has_beat))
    rows = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    if rows.size == 0:
        raise ConfigurationError("no ECG of this cohort has both a beat and tissue-Doppler curves")
    return rows
