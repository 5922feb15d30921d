"""A simulated cohort in arrays, through the same conditioning and measuring as the running pipeline."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.recorder import Recorder
from models.cohorts.simulated import Course, SimulatedPatient
from models.features import COLUMNS
from schemas.featurized import MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES
from schemas.recorded import EcgRecorded

#: One recorded ECG → model input (int16, (8, 5000), µV) and feature row.
Featurizer = Callable[[EcgRecorded], tuple[npt.NDArray[np.int16], list[float]]]
#: Told what is being done and how far it has come, 0 to 1.
Progress = Callable[[str, float], None]

#: Cohort patients are numbered from here, so that no simulated ward ever holds one of them.
FIRST_SEED: Final = 900_000_000
#: Findings the encoder also learns to read: what :class:`models.cohorts.physiology.Echo` holds.
N_FINDINGS: Final = 5

_RATES_HZ: Final = (250.0, 400.0, 500.0, 1000.0)
_WHEN: Final = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """One ECG and one echo of each patient, row by row.

    Attributes
    ----------
    inputs_uv : numpy.ndarray
        int16, (n, 8, 5000), µV.
    features : numpy.ndarray
        float32, (n, len(COLUMNS)); NaN is missing.
    findings : numpy.ndarray
        float32, (n, 5): e' cm/s, E/e', TR m/s, LAVI mL/m², LVMI g/m².
    is_high_risk : numpy.ndarray
        float32, (n,), 0 or 1: the label, from the echo side alone.
    """

    inputs_uv: npt.NDArray[np.int16]
    features: npt.NDArray[np.float32]
    findings: npt.NDArray[np.float32]
    is_high_risk: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Count the patients."""
        return len(self.is_high_risk)

    def rows(self, start: int, stop: int) -> "Cohort":
        """Patients from ``start`` to before ``stop``."""
        return Cohort(
            inputs_uv=self.inputs_uv[start:stop],
            features=self.features[start:stop],
            findings=self.findings[start:stop],
            is_high_risk=self.is_high_risk[start:stop],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One patient coming once: an ECG and an echo of the same moment."""

    patient: SimulatedPatient
    at: datetime

    @property
    def ecg(self) -> EcgRecorded:
        """The ECG."""
        return self.patient.record(self.at)


def visits(seed: int, n: int) -> Iterator[Visit]:
    """Draw visits: three of five patients are mostly well, the others ill; carts of all rates."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        severity = float(rng.beta(1.3, 4.0) if rng.random() < 0.6 else rng.beta(3.0, 2.0))
        cart = Recorder(
            sample_rate_hz=_RATES_HZ[int(rng.integers(4))], mains_hz=float(rng.choice([50.0, 60.0]))
        )
        patient = SimulatedPatient(
            seed=FIRST_SEED + seed * 1_000_000 + i, course=Course(start=severity, end=severity), recorder=cart
        )
        yield Visit(patient=patient, at=_WHEN + timedelta(hours=float(rng.uniform(0, 8760))))


def collect(drawn: Iterable[Visit], n: int, featurizer: Featurizer, progress: Progress) -> Cohort:
    """Record, featurize and label ``n`` visits."""
    cohort = Cohort(
        inputs_uv=np.zeros((n, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES), dtype=np.int16),
        features=np.zeros((n, len(COLUMNS)), dtype=np.float32),
        findings=np.zeros((n, N_FINDINGS), dtype=np.float32),
        is_high_risk=np.zeros(n, dtype=np.float32),
    )
    for i, visit in enumerate(islice(drawn, n)):
        cohort.inputs_uv[i], cohort.features[i] = featurizer(visit.ecg)
        echo = visit.patient.echo(visit.at)
        cohort.findings[i], cohort.is_high_risk[i] = astuple(echo), echo.is_high_risk
        if i % 100 == 0:
            progress("simulate", i / n)
    return cohort
