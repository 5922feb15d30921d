"""What training does to one recorded ECG: the same functions of :mod:`models` as the featurize stage."""

import numpy as np
import numpy.typing as npt

from models.beats import r_peaks
from models.features import Person, feature_row
from models.measurements import measure
from models.signal import condition, model_input_uv
from schemas.recorded import EcgRecorded


def featurize_one(ecg: EcgRecorded) -> tuple[npt.NDArray[np.int16], list[float]]:
    """Condition and measure one ECG of a cohort that holds no unusable ones.

    Returns
    -------
    tuple
        Model input, int16, (8, 5000), µV, and feature row.
    """
    conditioned = condition(
        ecg.samples[None],
        sample_rate_hz=ecg.sample_rate_hz,
        lead_names=ecg.lead_names,
        uv_per_unit=ecg.uv_per_unit,
    )
    person = Person(age_years=ecg.age_years, sex=ecg.sex)
    (measurements,) = measure(conditioned.mv, r_peaks(conditioned.mv))
    return model_input_uv(conditioned.mv)[0], feature_row(measurements, person)
