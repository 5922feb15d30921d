"""The burden simulator against cases counted by hand."""

import math
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.study.estimate import share_interval
from ops.burden.burden import Burden, burden_of
from ops.burden.intervals import per_100_beds_a_day
from ops.burden.label_file import read_labels
from ops.burden.plot import draw
from ops.burden.policies import at_thresholds, parse_thresholds
from ops.burden.replay import replay, seen
from ops.burden.table import burden_table, heading
from ops.cli import alerts
from ops.cli.console import out
from schemas.alert import AlertKind, AlertRaised
from schemas.errors import ConfigurationError
from schemas.risk import RiskAssessed
from streams.alert import alert
from streams.policy import Policy
from streams.stage import Received
from tests.assessments import START, assessed, nth_ecg_id

#: Two of three confirm; nothing more for 8 h unless the risk rises by 0.15.
POLICY = Policy(
    label="hand", enter_threshold=0.6, exit_threshold=0.4, confirm_n=2, confirm_m=3, lockout_h=8, step_up=0.15
)


def course(
    patient_id: str, first: int, *probabilities: float | None, every_h: float = 24
) -> list[RiskAssessed]:
    """ECGs of one patient, one a day, numbered from ``first``."""
    return [
        assessed(first + i, probability, hour=i * every_h, patient_id=patient_id)
        for i, probability in enumerate(probabilities)
    ]


#: Day by day (ECG numbers in brackets):
#: A [1-5]    first seen high (1: alert), stepped up (2: alert), then low twice (4, 5): closes both at 5
#: B [11-15]  low, high, high (13: confirmed, alert), one not scored, high
#: C [21-25]  never high
WARD = [
    *course("A", 1, 0.7, 0.9, 0.8, 0.2, 0.1),
    *course("B", 11, 0.2, 0.7, 0.65, None, 0.7),
    *course("C", 21, 0.1, 0.2, 0.1, 0.3, 0.1),
]


def of(ward: list[RiskAssessed], policy: Policy = POLICY, beds: int = 3, **labels: bool) -> Burden:
    known = {nth_ecg_id(int(number[1:])): label for number, label in labels.items()}
    return burden_of(replay(ward, policy), seen(ward), beds=beds, labels=known)


def test_a_ward_counted_by_hand() -> None:
    replayed = replay(WARD, POLICY)
    raised = [(each.patient_id, each.ecg_id, each.kind, each.first_seen) for each in replayed.alerts]
    assert raised == [
        ("A", nth_ecg_id(1), AlertKind.ENTERED_HIGH, True),
        ("A", nth_ecg_id(2), AlertKind.STEPPED_UP, True),
        ("B", nth_ecg_id(13), AlertKind.ENTERED_HIGH, False),
    ]
    assert replayed.n_closed == 2
    # A is HIGH from day 0 to day 4, B from day 2 to day 4; each is observed for 4 days.
    assert replayed.high == timedelta(days=6)
    assert replayed.observed == timedelta(days=12)


def test_its_numbers() -> None:
    burden = of(WARD)
    assert (burden.n_alerts, burden.n_patients_alerted) == (3, 2)
    assert (burden.n_repeats, burden.n_stepped_up) == (1, 1)
    assert burden.rate.value == pytest.approx(100 * 3 / 3 / 4)  # 3 alerts, 3 beds, 4 days
    assert burden.first_seen.value == 0.5  # one of two ENTERED_HIGH
    assert burden.high.value == 0.5
    assert burden.ppv is burden.sensitivity is burden.to_evaluate is None


def test_ppv_sensitivity_and_number_needed_to_evaluate() -> None:
    # A was ill at its first ECG (the second alert takes that label too), B was not, C was and is missed.
    burden = of(WARD, e1=True, e13=False, e23=True, e999=True)
    assert burden.n_labelled == 3
    assert burden.ppv is not None
    assert burden.ppv.value == pytest.approx(2 / 3)
    assert burden.sensitivity is not None
    assert burden.sensitivity.value == 0.5
    assert burden.to_evaluate is not None
    assert burden.to_evaluate.value == pytest.approx(1.5)
    assert burden.to_evaluate.low <= 1.5 <= burden.to_evaluate.high


