"""What the bench publishes, and when: distinct ECGs of many patients, at moments nobody can wait out."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from models.cohorts.simulated import Course, SimulatedPatient
from schemas.identity import ecg_id
from schemas.recorded import EcgRecorded

#: Waveforms drawn; more would only make the bench slower to start, since the pipeline remembers none.
_WAVEFORMS: Final = 60
_ECGS_PER_PATIENT: Final = 4
#: Every fifth patient is ill from the start, so that alerts are frequent enough for a p99.
_ILL_EVERY: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """An endless supply of distinct ECGs; the same seed supplies the same ones.

    Attributes
    ----------
    ill, well : tuple of EcgRecorded
        Waveforms to draw from.
    """

    ill: tuple[EcgRecorded, ...]
    well: tuple[EcgRecorded, ...]
    started_at: datetime

    def ecg(self, number: int) -> EcgRecorded:
        """Return the ECG of this number: its patient has four, a minute apart."""
        patient = number // _ECGS_PER_PATIENT
        waveforms = self.ill if patient % _ILL_EVERY == 0 else self.well
        drawn = waveforms[number % len(waveforms)]
        patient_id, at = f"BENCH-{patient:07d}", self.started_at + timedelta(minutes=number)
        identity = ecg_id(source_uid="", patient_id=patient_id, acquired_at=at, samples=drawn.samples)
        return replace(drawn, ecg_id=identity, patient_id=patient_id, acquired_at=at)


def draw_load(now: datetime, seed: int = 11) -> Load:
    """Draw the waveforms; takes about a second."""
    at = now - timedelta(days=300)

    def drawn(severity: float, offset: int) -> tuple[EcgRecorded, ...]:
        course = Course(start=severity, end=severity)
        return tuple(
            SimulatedPatient(seed=seed * 10_000 + offset + n, course=course).record(at)
            for n in range(_WAVEFORMS // 2)
        )

    return Load(ill=drawn(0.95, 0), well=drawn(0.05, 5000), started_at=at)


def poisson_arrivals(rate_per_s: float, lasts_s: float, seed: int) -> Iterator[float]:
    """Yield moments in seconds since the start, gaps exponentially distributed: patients do not queue up.

    The schedule does not depend on how the system keeps up (open loop), so a stall is not hidden by
    sending less meanwhile.
    """
    gaps = random.Random(seed)
    at_s = gaps.expovariate(rate_per_s)
    while at_s < lasts_s:
        yield at_s
        at_s += gaps.expovariate(rate_per_s)
