"""Stored risk decided again by :func:`streams.alert.decide`, as the alert stage does, under any policy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.alert import AlertKind, AlertRaised
from schemas.risk import RiskAssessed
from streams.alert import decide
from streams.patient_state import PatientState
from streams.policy import Policy
from streams.transition import RiskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One alert the policy would have raised; times by acquisition, UTC."""

    patient_id: str
    ecg_id: str
    acquired_at: datetime
    kind: AlertKind
    first_seen: bool
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a replay.

    Attributes
    ----------
    policy : Policy
    alerts : tuple of Raised
        In order of decision.
    n_closed : int
        Alerts whose episode ended.
    high, observed : timedelta
        Summed over patients: time between two scored ECGs with the patient in HIGH, and in any state.
    """

    policy: Policy
    alerts: tuple[Raised, ...]
    n_closed: int
    high: timedelta
    observed: timedelta


@dataclass(slots=True, kw_only=True)
class _Tally:
    alerts: list[Raised] = field(default_factory=list)
    n_closed: int = 0
    high: timedelta = timedelta(0)
    observed: timedelta = timedelta(0)


def replay(risks: Iterable[RiskAssessed], policy: Policy, since: datetime | None = None) -> Replayed:
    """Decide assessments in the order given, which for one patient must be that of the topic.

    Repeats and late ECGs change nothing, as on the stream. The same arguments give the same answer.

    Parameters
    ----------
    since : datetime or None
        UTC; alerts and time from then on are counted. What lies before still makes the patients' states, so
        that nobody is seen for the first time only because counting begins.
    """
    states: dict[str, PatientState] = {}
    tally = _Tally()
    for risk in risks:
        before = states.get(risk.patient_id, PatientState())
        decision = decide(before, risk, policy)
        states[risk.patient_id] = decision.state
        if decision.unmoved is not None:
            continue
        _count_time(tally, before, risk.acquired_at, since)
        if since is None or risk.acquired_at >= since:
            raised = [each for each in decision.alerts if isinstance(each, AlertRaised)]
            tally.alerts.extend(map(_raised, raised))
            tally.n_closed += len(decision.alerts) - len(raised)
    return Replayed(
        policy=policy,
        alerts=tuple(tally.alerts),
        n_closed=tally.n_closed,
        high=tally.high,
        observed=tally.observed,
    )


def _count_time(tally: _Tally, before: PatientState, until: datetime, since: datetime | None) -> None:
    if before.newest is None:
        return
    begin = before.newest.acquired_at if since is None else max(before.newest.acquired_at, since)
    lasted = max(until - begin, timedelta(0))
    tally.observed += lasted
    if before.risk_state is RiskState.HIGH:
        tally.high += lasted


def _raised(alert: AlertRaised) -> Raised:
    return Raised(
        patient_id=alert.patient_id,
        ecg_id=alert.ecg_id,
        acquired_at=alert.acquired_at,
        kind=alert.kind,
        first_seen=alert.first_seen,
        probability=alert.probability,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was replayed, whatever the policy.

    Attributes
    ----------
    n_ecgs, n_scored : int
        Different ECGs in the time counted, and those of them with a score.
    patients : frozenset of str
    ecgs : dict of str to (str, datetime)
        Patient and time of acquisition, by ``ecg_id``.
    first, last : datetime or None
        Of acquisition; None of nothing.
    """

    n_ecgs: int
    n_scored: int
    patients: frozenset[str]
    ecgs: dict[str, tuple[str, datetime]]
    first: datetime | None
    last: datetime | None

    @property
    def days(self) -> float:
        """Days from the first to the last ECG; 0 of one or none."""
        return (
            0.0 if self.first is None or self.last is None else (self.last - self.first) / timedelta(days=1)
        )


def seen(risks: Sequence[RiskAssessed], since: datetime | None = None) -> Seen:
    """Look at what is replayed; repeats count once."""
    counted = [risk for risk in risks if since is None or risk.acquired_at >= since]
    times = [risk.acquired_at for risk in counted]
    return Seen(
        n_ecgs=len({risk.ecg_id for risk in counted}),
        n_scored=len({risk.ecg_id for risk in counted if risk.probability is not None}),
        patients=frozenset(risk.patient_id for risk in counted),
        ecgs={risk.ecg_id: (risk.patient_id, risk.acquired_at) for risk in counted},
        first=min(times, default=None),
        last=max(times, default=None),
    )
