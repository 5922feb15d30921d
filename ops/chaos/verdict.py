"""Is what came out what must come out? Each difference is named; none is forgiven.

The patients are made up, so ids stand in here; nothing of this is used on a real system.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ops.chaos.observed import Observed, Point
from ops.chaos.oracle import Accepted, Closed, Oracle, Raised
from schemas.alert import AlertClosed, AlertRaised
from schemas.risk import RiskAssessed

#: A batch of other composition may move the last of 4 decimals by one, and with it one step by rounding.
TOLERANCE: Final = 2e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All differences, by what is wrong.

    Attributes
    ----------
    lost, invented, contradictory : tuple of str
        Alerts (or their ends) that are missing, that nothing called for, and those that exist with two
        contents or another one than they must have.
    counts : tuple of str
        ECGs and messages that did not end exactly once, as they must.
    history : tuple of str
        Patients whose history in Redis is not what was accepted.
    offsets : tuple of str
        Stages that have not committed to the end.
    """

    lost: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    contradictory: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> tuple[str, ...]:
        """All of them."""
        return (
            *self.lost,
            *self.invented,
            *self.contradictory,
            *self.counts,
            *self.history,
            *self.offsets,
        )

    @property
    def holds(self) -> bool:
        """Whether there is no difference."""
        return not self.differences


def judge(observed: Observed, oracle: Oracle) -> Verdict:
    """Compare.

    Parameters
    ----------
    oracle : Oracle
        Has taken ``observed.inputs``, in their order.
    """
    raised, closed = observed.raised, observed.closed
    return Verdict(
        lost=tuple(
            [f"lost: {_said(must)}" for name, must in oracle.raised.items() if name not in raised]
            + [f"lost: {_said(must)}" for name, must in oracle.closed.items() if name not in closed]
        ),
        invented=tuple(
            [
                f"invented: {each[0][1].kind} {name}"
                for name, each in raised.items()
                if name not in oracle.raised
            ]
            + [f"invented: end of {name}" for name in closed if name not in oracle.closed]
        ),
        contradictory=tuple(_contradictions(observed, oracle)),
        counts=tuple(_uncounted(observed, oracle)),
        history=tuple(_history_faults(observed, oracle)),
        offsets=tuple(f"{stage} has not committed {n} records" for stage, n in observed.behind.items()),
        totals=_totals(observed, oracle),
    )


def _said(must: Raised | Closed) -> str:
    what = must.kind if isinstance(must, Raised) else "end"
    return f"{what} {must.alert_id} of {must.patient_id} at ECG {must.ecg_id}"


def _contradictions(observed: Observed, oracle: Oracle) -> Iterator[str]:
    for alert_id, raised in observed.raised.items():
        if len({payload for payload, _ in raised}) > 1:
            yield f"contradictory: {alert_id} was raised with {len(raised)} contents"
        must = oracle.raised.get(alert_id)
        if must is not None:
            names = [name for _, each in raised for name in _raised_differently(each, must)]
            yield from (f"contradictory: {alert_id} has another {name}" for name in dict.fromkeys(names))
    for alert_id, closed in observed.closed.items():
        if len({payload for payload, _ in closed}) > 1:
            yield f"contradictory: {alert_id} was closed with {len(closed)} contents"
        end = oracle.closed.get(alert_id)
        if end is not None:
            names = [name for _, each in closed for name in _closed_differently(each, end)]
            yield from (
                f"contradictory: the end of {alert_id} has another {name}" for name in dict.fromkeys(names)
            )


def _raised_differently(alert: AlertRaised, must: Raised) -> Iterator[str]:
    exact = ("kind", "patient_id", "episode_ecg_id", "ecg_id", "acquired_at", "first_seen", "before_ecg_id")
    yield from (name for name in (*exact, "policy_version") if getattr(alert, name) != getattr(must, name))
    for name in ("probability", "probability_before"):
        if not _is_near(getattr(alert, name), getattr(must, name)):
            yield name


