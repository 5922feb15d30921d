"""ECGs for tests of training: beats of a known rate and width in eight leads, quick to draw."""

import numpy as np

from models.cohorts.featurized import Cohort
from models.features import COLUMN_NAMES


def drawn_cohort(n: int, seed: int = 1, ecgs_each: int = 1) -> Cohort:
    """Rate, width, axis and voltages are known of each; age of two in three, sex of all but the first."""
    rng = np.random.default_rng(seed)
    rate, width_ms = rng.uniform(50, 110, n), rng.uniform(70, 150, n)
    height_mv = rng.uniform(0.3, 1.5, (n, 8))
    time_s = np.arange(5000) / 500.0
    since_beat_s = (time_s + rng.random((n, 1))) % (60.0 / rate[:, None]) - 0.2
    wave = np.exp(-0.5 * (since_beat_s / (width_ms[:, None] / 4000.0)) ** 2)
    noise = 10.0 * rng.standard_normal((n, 8, 5000))
    beat = np.exp(-0.5 * ((np.arange(550) - 200) / (width_ms[:, None] / 8.0)) ** 2)
    features = np.full((n, len(COLUMN_NAMES)), np.nan, dtype=np.float32)
    male = rng.random(n) < 0.5
    known = {
        "heart_rate_bpm": rate,
        "rr_sd_ms": np.where(male, 10.0, 200.0),
        "qrs_ms": width_ms,
        "qrs_axis_deg": rng.uniform(-180, 180, n),
        "r_v5_mv": height_mv[:, 6],
        "age_years": np.where(np.arange(n) % 3 == 0, np.nan, rng.uniform(30, 90, n)),
        "sex": np.where(np.arange(n) == 0, np.nan, np.where(male, 1.0, -1.0)),
    }
    for name, column in known.items():
        features[:, COLUMN_NAMES.index(name)] = column
    keys = np.array([f"{i:04d}" for i in range(n)])
    return Cohort(
        keys=keys,
        patient_keys=np.array([f"P{i // ecgs_each}" for i in range(n)]),
        inputs_uv=(1000.0 * height_mv[:, :, None] * wave[:, None] + noise).astype(np.int16),
        beats_uv=(1000.0 * height_mv[:, :, None] * beat[:, None]).astype(np.int16),
        features=features,
        velocities_cm_s=np.full((n, 2, 128), np.nan, dtype=np.float32),
    )
