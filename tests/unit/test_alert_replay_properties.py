"""The set of alerts is a function of the ECGs: whatever is repeated, replayed, late or batched otherwise."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from assessments import assessed
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import AlertRaised
from schemas.risk import RiskAssessed
from streams.alert import alert, decide
from streams.patient_state import PatientState
from streams.policy import Policy
from streams.stage import Received

PROBABILITIES = st.none() | st.sampled_from([0.05, 0.44, 0.45, 0.5, 0.6, 0.65, 0.7, 0.8, 0.85, 0.95])
COURSES = st.lists(st.tuples(PROBABILITIES, st.sampled_from([0.0, 0.5, 3.0, 9.0])), max_size=25)
POLICIES = st.builds(
    Policy,
    label=st.just("any"),
    enter_threshold=st.just(0.6),
    exit_threshold=st.just(0.45),
    confirm_n=st.integers(1, 2),
    confirm_m=st.integers(2, 4),
    lockout_h=st.sampled_from([0.0, 2.0, 8.0]),
    step_up=st.sampled_from([0.1, 0.15]),
)


def course(steps: Sequence[tuple[float | None, float]], patient_id: str = "P-1") -> list[RiskAssessed]:
    """ECGs in order of acquisition, each some hours after the one before; ties happen."""
    hours, risks = 0.0, []
    for number, (probability, gap_h) in enumerate(steps):
        hours += gap_h
        risks.append(assessed(number, probability, hour=hours, patient_id=patient_id))
    return risks


def alerts_of(risks: Sequence[RiskAssessed], policy: Policy) -> list[dict[str, Any]]:
    """Everything said about the patients, in order, as comparable content."""
    states: dict[str, PatientState] = {}
    spoken = []
    for risk in risks:
        decision = decide(states.get(risk.patient_id), risk, policy)
        # Through its bytes: what is not in them cannot matter.
        states[risk.patient_id] = PatientState.from_bytes(decision.state.to_bytes())
        spoken += [{"type": type(each).__name__, **asdict(each)} for each in decision.alerts]
    return spoken


@st.composite
def disturbed(draw: st.DrawFn, risks: list[RiskAssessed]) -> list[RiskAssessed]:
    """Insert duplicates, replayed stretches and unseen late ECGs; first arrivals stay in order."""
    arrivals: list[RiskAssessed] = []
    for position, risk in enumerate(risks):
        arrivals.append(risk)
        match draw(st.sampled_from(["on", "on", "duplicate", "replay", "late"])):
            case "duplicate":
                arrivals.append(replace(risk, assessed_at=risk.assessed_at.replace(year=2027)))
            case "replay":
                arrivals += risks[draw(st.integers(0, position)) : position + 1]
            case "late" if any(seen.probability is not None for seen in risks[: position + 1]):
                arrivals.append(assessed(1000 + position, draw(PROBABILITIES), hour=-1))
    return arrivals


@given(st.data(), COURSES, POLICIES)
def test_duplicates_replays_and_late_ecgs_add_and_remove_no_alert(
    data: st.DataObject, steps: list[tuple[float | None, float]], policy: Policy
) -> None:
    risks = course(steps)
    assert alerts_of(data.draw(disturbed(risks)), policy) == alerts_of(risks, policy)


@given(COURSES, COURSES, POLICIES, st.data())
def test_other_patients_in_between_change_nothing(
    mine: list[tuple[float | None, float]],
    yours: list[tuple[float | None, float]],
    policy: Policy,
    data: st.DataObject,
) -> None:
    a, b = course(mine), course(yours, "P-2")
    turns = data.draw(st.permutations(["a"] * len(a) + ["b"] * len(b)))
    sources = {"a": iter(a), "b": iter(b)}
    mixed = alerts_of([next(sources[turn]) for turn in turns], policy)
    assert [each for each in mixed if each["patient_id"] == "P-1"] == alerts_of(a, policy)
    assert [each for each in mixed if each["patient_id"] == "P-2"] == alerts_of(b, policy)


@given(COURSES, POLICIES, st.integers(1, 7))
def test_any_cut_into_batches_decides_alike(
    steps: list[tuple[float | None, float]], policy: Policy, batch_items: int
) -> None:
    risks = course(steps)
    states: dict[str, PatientState] = {}
    spoken = []
    for start in range(0, len(risks), batch_items):
        part = risks[start : start + batch_items]
        decisions = alert([Received(record=r, published_at=r.published_at) for r in part], states, policy)
        states |= {r.patient_id: d.state for r, d in zip(part, decisions, strict=True)}
        spoken += [{"type": type(e).__name__, **asdict(e)} for d in decisions for e in d.alerts]
    assert spoken == alerts_of(risks, policy)


@given(COURSES, POLICIES, st.data())
def test_a_crash_before_the_state_was_kept_repeats_alerts_with_the_same_content(
    steps: list[tuple[float | None, float]], policy: Policy, data: st.DataObject
) -> None:
    risks = course(steps)
    crash_at = data.draw(st.integers(0, len(risks)))
    kept_up_to = data.draw(st.integers(0, crash_at))
    before_crash = alerts_of(risks[:crash_at], policy)
    by_kept = len(alerts_of(risks[:kept_up_to], policy))
    after_restart = alerts_of(risks, policy)[by_kept:]
    contents: dict[tuple[str, str], dict[str, Any]] = {}
    for each in before_crash + after_restart:
        assert contents.setdefault((each["type"], each["alert_id"]), each) == each


@given(COURSES, POLICIES)
def test_an_alert_id_is_raised_once_closed_at_most_once_and_never_before_it_was_raised(
    steps: list[tuple[float | None, float]], policy: Policy
) -> None:
    spoken = [(each["type"], each["alert_id"]) for each in alerts_of(course(steps), policy)]
    assert len(set(spoken)) == len(spoken)
    for position, (what, alert_id) in enumerate(spoken):
        assert what == AlertRaised.__name__ or (AlertRaised.__name__, alert_id) in spoken[:position]


@given(COURSES, POLICIES)
def test_within_the_lockout_only_a_step_up_raises(
    steps: list[tuple[float | None, float]], policy: Policy
) -> None:
    spoken = [each for each in alerts_of(course(steps), policy) if each["type"] == AlertRaised.__name__]
    for earlier, later in pairwise(spoken):
        locked = later["acquired_at"] < earlier["acquired_at"] + policy.lockout
        rise = round(later["probability"] - earlier["probability"], 6)
        assert not locked or rise >= policy.step_up