def _closed_differently(alert: AlertClosed, must: Closed) -> Iterator[str]:
    exact = ("patient_id", "ecg_id", "acquired_at")
    yield from (name for name in exact if getattr(alert, name) != getattr(must, name))
    if not _is_near(alert.probability, must.probability):
        yield "probability"


def _uncounted(observed: Observed, oracle: Oracle) -> Iterator[str]:
    """Name what did not end exactly once, or ended without having come in."""
    yield from observed.strange
    known = oracle.ecgs.keys() | {poison.key.decode() for poison in observed.poison.values()}
    yield from (f"acknowledged, but not in the log: {name}" for name in sorted(observed.acknowledged - known))
    for ecg_id, ecg in oracle.ecgs.items():
        risks = observed.assessments.get(ecg_id, [])
        if not risks:
            yield f"ECG {ecg_id} of {ecg.patient_id} was never assessed"
        yield from (f"ECG {ecg_id}: {name}" for name in dict.fromkeys(_wrong_in(risks, ecg)))
    for ecg_id in observed.assessments.keys() - oracle.ecgs.keys():
        yield f"ECG {ecg_id} was assessed and never came in"
    for place, poison in observed.poison.items():
        codes = observed.dead.get(place, set())
        if codes != {poison.code}:
            yield f"{poison.kind} at {place} ended as {sorted(codes) or 'nothing'}, not {poison.code}"
    for place in observed.dead.keys() - observed.poison.keys():
        yield f"dead letter of {place}, which is no poison: {sorted(observed.dead[place])}"


def _wrong_in(risks: list[RiskAssessed], ecg: Accepted) -> Iterator[str]:
    for risk in risks:
        if (risk.patient_id, risk.acquired_at) != (ecg.patient_id, ecg.acquired_at):
            yield "assessed as another's or of another time"
        if not _is_near(risk.probability, ecg.probability):
            yield f"probability {risk.probability}, not {ecg.probability}"
        if frozenset(risk.not_scored_reasons) != ecg.reasons:
            yield f"not scored for {sorted(risk.not_scored_reasons)}, not {sorted(ecg.reasons)}"


def _history_faults(observed: Observed, oracle: Oracle) -> Iterator[str]:
    for patient_id, ecgs in oracle.history().items():
        points = observed.histories.get(patient_id, [])
        if [point.acquired_at for point in points] != sorted(point.acquired_at for point in points):
            yield f"history of {patient_id} is out of order"
        names = [(point.ecg_id, point.bundle_version) for point in points]
        if len(set(names)) < len(names):
            yield f"history of {patient_id} has a point twice"
        missing = {ecg.ecg_id for ecg in ecgs} - {point.ecg_id for point in points}
        foreign = {point.ecg_id for point in points} - {ecg.ecg_id for ecg in ecgs}
        if missing or foreign:
            yield f"history of {patient_id}: {len(missing)} of {len(ecgs)} missing, {len(foreign)} foreign"
        must = {ecg.ecg_id: ecg for ecg in ecgs}
        wrong = [
            point for point in points if point.ecg_id in must and not _is_point(point, must[point.ecg_id])
        ]
        if wrong:
            yield f"history of {patient_id} has {len(wrong)} points of another content"


def _is_point(point: Point, ecg: Accepted) -> bool:
    return (
        point.acquired_at == ecg.acquired_at
        and _is_near(point.probability, ecg.probability)
        and point.reasons == ecg.reasons
    )


def _is_near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE


def _totals(observed: Observed, oracle: Oracle) -> dict[str, int]:
    first = [risks[0] for risks in observed.assessments.values()]
    scored = sum(risk.probability is not None for risk in first)
    return {
        "messages": len(observed.inputs) + len(observed.poison),
        "ecgs": len(oracle.ecgs),
        "scored": scored,
        "not_scored": len(first) - scored,
        "dead": len(observed.dead),
        "raised": len(observed.raised),
        "closed": len(observed.closed),
        "assessed_again": sum(map(len, observed.assessments.values())) - len(first),
        "alerts_again": sum(map(len, observed.raised.values())) - len(observed.raised),
        "points": sum(map(len, observed.histories.values())),
        "stragglers": observed.stragglers,
        "alarms": observed.alarms,
    }
