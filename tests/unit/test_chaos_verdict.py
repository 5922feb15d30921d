"""The chaos verdict holds for what is as it must be, and names whatever is not: each difference is seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from assessments import START, assessed, nth_ecg_id

from ops.chaos.observed import Observed, Point
from ops.chaos.oracle import Accepted, Oracle, read_rules
from ops.chaos.poison import Poison
from ops.chaos.verdict import Verdict, judge
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.registry import FileRegistry
from streams.alert import decide
from streams.patient_state import PatientState
from streams.policy import DEFAULT_POLICY, load_policy

CODEC = Codec(FileRegistry())
PLACE = ("ecg.recorded.v1", 0, 7)
POISON = Poison(key=b"CH1-X1", kind="garbage")

#: Number of the ECG and its probability; the 5th is not scored, the 2nd is sent twice.
ECGS = {1: 0.2, 2: 0.7, 3: 0.75, 4: 0.95, 5: None, 6: 0.3, 7: 0.31}


def accepted(number: int) -> Accepted:
    probability = ECGS[number]
    return Accepted(
        ecg_id=nth_ecg_id(number),
        patient_id="P-1",
        acquired_at=START + timedelta(hours=number),
        probability=probability,
        reasons=frozenset() if probability is not None else frozenset({"LEAD_OFF:V3"}),
    )


def as_it_must_be() -> Observed:
    """What a system without a fault shows of the ECGs: its own stages make it, not the oracle."""
    seen, state, policy = Observed(), PatientState(), load_policy()
    seen.inputs = [accepted(number) for number in (*ECGS, 2)]
    seen.poison[PLACE] = POISON
    seen.dead[PLACE].add("DECODE")
    seen.acknowledged = {ecg.ecg_id for ecg in seen.inputs} | {POISON.key.decode()}
    for number, probability in ECGS.items():
        risk = assessed(number, probability)
        seen.assessments[risk.ecg_id].append(risk)
        decision = decide(state, risk, policy)
        state = decision.state
        for alert in decision.alerts:
            into: Any = seen.raised if isinstance(alert, AlertRaised) else seen.closed
            into[alert.alert_id].append((CODEC.encode(alert), alert))
    seen.histories["P-1"] = [
        Point(
            ecg_id=ecg.ecg_id,
            bundle_version="b1",
            acquired_at=ecg.acquired_at,
            probability=ecg.probability,
            reasons=ecg.reasons,
        )
        for ecg in map(accepted, ECGS)
    ]
    return seen


def judged(seen: Observed) -> Verdict:
    oracle = Oracle(read_rules(DEFAULT_POLICY))
    oracle.take(seen.inputs)
    return judge(seen, oracle)


def first(book: dict[str, Any]) -> str:
    return next(iter(book))


def raise_otherwise(seen: Observed, **changed: Any) -> None:
    """Write the first alert once more with another content."""
    _, alert = seen.raised[first(seen.raised)][0]
    other = replace(alert, **changed)
    seen.raised[alert.alert_id].append((CODEC.encode(other), other))


def raise_only_otherwise(seen: Observed, **changed: Any) -> None:
    raise_otherwise(seen, **changed)
    del seen.raised[first(seen.raised)][0]


def invent(seen: Observed) -> None:
    _, alert = seen.raised[first(seen.raised)][0]
    other = replace(alert, alert_id=nth_ecg_id(99))
    seen.raised[other.alert_id].append((CODEC.encode(other), other))


def assess_otherwise(seen: Observed, number: int, probability: float | None) -> None:
    seen.assessments[nth_ecg_id(number)].append(assessed(number, probability))


def forget_input(seen: Observed, number: int) -> None:
    seen.inputs = [ecg for ecg in seen.inputs if ecg.ecg_id != nth_ecg_id(number)]


def point(seen: Observed, place: int, **changed: Any) -> None:
    seen.histories["P-1"][place] = replace(seen.histories["P-1"][place], **changed)


def test_what_is_as_it_must_be_holds() -> None:
    seen = as_it_must_be()
    verdict = judged(seen)
    assert verdict.differences == ()
    assert verdict.holds
    assert (verdict.totals["raised"], verdict.totals["closed"]) == (2, 2)
    assert verdict.totals["not_scored"] == 1


def test_repeats_change_nothing() -> None:
    seen = as_it_must_be()
    books: tuple[Any, ...] = (seen.raised, seen.closed, seen.assessments)
    for book in books:
        for records in book.values():
            records.append(records[0])
    assert judged(seen).holds


@pytest.mark.parametrize(
    ("harm", "where", "said"),
    [
        pytest.param(lambda s: s.raised.pop(first(s.raised)), "lost", "ENTERED_HIGH", id="alert lost"),
        pytest.param(lambda s: s.closed.pop(first(s.closed)), "lost", "end", id="end lost"),
        pytest.param(invent, "invented", nth_ecg_id(99), id="alert invented"),
        pytest.param(
            lambda s: s.closed.setdefault(nth_ecg_id(98), s.closed[first(s.closed)]),
            "invented",
            nth_ecg_id(98),
            id="end invented",
        ),
        pytest.param(
            lambda s: raise_otherwise(s, change_text="?"), "contradictory", "2 contents", id="two contents"
        ),
        pytest.param(
            lambda s: raise_only_otherwise(s, ecg_id=nth_ecg_id(2)), "contradictory", "ecg_id", id="other ECG"
        ),
        pytest.param(
            lambda s: raise_only_otherwise(s, probability=0.7504),
            "contradictory",
            "probability",
            id="other probability",
        ),
        pytest.param(
            lambda s: raise_only_otherwise(s, before_ecg_id=nth_ecg_id(1)),
            "contradictory",
            "before_ecg_id",
            id="other ECG before",
        ),
        pytest.param(lambda s: s.assessments.pop(nth_ecg_id(5)), "counts", "never assessed", id="ECG lost"),
        pytest.param(
            lambda s: forget_input(s, 7), "counts", "not in the log", id="ECG acknowledged and gone"
        ),
        pytest.param(
            lambda s: assess_otherwise(s, 99, 0.2), "counts", "never came in", id="assessment of nothing"
        ),
        pytest.param(lambda s: assess_otherwise(s, 6, 0.31), "counts", "probability", id="two assessments"),
        pytest.param(lambda s: assess_otherwise(s, 6, None), "counts", "not scored", id="scored and not"),
        pytest.param(lambda s: s.dead.clear(), "counts", "nothing", id="poison vanished"),
        pytest.param(lambda s: s.dead[PLACE].add("POISON"), "counts", "garbage", id="poison twice"),
        pytest.param(
            lambda s: s.dead[PLACE[0], 0, 8].add("DECODE"), "counts", "no poison", id="an ECG dead-lettered"
        ),
        pytest.param(lambda s: s.histories["P-1"].pop(4), "history", "1 of 7", id="gap in the history"),
        pytest.param(
            lambda s: s.histories["P-1"].reverse(), "history", "out of order", id="history out of order"
        ),
        pytest.param(
            lambda s: s.histories["P-1"].append(s.histories["P-1"][-1]), "history", "twice", id="point twice"
        ),
        pytest.param(lambda s: point(s, 4, probability=0.0), "history", "content", id="a gap shown as zero"),
        pytest.param(lambda s: s.histories.clear(), "history", "7 of 7", id="no history"),
        pytest.param(lambda s: s.behind.update(alert=3), "offsets", "alert", id="not committed"),
        pytest.param(lambda s: s.strange.append("odd"), "counts", "odd", id="strange records"),
    ],
)
def test_each_difference_is_named(harm: Callable[[Observed], object], where: str, said: str) -> None:
    seen = as_it_must_be()
    harm(seen)
    verdict = judged(seen)
    assert not verdict.holds
    named = getattr(verdict, where)
    assert any(said in each for each in named), verdict.differences