def test_an_alert_takes_its_own_label_before_a_nearer_or_another_one() -> None:
    assert of(WARD, e1=False, e2=True, e13=False).ppv == of(WARD, e1=True, e2=False, e13=False).ppv
    burden = of([*course("A", 1, 0.7), *course("A", 2, 0.7, 0.7, every_h=24 * 31)], e3=True)
    assert burden.ppv is None  # 31 days away is another illness


def test_of_no_right_alert_nobody_knows_how_many_are_needed() -> None:
    burden = of(WARD, e1=False)
    assert burden.ppv is not None
    assert burden.ppv.value == 0
    assert burden.to_evaluate is None


def test_repeats_late_ecgs_and_those_without_a_score_change_nothing() -> None:
    late = assessed(50, 0.99, hour=-5, patient_id="C")
    noisy = [each for risk in WARD for each in (risk, risk)] + [late]
    assert replay(noisy, POLICY).alerts == replay(WARD, POLICY).alerts
    assert seen([*WARD, *WARD]) == seen(WARD)
    assert (seen(WARD).n_ecgs, seen(WARD).n_scored, seen(WARD).days) == (15, 14, 4.0)


def test_what_lies_before_makes_the_state_but_is_not_counted() -> None:
    since = START + timedelta(days=2)
    replayed = replay(WARD, POLICY, since)
    assert [(each.patient_id, each.first_seen) for each in replayed.alerts] == [("B", False)]
    assert replayed.high == timedelta(days=4)
    assert replayed.observed == timedelta(days=6)
    assert seen(WARD, since).n_ecgs == 9


def test_alerts_are_those_of_the_alert_stage() -> None:
    batch = [Received(record=risk, published_at=risk.published_at) for risk in WARD]
    raised = [
        each.ecg_id
        for decision in alert(batch, {}, POLICY)
        for each in decision.alerts
        if isinstance(each, AlertRaised)
    ]
    assert [each.ecg_id for each in replay(WARD, POLICY).alerts] == raised


def test_a_higher_threshold_alerts_less() -> None:
    burdens = [of(WARD, policy) for policy in at_thresholds(POLICY, parse_thresholds("0.5:0.9:0.1"))]
    counts = [burden.n_alerts for burden in burdens]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_thresholds_move_together() -> None:
    assert parse_thresholds("0.5:0.95:0.05")[-1] == 0.95
    assert parse_thresholds("0.1:0.3:0.1") == (0.1, 0.2, 0.3)
    moved = at_thresholds(POLICY, (0.7, 0.1))
    assert [(each.enter_threshold, each.exit_threshold) for each in moved] == [(0.7, 0.5), (0.1, 0.05)]


@pytest.mark.parametrize(
    "text", ["", "0.5", "0.9:0.5:0.1", "0:0.5:0.1", "0.5:1.1:0.1", "0.5:0.9:0", "0.1:1:0.001"]
)
def test_other_thresholds_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_thresholds(text)


def test_a_rate_has_the_exact_interval_of_a_count() -> None:
    none = per_100_beds_a_day(0, beds=100, days=1)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(3.689, abs=0.001)
    assert math.isnan(per_100_beds_a_day(3, beds=1, days=0).value)


