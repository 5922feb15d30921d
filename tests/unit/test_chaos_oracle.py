"""The chaos oracle against cases worked out by hand, and against the stage it shares no code with."""

import ast
import random
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from assessments import START, assessed, nth_ecg_id

import ops.chaos.oracle
import ops.chaos.palette
from ops.chaos.oracle import Accepted, Oracle, Rules, alert_id_of, read_rules
from ops.chaos.palette import Turns, decisive
from schemas.alert import AlertClosed, AlertRaised
from streams.alert import decide
from streams.patient_state import PatientState
from streams.policy import DEFAULT_POLICY, load_policy

RULES = Rules(version="p+1", enter=0.65, leave=0.5, n=2, m=3, lockout=timedelta(hours=8), step_up=0.15)

#: (number, probability or None, hour of acquisition or None for the number's own)
Row = tuple[int, float | None] | tuple[int, float | None, float]


def played(rows: Sequence[Row], rules: Rules = RULES) -> Oracle:
    oracle = Oracle(rules)
    oracle.take(
        Accepted(
            ecg_id=nth_ecg_id(row[0]),
            patient_id="P-1",
            acquired_at=START + timedelta(hours=row[2] if len(row) > 2 else row[0]),
            probability=row[1],
        )
        for row in rows
    )
    return oracle


def told(oracle: Oracle) -> list[tuple[str, int]]:
    """Kind and number of the ECG that raised it, then those that closed."""
    number = {nth_ecg_id(n): n for n in range(100)}
    raised = [(alert.kind, number[alert.ecg_id]) for alert in oracle.raised.values()]
    return raised + [("CLOSED", number[closed.ecg_id]) for closed in oracle.closed.values()]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(1, 0.2), (2, 0.4)], [], id="low stays low"),
        pytest.param([(1, 0.7)], [("ENTERED_HIGH", 1)], id="first is high already"),
        pytest.param([(1, 0.2), (2, 0.7)], [], id="one high is no confirmation"),
        pytest.param([(1, 0.2), (2, 0.7), (3, 0.7)], [("ENTERED_HIGH", 3)], id="two in a row"),
        pytest.param([(1, 0.2), (2, 0.7), (3, 0.2), (4, 0.7)], [("ENTERED_HIGH", 4)], id="two of three"),
        pytest.param([(1, 0.2), (2, 0.7), (3, 0.2), (4, 0.2), (5, 0.7)], [], id="two of four are too few"),
        pytest.param([(1, 0.2), (2, 0.7), (2, 0.7)], [], id="a repeat confirms nothing"),
        pytest.param([(1, 0.2), (3, 0.7), (2, 0.7)], [], id="a late one confirms nothing"),
        pytest.param([(1, 0.2), (2, 0.7), (3, None), (4, 0.7)], [("ENTERED_HIGH", 4)], id="not scored"),
        pytest.param([(1, 0.65)], [("ENTERED_HIGH", 1)], id="at the enter threshold"),
        pytest.param([(1, 0.7), (2, 0.5), (3, 0.5)], [("ENTERED_HIGH", 1)], id="at the exit threshold"),
        pytest.param(
            [(1, 0.7), (2, 0.4), (3, 0.4)], [("ENTERED_HIGH", 1), ("CLOSED", 3)], id="two lows close"
        ),
        pytest.param(
            [(1, 0.7), (2, 0.9), (3, 0.99)],
            [("ENTERED_HIGH", 1), ("STEPPED_UP", 2)],
            id="steps up once",
        ),
        pytest.param(
            [(1, 0.7), (2, 0.85), (3, 0.4), (4, 0.4)],
            [("ENTERED_HIGH", 1), ("STEPPED_UP", 2), ("CLOSED", 4), ("CLOSED", 4)],
            id="both alerts are closed",
        ),
        pytest.param(
            [(1, 0.7), (2, 0.4), (3, 0.4), (4, 0.7), (5, 0.7)],
            [("ENTERED_HIGH", 1), ("CLOSED", 3)],
            id="locked out",
        ),
        pytest.param(
            [(1, 0.7), (2, 0.4), (3, 0.4), (4, 0.7), (5, 0.7), (6, 0.6, 9.0)],
            [("ENTERED_HIGH", 1), ("ENTERED_HIGH", 6), ("CLOSED", 3)],
            id="owed until the lockout ends, to the minute",
        ),
        pytest.param(
            [(1, 0.7), (2, 0.4), (3, 0.4), (4, 0.7), (5, 0.85)],
            [("ENTERED_HIGH", 1), ("ENTERED_HIGH", 5), ("CLOSED", 3)],
            id="a step up breaks the lockout",
        ),
        pytest.param(
            [(1, 0.7), (2, 0.4), (3, 0.4), (4, 0.4), (5, 0.4)],
            [("ENTERED_HIGH", 1), ("CLOSED", 3)],
            id="closed once",
        ),
    ],
)
def test_cases_worked_out_by_hand(rows: Sequence[Row], expected: list[tuple[str, int]]) -> None:
    assert told(played(rows)) == expected


