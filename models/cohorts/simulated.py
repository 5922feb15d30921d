"""Simulated patients and wards: seeded people whose hearts change over weeks, recorded on request.

Everything is a function of seed and time: the same patient at the same instant gives the same ECG with the
same id, in any process and in any order of asking. Nothing in here is a model of a real person.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from models.cohorts.drawing import Rhythm, draw_leads_mv, draw_rhythm
from models.cohorts.echo import Echo, draw_echo
from models.cohorts.heart import HeartState, Population, Traits, draw_traits, heart_state
from models.cohorts.recorder import RECORDERS, Fault, Recorder, acquire
from models.cohorts.tissue_doppler import Velocities, draw_velocities
from schemas.identity import ecg_id
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded, Sex

#: Separate streams of random numbers per purpose: one more draw in one leaves the others as they were.
_TRAITS, _COURSE, _RHYTHM, _NOISE, _ECHO, _FAULT, _LEADS, _DOPPLER = range(8)
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
    population: Population = field(default_factory=Population)
    site_id: str = "SIM"
    ward_id: str = "W1"

    @property
    def patient_id(self) -> str:
        """E.g. ``SIM-000123``."""
        return f"SIM-{self.seed:06d}"

    @property
    def traits(self) -> Traits:
        """What stays with this person."""
        return draw_traits(np.random.default_rng([self.seed, _TRAITS]), self.population)

    def state(self, at: datetime, severity: float | None = None) -> HeartState:
        """Latent state of the heart at this instant."""
        return heart_state(self.traits, self.course.severity(at) if severity is None else severity)

    def velocities(self, at: datetime, severity: float | None = None) -> Velocities:
        """Measure what tissue Doppler at this instant would show, at the heart rate of the ECG."""
        traits, state = self.traits, self.state(at, severity)
        rhythm = self._rhythm(at, traits, state)
        return draw_velocities(self._rng(_DOPPLER, at), traits, state, rhythm.rr_ms, rhythm.pr_ms)

    def echo(self, at: datetime, severity: float | None = None) -> Echo:
        """Measure what an echocardiogram at this instant would find."""
        traits, state = self.traits, self.state(at, severity)
        return draw_echo(self._rng(_ECHO, at), traits, state, self.velocities(at, severity))

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
        traits, state = self.traits, self.state(at, severity)
        rhythm = self._rhythm(at, traits, state, is_paced=fault is Fault.PACED)
        leads_mv = draw_leads_mv(self._rng(_LEADS, at), rhythm, cart.duration_s)
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

    def _rhythm(self, at: datetime, traits: Traits, state: HeartState, *, is_paced: bool = False) -> Rhythm:
        return draw_rhythm(self._rng(_RHYTHM, at), traits, state, self.recorder.duration_s, is_paced)

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
        cart = RECORDERS[bed % len(RECORDERS)]
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
            return Course(start=calm, end=float(rng.uniform(1.05, 1.2)), onset=onset, rise=self.rise)
        level = float(rng.uniform(0.75, 0.95)) if bed % 6 == 1 else calm
        return Course(start=level, end=level)