def test_labels_are_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    name = _label_name()
    file.write_text(f"key,{name},remark\nAB,1,x\ncd,0,\nef,,\n")
    assert read_labels(file) == {"ab": True, "cd": False}
    file.write_text(f"key,{name}\nab,maybe\n")
    with pytest.raises(ConfigurationError, match="line 2"):
        read_labels(file)
    file.write_text("key\nab\n")
    with pytest.raises(ConfigurationError, match="needs the columns"):
        read_labels(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")


def _label_name() -> str:
    from models.cohorts.rows import LABEL

    return LABEL


def test_the_table_says_nothing_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    low = [risk for risk in WARD if risk.patient_id == "C"]
    out().print(burden_table([of(low)], has_labels=True))
    text = capsys.readouterr().out
    assert "0.0" in text
    assert text.count("—") >= 4  # first seen, PPV, sensitivity, number needed
    assert "nan" not in text
    assert "give --beds" in heading(seen(low), beds=1, is_beds_given=False, is_simulated=False)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_plot_is_the_same_every_time(tmp_path: Path, suffix: str) -> None:
    burdens = [
        of(WARD, policy, e1=True, e13=False)
        for label in ("a", "b")
        for policy in at_thresholds(replace(POLICY, label=label), (0.5, 0.6, 0.7))
    ]
    for name in ("one", "two"):
        draw(tmp_path / f"{name}.{suffix}", burdens, "a ward")
    content = (tmp_path / f"one.{suffix}").read_bytes()
    assert content == (tmp_path / f"two.{suffix}").read_bytes()
    assert len(content) > 5000


@pytest.mark.parametrize("labels", [{}, {"e1": True}], ids=["no labels", "labels"])
def test_a_plot_has_all_that_is_compared_and_calls_policies_as_the_table_does(
    tmp_path: Path, labels: dict[str, bool]
) -> None:
    policies = [POLICY, replace(POLICY, lockout_h=24)]
    draw(tmp_path / "a.svg", [of(WARD, policy, **labels) for policy in policies], "a ward")
    drawn = (tmp_path / "a.svg").read_text()
    for text in ("alerts per 100 beds a day", "repeats", "time in high", "95 %"):
        assert text in drawn
    for text in ("PPV", "sensitivity", "alerts to evaluate"):
        assert (text in drawn) is bool(labels)
    for policy in policies:
        assert policy.version in drawn


def test_a_plot_joins_no_line_over_what_cannot_be_said(tmp_path: Path) -> None:
    burdens = [of(WARD, policy, e1=True) for policy in at_thresholds(POLICY, (0.5, 0.6, 0.7))]
    whole, gap = burdens, [burdens[0], replace(burdens[1], ppv=None, sensitivity=None), burdens[2]]
    n_lines = []
    for number, each in enumerate((whole, gap)):
        draw(tmp_path / f"{number}.svg", each, "")
        of_three_points = r'd="M [\d. ]+\nL [\d. ]+\nL [\d. ]+\n"'
        n_lines.append(len(re.findall(of_three_points, (tmp_path / f"{number}.svg").read_text())))
    assert n_lines[0] - n_lines[1] == 3  # PPV, sensitivity, and what is to be evaluated


def test_shares_of_all_and_of_none_have_an_interval_around_them() -> None:
    for n in range(1, 500):
        every, no = share_interval(n, n), share_interval(0, n)
        assert every.low < every.value == every.high == 1
        assert no.low == no.value == 0 < no.high


def test_a_plot_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.png or \.svg"):
        draw(tmp_path / "a.pdf", [of(WARD)], "")


def test_a_simulated_ward_is_compared_from_the_command_line(tmp_path: Path) -> None:
    plot = tmp_path / "burden.svg"
    arguments = ["simulate", "--simulated", "--beds", "3", "--days", "8", "--plot", str(plot)]
    runs = [CliRunner().invoke(alerts.app, [*arguments, "--thresholds", "0.5:0.9:0.2"]) for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].output
    assert runs[0].output == runs[1].output
    assert "15 ECGs of 3 patients" in runs[0].output
    assert "says nothing of your patients" in runs[0].output
    assert "alerts per 100 beds a day" in plot.read_text()


def test_labels_beside_a_simulated_ward_are_refused(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(alerts.app, ["simulate", "--simulated", "--labels", str(tmp_path / "x.csv")])
    assert isinstance(outcome.exception, ConfigurationError)


@pytest.mark.parametrize("since", ["soon", "2026-13-01"])
def test_a_time_that_is_none_is_refused(since: str) -> None:
    outcome = CliRunner().invoke(alerts.app, ["simulate", "--simulated", "--since", since])
    assert isinstance(outcome.exception, ConfigurationError)