def test_what_stands_in_an_alert() -> None:
    oracle = played([(1, 0.2), (2, 0.7), (3, None), (4, 0.8)])
    (alert,) = oracle.raised.values()
    assert (alert.before_ecg_id, alert.probability_before) == (nth_ecg_id(2), 0.7)
    assert (alert.ecg_id, alert.episode_ecg_id, alert.probability) == (nth_ecg_id(4), nth_ecg_id(4), 0.8)
    assert not alert.first_seen
    assert alert.acquired_at == START + timedelta(hours=4)


def test_history_holds_every_ecg_once_by_acquisition() -> None:
    oracle = played([(2, 0.7), (1, 0.2), (2, 0.7), (3, None)])
    assert [ecg.ecg_id for ecg in oracle.history()["P-1"]] == [nth_ecg_id(n) for n in (1, 2, 3)]


def test_an_alert_id_as_worked_out_on_paper() -> None:
    namespace = uuid.uuid5(uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "diastole.ecg")
    expected = uuid.uuid5(namespace, "alert|3:p+1|3:P-1|4:ecg1|12:ENTERED_HIGH")
    assert alert_id_of("p+1", "P-1", "ecg1", "ENTERED_HIGH") == str(expected)


@pytest.mark.parametrize("seed", range(150))
def test_agrees_with_the_stage_it_shares_no_code_with(seed: int) -> None:
    chance, rules, policy = random.Random(seed), read_rules(DEFAULT_POLICY), load_policy()
    rows, hour = [], 0.0
    for number in range(60):
        hour += chance.choice([0.0, 0.5, 2.0, 3.0, 8.0, -1.0])
        probability = chance.choice([None, 0.1, 0.49, 0.5, 0.6, 0.65, 0.7, 0.76, 0.8, 0.95])
        rows += [(number, probability, hour)] * chance.choice([1, 1, 1, 2])
    state = PatientState()
    alerts: list[AlertRaised | AlertClosed] = []
    for number, probability, at in rows:
        decision = decide(state, assessed(number, probability, hour=at), policy)
        state = decision.state
        alerts += decision.alerts
    oracle = played(rows, rules)
    raised = {alert.alert_id: alert for alert in alerts if isinstance(alert, AlertRaised)}
    closed = {alert.alert_id: alert for alert in alerts if isinstance(alert, AlertClosed)}
    assert raised.keys() == oracle.raised.keys()
    assert closed.keys() == oracle.closed.keys()
    for alert_id, expected in oracle.raised.items():
        for name in expected.__slots__:
            assert getattr(raised[alert_id], name) == getattr(expected, name)
    for alert_id, end in oracle.closed.items():
        assert closed[alert_id].ecg_id == end.ecg_id


def test_another_rule_is_noticed() -> None:
    rows: list[Row] = [(1, 0.2), (2, 0.7), (3, 0.7)]
    assert not played(rows, replace(RULES, n=3)).raised


@pytest.mark.parametrize("module", [ops.chaos.oracle, ops.chaos.palette])
def test_what_must_come_out_is_computed_without_the_stages(module: object) -> None:
    source = Path(str(getattr(module, "__file__", ""))).read_text()
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported
    assert not imported & {"streams", "ops"}


def test_waveforms_near_a_turning_point_are_left_out() -> None:
    turns = Turns(thresholds=(0.65, 0.5), step_up=0.15)
    known = {"at": 0.645, "low": 0.2, "step": 0.3505, "clear": 0.38, "near exit": 0.509}
    assert decisive(known, turns) == ["low", "clear"]
    assert decisive(known, turns, most=1) == ["low"]
