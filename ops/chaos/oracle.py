"""What must come out, computed from what went in: written from the words of the design, not from the stages.

Nothing of ``streams`` is imported here, so an error there is not repeated here. Per patient, in the order of
the log:

* An ECG whose id was seen before changes nothing.
* Every accepted ECG is a point of the history, scored or not.
* One that is not scored moves nothing. One that is not newer than the newest scored ECG (by acquisition, then
  id) moves nothing.
* The first scored ECG decides alone. From then on a change needs n of the last m scored ECGs since the last
  change, the newest of them among the n.
* Entering HIGH opens an episode, named after the ECG that completed the confirmation. It owes one
  ENTERED_HIGH, withheld within the lockout after the patient's last alert unless the risk stepped up since
  then; after that, one STEPPED_UP when the risk stepped up since the last alert. Below the exit threshold
  nothing is raised. Leaving HIGH closes what the episode raised.
"""

import hashlib
import json
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "diastole.ecg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """An alert policy as the oracle reads it; ``version`` is the label and a digest of all the numbers."""

    version: str
    enter: float
    leave: float
    n: int
    m: int
    lockout: timedelta
    step_up: float


def read_rules(path: Path) -> Rules:
    """Read a policy file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    fields = {
        name: float(table[name]) for name in ("enter_threshold", "exit_threshold", "lockout_h", "step_up")
    }
    whole = {"confirm_m": table["confirm_m"], "confirm_n": table["confirm_n"], "label": table["version"]}
    canonical = json.dumps({**fields, **whole}, sort_keys=True, separators=(",", ":"))
    return Rules(
        version=f"{table['version']}+{hashlib.sha256(canonical.encode()).hexdigest()[:8]}",
        enter=fields["enter_threshold"],
        leave=fields["exit_threshold"],
        n=whole["confirm_n"],
        m=whole["confirm_m"],
        lockout=timedelta(hours=fields["lockout_h"]),
        step_up=fields["step_up"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One ECG as the log has it, with what the bundle says of its waveform.

    Attributes
    ----------
    probability : float or None
        None when it must not be scored, for ``reasons``.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    probability: float | None
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An alert that must be there, and what must stand in it."""

    alert_id: str
    kind: str
    patient_id: str
    episode_ecg_id: str
    ecg_id: str
    acquired_at: datetime
    first_seen: bool
    probability: float
    before_ecg_id: str | None
    probability_before: float | None
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The end of an alert that must be there."""

    alert_id: str
    patient_id: str
    ecg_id: str
    acquired_at: datetime
    probability: float


@dataclass(slots=True, kw_only=True)
class _Patient:
    seen: set[str] = field(default_factory=set)
    newest: Accepted | None = None
    is_high: bool | None = None  # None: never scored
    votes: list[float] = field(default_factory=list)
    episode: Accepted | None = None
    is_first: bool = False
    raised: list[str] = field(default_factory=list)
    last_alert: Accepted | None = None


class Oracle:
    """Takes ECGs in the order of their partitions and says what must be there.

    Attributes
    ----------
    ecgs : dict of str to Accepted
        By id; each must end as one assessment and one point of its patient's history.
    raised, closed : dict
        By alert id.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._patients: defaultdict[str, _Patient] = defaultdict(_Patient)
        self.ecgs: dict[str, Accepted] = {}
        self.raised: dict[str, Raised] = {}
        self.closed: dict[str, Closed] = {}

    def take(self, ecgs: Iterable[Accepted]) -> None:
        """Account for further ECGs; of one patient in the order of the log."""
        for ecg in ecgs:
            if ecg.ecg_id not in self.ecgs:
                self.ecgs[ecg.ecg_id] = ecg
                self._move(self._patients[ecg.patient_id], ecg)

    def history(self) -> dict[str, list[Accepted]]:
        """Every patient's ECGs by acquisition time."""
        histories: defaultdict[str, list[Accepted]] = defaultdict(list)
        for ecg in sorted(self.ecgs.values(), key=_order):
            histories[ecg.patient_id].append(ecg)
        return dict(histories)

    def _move(self, patient: _Patient, ecg: Accepted) -> None:
        if ecg.probability is None or (patient.newest and _order(ecg) <= _order(patient.newest)):
            return
        patient.votes = [*patient.votes, ecg.probability][-self._rules.m :]
        wants = self._wants(patient, ecg.probability)
        if wants is not None and wants != patient.is_high:
            if wants:
                patient.episode, patient.is_first, patient.raised = ecg, patient.is_high is None, []
                self._raise(patient, ecg)
            elif patient.is_high:
                self._close(patient, ecg)
            patient.is_high, patient.votes = wants, []
        elif patient.is_high:
            self._raise(patient, ecg)
        patient.newest = ecg

    def _wants(self, patient: _Patient, probability: float) -> bool | None:
        """Which state the ECG moves the patient to; None leaves it."""
        above, below = probability >= self._rules.enter, probability < self._rules.leave
        if patient.is_high is None:
            return above
        if patient.is_high and below:
            return False if sum(p < self._rules.leave for p in patient.votes) >= self._rules.n else None
        if not patient.is_high and above:
            return True if sum(p >= self._rules.enter for p in patient.votes) >= self._rules.n else None
        return None

    def _raise(self, patient: _Patient, ecg: Accepted) -> None:
        episode, last, probability = patient.episode, patient.last_alert, ecg.probability
        if (
            episode is None
            or probability is None
            or probability < self._rules.leave
            or len(patient.raised) > 1
        ):
            return
        stepped_up = is_locked = False
        if last is not None and last.probability is not None:
            stepped_up = round(probability - last.probability, 6) >= self._rules.step_up
            is_locked = ecg.acquired_at < last.acquired_at + self._rules.lockout
        if not (stepped_up or (not patient.raised and not is_locked)):
            return
        kind = "STEPPED_UP" if patient.raised else "ENTERED_HIGH"
        alert_id = alert_id_of(self._rules.version, ecg.patient_id, episode.ecg_id, kind)
        self.raised[alert_id] = Raised(
            alert_id=alert_id,
            kind=kind,
            patient_id=ecg.patient_id,
            episode_ecg_id=episode.ecg_id,
            ecg_id=ecg.ecg_id,
            acquired_at=ecg.acquired_at,
            first_seen=patient.is_first,
            probability=probability,
            before_ecg_id=patient.newest.ecg_id if patient.newest else None,
            probability_before=patient.newest.probability if patient.newest else None,
            policy_version=self._rules.version,
        )
        patient.raised.append(alert_id)
        patient.last_alert = ecg

    def _close(self, patient: _Patient, ecg: Accepted) -> None:
        assert ecg.probability is not None  # noqa: S101  # only scored ECGs move a patient
        for alert_id in patient.raised:
            self.closed[alert_id] = Closed(
                alert_id=alert_id,
                patient_id=ecg.patient_id,
                ecg_id=ecg.ecg_id,
                acquired_at=ecg.acquired_at,
                probability=ecg.probability,
            )


def alert_id_of(policy_version: str, patient_id: str, episode_ecg_id: str, kind: str) -> str:
    """UUIDv5 over the parts, each with its length in front so that no two rows of parts read alike."""
    parts = (policy_version, patient_id, episode_ecg_id, kind)
    return str(uuid.uuid5(_NAMESPACE, "alert" + "".join(f"|{len(part)}:{part}" for part in parts)))


def _order(ecg: Accepted) -> tuple[datetime, str]:
    return ecg.acquired_at, ecg.ecg_id
