"""What one seed means: patients, their ECGs in order of arrival, what is wrong with some, and the faults."""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ops.chaos.oracle import Accepted
from ops.chaos.palette import Waveform
from ops.chaos.poison import Poison, draw_poison
from schemas.recorded import EcgRecorded, Urgency

#: Long past, so that no clock that jumps by a day makes an ECG one of the future.
_START: Final = datetime(2025, 6, 1, tzinfo=UTC)

#: Acquired so far ahead that it is never scored, whatever the clocks do.
_AHEAD: Final = timedelta(days=3650)

#: Distances between a patient's ECGs, hours: within and beyond the lockout of 8 h, at its end, and none.
_GAPS_H: Final = (0.02, 0.5, 1.0, 2.5, 4.0, 7.5, 8.0, 9.0, 20.0)
_SAME_INSTANT_ODDS: Final = 0.01

#: Shares of ECGs: not to be scored, dated ahead, sent again, arriving after later ones, sent as urgent; and
#: of poison beside them.
_NOT_SCORED, _FUTURE, _REPEATED, _LATE, _URGENT, _POISON = 0.07, 0.005, 0.04, 0.05, 0.03, 0.02

#: How many arrivals later something late or repeated comes.
_LATER: Final = 60

#: A patient's mood lasts five ECGs on average; within it most ECGs agree with it.
_MOOD_CHANGES, _MOOD_HOLDS = 0.2, 0.85

_BURSTS: Final = (1, 2, 4, 8, 16, 32, 96)

#: Where faults may begin, as shares of the arrivals.
_FAULTS_WITHIN: Final = (0.03, 0.93)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One ECG that is to be recorded.

    Attributes
    ----------
    reasons : frozenset of str
        Why it must not be scored, beside what its waveform gives reason for.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    waveform: Waveform
    is_urgent: bool = False
    reasons: frozenset[str] = frozenset()

    def ecg(self) -> EcgRecorded:
        """Make the record; the same every time."""
        return replace(
            self.waveform.ecg,
            ecg_id=self.ecg_id,
            patient_id=self.patient_id,
            acquired_at=self.acquired_at,
            site_id="CHAOS",
            ward_id=self.patient_id.split("-")[0],
            urgency=Urgency.STAT if self.is_urgent else Urgency.ROUTINE,
            source_system="diastole chaos",
        )

    def accepted(self) -> Accepted:
        """Say what the oracle must know of it."""
        reasons = self.reasons | frozenset(self.waveform.reasons)
        return Accepted(
            ecg_id=self.ecg_id,
            patient_id=self.patient_id,
            acquired_at=self.acquired_at,
            probability=None if reasons else self.waveform.probability,
            reasons=reasons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything follows from the seed and the sizes; the same arguments give the same play.

    Attributes
    ----------
    ecgs : int
        Distinct ECGs; repeats and poison come on top.
    faults : int
        How many faults are injected.
    """

    seed: int
    ecgs: int = 2000
    patients: int = 100
    faults: int = 5

    @property
    def prefix(self) -> str:
        """Begins every key of this play, so that several can share a cluster."""
        return f"CH{self.seed:05d}-"

    def arrivals(self, palette: Sequence[Waveform]) -> list[Planned | Poison]:
        """List what arrives, in order."""
        chance = random.Random(self.seed)
        due: list[tuple[float, Planned | Poison]] = []
        for number, planned in enumerate(self._recorded(chance, palette)):
            late = chance.randrange(1, _LATER) if chance.random() < _LATE else 0
            due.append((number + late, planned))
            if chance.random() < _REPEATED:
                due.append((number + late + chance.random() * _LATER, planned))
            if chance.random() < _POISON:
                due.append((number + 0.5, draw_poison(f"{self.prefix}X{number}".encode(), chance)))
        return [arrival for _, arrival in sorted(due, key=lambda each: each[0])]

    def bursts(self, count: int) -> Iterator[int]:
        """Cut so many arrivals into bursts; between two of them there is a pause."""
        chance = random.Random(f"bursts-{self.seed}")
        while count > 0:
            size = min(count, chance.choice(_BURSTS))
            count -= size
            yield size

    def fault_plan(self, kinds: Sequence[str], arrivals: int) -> list[tuple[int, str]]:
        """Say after how many arrivals which fault begins.

        Over the seeds every kind comes equally often: they are dealt like cards, shuffled anew for each deal.
        """
        chance = random.Random(f"faults-{self.seed}")
        first, last = (round(share * arrivals) for share in _FAULTS_WITHIN)
        moments = sorted(chance.randrange(first, max(last, first + 1)) for _ in range(self.faults))
        dealt = range(self.seed * self.faults, (self.seed + 1) * self.faults)
        return list(zip(moments, [_dealt(kinds, number) for number in dealt], strict=True))

    def _recorded(self, chance: random.Random, palette: Sequence[Waveform]) -> Iterator[Planned]:
        """Yield the ECGs in the order they are recorded."""
        bands = _bands(palette)
        patients = [
            _Person(
                patient_id=f"{self.prefix}P{n:03d}", at=_START + timedelta(minutes=chance.randrange(9999))
            )
            for n in range(self.patients)
        ]
        for number in range(self.ecgs):
            person = chance.choice(patients)
            person.live_on(chance)
            ecg_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.prefix}{number}"))
            waveform, ahead = chance.choice(bands[person.band(chance)]), False
            if chance.random() < _NOT_SCORED:
                waveform = chance.choice(bands["none"])
            elif chance.random() < _FUTURE:
                ahead = True
            yield Planned(
                ecg_id=ecg_id,
                patient_id=person.patient_id,
                acquired_at=person.at + (_AHEAD if ahead else timedelta(0)),
                waveform=waveform,
                is_urgent=chance.random() < _URGENT,
                reasons=frozenset({"ACQUIRED_IN_FUTURE"} if ahead else ()),
            )


@dataclass(slots=True, kw_only=True)
class _Person:
    patient_id: str
    at: datetime
    mood: str = field(default="low")

    def live_on(self, chance: random.Random) -> None:
        if chance.random() >= _SAME_INSTANT_ODDS:
            self.at += timedelta(hours=chance.choice(_GAPS_H))
        if chance.random() < _MOOD_CHANGES:
            self.mood = chance.choice(["low", "middle", "high", "higher"])

    def band(self, chance: random.Random) -> str:
        return self.mood if chance.random() < _MOOD_HOLDS else chance.choice(["low", "middle", "high"])


def _bands(palette: Sequence[Waveform]) -> Mapping[str, list[Waveform]]:
    """Sort waveforms by risk; the names only make plausible patients, nothing is judged by them."""
    scored = [(each.probability, each) for each in palette if each.probability is not None]
    bands = {
        "low": [each for p, each in scored if p < 0.5],
        "middle": [each for p, each in scored if 0.35 <= p < 0.7],
        "high": [each for p, each in scored if 0.65 <= p < 0.85],
        "higher": [each for p, each in scored if p >= 0.85],
        "none": [each for each in palette if each.probability is None],
    }
    everything = [each for _, each in scored]
    return {name: band or everything for name, band in bands.items()}


def _dealt(kinds: Sequence[str], number: int) -> str:
    deal, place = divmod(number, len(kinds))
    cards = sorted(kinds)
    random.Random(f"deal-{deal}").shuffle(cards)
    return cards[place]
