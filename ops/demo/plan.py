"""How large the demo is, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ops.ledger import Ledger
from ops.services import BrokerKind
from streams.history import HistoryPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How large the demo is.

    Attributes
    ----------
    beds, rounds : int
        Simulated patients, and ECGs of each.
    every : timedelta
        Simulated time between two rounds.
    ecgs_per_s : float
        Pace of publishing.
    ends_within_s : float
        How long after publishing everything may take to end.
    shared_ecg : Path or None
        Folder of more real recordings.
    keep : bool
        Keep the ward playing and everything running until interrupted.
    """

    beds: int = 14
    rounds: int = 22
    every: timedelta = timedelta(days=2)
    ecgs_per_s: float = 14.0
    ends_within_s: float = 40.0
    partitions: int = 4
    broker: BrokerKind = "embedded"
    shared_ecg: Path | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoOutcome:
    """What came of it.

    Attributes
    ----------
    home : Path
        Data folder.
    deteriorating : sequence of str
        Ids of the simulated patients whose disease progresses during the play.
    history : list of HistoryPoint
        Of one of them who was alerted about, as Redis has it; empty when nobody was.
    phases_s : mapping of str to float
        How long each phase took, seconds.
    interrupted : bool
        Somebody stopped it before the play was over: then nothing can be said.
    """

    ledger: Ledger
    home: Path
    deteriorating: Sequence[str]
    history: Sequence[HistoryPoint] = ()
    phases_s: Mapping[str, float] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def alerted(self) -> list[str]:
        """Ids of the deteriorating patients with an alert that followed a lower risk."""
        risen = {alert.patient_id for alert in self.ledger.alerts.values() if not alert.first_seen}
        return [patient_id for patient_id in self.deteriorating if patient_id in risen]

    @property
    def holds(self) -> bool:
        """Whether the counts close and the rise of at least one deteriorating patient raised an alert."""
        return not self.interrupted and self.ledger.closes and bool(self.alerted)
