"""Simulated patients and wards: seeded people whose hearts change over weeks, recorded on request.

Everything is a function of seed and time: the same patient at the same instant gives the same ECG with the
same id, in any process and in any order of asking. Nothing in here is a model of a real person.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from models.cohorts.drawing import draw_leads_mv
from models.cohorts.physiology import Echo, Processes, Traits, draw_echo, draw_traits, processes
from models.cohorts.recorder import Fault, Recorder, acquire
from schemas.identity import ecg_id
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded, Sex

#: Separate streams of random numbers per purpose: one more draw in one leaves the others as they were.
_TRAITS, _COURSE, _RECORDING, _NOISE, _ECHO, _FAULT = range(6)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the severity of one patient moves: level, then a smooth rise, then level again.

    Attributes
    ----------
    start, end : float
        Severity before and after, 0 healthy to 1 severe.
    onset : datetime
        When the rise begins; with ``start == end`` without meaning.
    rise : timedelta
        How long it takes.
    """

    start: float
    end: float
    onset: datetime = _EPOCH
    rise: timedelta = timedelta(days=21)

    def severity(self, at: datetime) -> float:
        """Severity at an instant."""
        done = min(max((at - self.onset) / self.rise, 0.0), 1.0)
        return self.start + (self.end - self.start) * done * done * (3.0 - 2.0 * done)  # smoothstep


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPatient:
    """One seeded patient.

    Attributes
    ----------
    seed : int
        Makes the person; also the number in the patient id.
    course : Course
        How severity moves over time.
    """

    seed: int
    course: Course
    recorder: Recorder = field(default_factory=Recorder)
    site_id: str = "SIM"
    ward_id: str = "W1"

    @property
    def patient_id(self) -> str:
        """E.g. ``SIM-000123``."""
        return f"SIM-{self.seed:06d}"

    @property
    def traits(self) -> Traits:
        """What stays with this person."""
        return draw_traits(np.random.default_rng([self.seed, _TRAITS]))

    def echo(self, at: datetime, severity: float | None = None) -> Echo:
        """Measure what an echocardiogram at this instant would find."""
        traits, state = self._state(at, severity)
        return draw_echo(self._rng(_ECHO, at), traits, state)

    def record(
        self,
        at: datetime,
        *,
        severity: float | None = None,
        fault: Fault | None = None,
        recorder: Recorder | None = None,
    ) -> EcgRecorded:
        """Record an ECG.

        Parameters
        ----------
        at : datetime
            Start of the recording, aware.
        severity : float, optional
            Instead of the course's.
        fault : Fault, optional
            What goes wrong.
        recorder : Recorder, optional
            Instead of the ward's. The heart beats the same for every recorder.
        """
        cart = recorder or self.recorder
        traits, state = self._state(at, severity)
        leads_mv = draw_leads_mv(
            self._rng(_RECORDING, at), traits, state, cart.duration_s, fault is Fault.PACED
        )
        samples = acquire(self._rng(_NOISE, at), leads_mv, cart, fault)
        return EcgRecorded(
            ecg_id=ecg_id(source_uid="", patient_id=self.patient_id, acquired_at=at, samples=samples),
            patient_id=self.patient_id,
            acquired_at=at.astimezone(UTC),
            site_id=self.site_id,
            ward_id=self.ward_id,
            device_id=cart.device_id,
            age_years=round(traits.age_years, 1),
            sex=Sex.MALE if traits.is_male else Sex.FEMALE,
            has_pacemaker=fault is Fault.PACED,
            sample_rate_hz=cart.sample_rate_hz,
            lead_names=LEADS_12,
            uv_per_unit=cart.uv_per_unit,
            samples=samples,
            source_system="diastole simulator",
            source_format="simulated",
        )

    def _state(self, at: datetime, severity: float | None) -> tuple[Traits, Processes]:
        traits = self.traits
        return traits, processes(traits, self.course.severity(at) if severity is None else severity)

    def _rng(self, purpose: int, at: datetime) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, (at - _EPOCH) // timedelta(milliseconds=1)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """A simulated ward: beds with stable and with deteriorating patients, and now and then a bad recording.

    Attributes
    ----------
    since : datetime
        When the ward starts; deteriorations begin within ``rise`` after it.
    fault_rate : float
        Share of recordings that go wrong.
    rise : timedelta
        How long a deterioration takes.
    """

    beds: int
    seed: int
    since: datetime
    fault_rate: float = 0.04
    rise: timedelta = timedelta(days=21)
    ward_id: str = "W1"

    def patient(self, bed: int) -> SimulatedPatient:
        """Return the patient in a bed, 0 to ``beds − 1``: every third deteriorates, one in six is ill.

        Raises
        ------
        IndexError
            When there is no such bed.
        """
        if not 0 <= bed < self.beds:
            raise IndexError(f"this ward has beds 0 to {self.beds - 1}, not {bed}")
        seed = self.seed * 1000 + bed
        rng = np.random.default_rng([seed, _COURSE])
        rates_hz = (500.0, 250.0, 1000.0, 400.0)
        cart = Recorder(device_id=f"SIM-CART-{bed % 4 + 1}", sample_rate_hz=rates_hz[bed % 4])
        return SimulatedPatient(seed=seed, course=self._course(bed, rng), recorder=cart, ward_id=self.ward_id)

    def record(self, bed: int, at: datetime) -> EcgRecorded:
        """Record the patient in a bed; the same bed and instant give the same ECG."""
        patient = self.patient(bed)
        rng = patient._rng(_FAULT, at)
        fault = list(Fault)[int(rng.integers(len(Fault)))] if rng.random() < self.fault_rate else None
        return patient.record(at, fault=fault)

    def round(self, at: datetime) -> Iterator[EcgRecorded]:
        """Record every bed once, a minute apart."""
        for bed in range(self.beds):
            yield self.record(bed, at + timedelta(minutes=bed))

    def _course(self, bed: int, rng: np.random.Generator) -> Course:
        calm = float(rng.uniform(0.0, 0.15))
        if bed % 3 == 0:
            onset = self.since + float(rng.uniform(0.1, 0.6)) * self.rise
            return Course(start=calm, end=float(rng.uniform(0.85, 1.0)), onset=onset, rise=self.rise)
        level = float(rng.uniform(0.75, 0.95)) if bed % 6 == 1 else calm
        return Course(start=level, end=level)
