"""A cohort ready for the model, in arrays: what training and study read, from memory or mapped from disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """ECGs of a cohort through the same conditioning and measuring as the running pipeline, row by row.

    Attributes
    ----------
    keys, patient_keys : numpy.ndarray
        str, (n,): the recording, and its patient.
    inputs_uv : numpy.ndarray
        int16, (n, 8, 5000), µV: the model input of :class:`schemas.featurized.EcgFeaturized`.
    beats_uv : numpy.ndarray
        int16, (n, 8, 550), µV: the median beat of the same; all 0 where there is none.
    features : numpy.ndarray
        float32, (n, len(models.features.COLUMNS)); NaN is missing, as voltages are where amplitudes have no
        unit.
    velocities_cm_s : numpy.ndarray
        float32, (n, 2, 128), cm/s; NaN where no tissue Doppler was done.
    outcomes : mapping of str to numpy.ndarray
        float64, (n,), by name; NaN is not known. ``is_high_risk`` is the label, 0 or 1.
    """

    keys: npt.NDArray[np.str_]
    patient_keys: npt.NDArray[np.str_]
    inputs_uv: npt.NDArray[np.int16]
    beats_uv: npt.NDArray[np.int16]
    features: npt.NDArray[np.float32]
    velocities_cm_s: npt.NDArray[np.float32]
    outcomes: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the ECGs."""
        return len(self.keys)

    def rows(self, chosen: Rows) -> "Cohort":
        """ECGs at these indices, or where True; a copy unless a slice."""
        picked: dict[str, Any] = {
            each.name: getattr(self, each.name)[chosen] for each in fields(self) if each.name != "outcomes"
        }
        return Cohort(**picked, outcomes={name: column[chosen] for name, column in self.outcomes.items()})

    def without_inputs(self) -> "Cohort":
        """Give the same ECGs with ``inputs_uv`` of no leads, for those who do not read it: 80 kB an ECG."""
        return replace(self, inputs_uv=self.inputs_uv[:, :0, :0])
