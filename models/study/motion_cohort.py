"""Generated motion beside the measured, of one cohort, for :mod:`models.study.motion_error`."""

import numpy as np
import torch

from models.cohorts.featurized import Cohort
from models.motion_measurements import MOTION_COLUMNS, N_VELOCITIES, measure_motion, rr_ms
from models.scoring import ExtractedArrays
from models.study.estimate import BoolArray, FloatArray
from models.study.labelled import Told, first_of_each_patient
from models.study.scored import MotionCohort


def motion_cohort(
    told: Told, cohort: Cohort, found: ExtractedArrays, *, is_external: bool
) -> MotionCohort | None:
    """Measure both kinds of curves in the same way; None where no tissue Doppler was done.

    The measured curves say themselves whether there is a late wave; the generated ones are silent about it in
    what the ECG shows to be atrial fibrillation.
    """
    rows = np.isfinite(cohort.velocities_cm_s).all(axis=(1, 2)) & first_of_each_patient(cohort)
    if not rows.any():
        return None
    return MotionCohort(
        name=told.name,
        what="synthetic motion of the ECG against tissue Doppler of the same moment",
        is_simulated=told.is_simulated,
        n_patients=int(rows.sum()),
        is_external=is_external,
        measured=measured_motion(cohort, rows),
        generated=_columns(found.motion[rows]),
        generated_sd={
            name: found.deviation[rows, i].astype(np.float64)
            for i, name in enumerate(MOTION_COLUMNS[:N_VELOCITIES])
        },
        n_not_scored=told.n_left_out + int((~rows).sum()),
    )


def measured_motion(cohort: Cohort, rows: BoolArray) -> dict[str, FloatArray]:
    """Measurements of the true curves of some rows, by name; NaN absent."""
    curves = torch.from_numpy(np.array(cohort.velocities_cm_s[rows]))
    nobody = torch.zeros(len(curves), dtype=torch.bool)
    return _columns(measure_motion(curves, rr_ms(np.array(cohort.features[rows])), nobody).numpy())


def _columns(measured: FloatArray) -> dict[str, FloatArray]:
    return {name: measured[:, i].astype(np.float64) for i, name in enumerate(MOTION_COLUMNS)}
