import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assessments import assessed, moving, nth_ecg_id
from oracle import Oracle
from rich.console import Console

from ops.demo.cast import DemoWard
from ops.demo.news import Names
from ops.demo.plan import DemoOutcome
from ops.demo.summary import summary
from ops.demo.trend import _chosen
from ops.ledger import Ledger
from ops.rendering import counted, reason_words
from schemas.alert import AlertRaised
from schemas.risk import RiskAssessed
from streams.alert import decide
from streams.history import history_points
from streams.patient_state import PatientState
from streams.policy import load_policy
from streams.stage import Received

RISES = (0.1, 0.2, None, 0.3, 0.9, 0.95, 0.9)
E_PRIMES_CM_S = (9.0, 8.5, None, 8.0, 5.5, 5.0, 4.5)
DETERIORATING = "SIM-000003"


def outcome(*, first_seen: bool = False, is_open: bool = False, with_motion: bool = True) -> DemoOutcome:
    motions = [moving(e, e / 10) if with_motion and e else None for e in E_PRIMES_CM_S]
    risks = [
        assessed(n, p, patient_id=DETERIORATING, hour=48 * n, motion=motions[n]) for n, p in enumerate(RISES)
    ]
    ledger = Ledger(messages_in=len(risks) + is_open)
    state: PatientState | None = None
    for risk in risks:
        ledger.ecgs.add(risk.ecg_id)
        ledger.risks[risk.ecg_id] = risk
        decision = decide(state, risk, load_policy())
        state = decision.state
        for alert in decision.alerts:
            assert isinstance(alert, AlertRaised)
            ledger.alerts[alert.alert_id] = replace(alert, first_seen=first_seen)
    if is_open:
        ledger.ecgs.add(nth_ecg_id(99))
    received = [Received(record=risk, published_at=risk.published_at) for risk in risks]
    points = [point for point in history_points(received) if not isinstance(point, Exception)]
    return DemoOutcome(
        ledger=ledger,
        home=Path("home"),
        deteriorating=[DETERIORATING, "SIM-000006"],
        history=points,
        phases_s={"play": 1.0},
    )


def drawn(ended: DemoOutcome, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(ended, Names()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_deteriorating_patient_with_an_alert_and_closed_counts_hold() -> None:
    assert outcome().holds


def test_what_is_open_does_not_hold() -> None:
    ended = outcome(is_open=True)
    assert not ended.holds
    assert "Counts close NO" in " ".join(drawn(ended).split())


def test_an_alert_about_a_patient_who_was_ill_from_the_start_is_not_enough() -> None:
    assert not outcome(first_seen=True).holds


def test_an_interrupted_play_does_not_hold() -> None:
    assert not replace(outcome(), interrupted=True).holds


def test_the_trend_shows_the_gap_and_where_the_alert_was_raised() -> None:
    text = drawn(outcome())
    assert "▁▂×▃███  7 ECGs in 12 days, × not scored" in text
    assert "not scored: lead off (V3)" in text
    assert text.count("alert raised") == 1
    assert "1 of 2 simulated patients who deteriorate raised an alert" in " ".join(text.split())


def test_the_trend_shows_how_the_motion_slows() -> None:
    text = drawn(outcome())
    assert "e' 8.5 → 5.0 cm/s, e'/a' 0.85 → 0.50 (synthetic, first and last 3 ECGs)" in text
    (first,) = (line for line in text.splitlines() if line.strip().startswith("01 Mar"))
    assert first.split()[2:4] == ["0.10", "██"]
    assert first.split()[-2:] == ["9.0", "0.90"]
    (alerted,) = (line for line in text.splitlines() if "alert raised" in line)
    assert "5.0   0.50" in alerted


def test_an_alert_says_how_early_velocity_changed_since_the_last_low_ecg() -> None:
    assert "e' 8.0 → 5.0 cm/s." in " ".join(drawn(outcome()).split())


def test_without_motion_there_are_gaps_and_no_numbers() -> None:
    text = drawn(outcome(with_motion=False))
    assert "no synthetic motion" in text
    (alerted,) = (line for line in text.splitlines() if "alert raised" in line)
    assert alerted.split()[-4:-2] == ["—", "—"]
    assert "cm/s." not in text


def test_a_long_history_is_shown_by_its_first_ecg_its_last_and_those_around_the_alert() -> None:
    ended = outcome()
    points = [replace(point, ecg_id=nth_ecg_id(100 + n)) for n, point in enumerate([ended.history[0]] * 30)]
    alerting = {nth_ecg_id(110)}
    assert _chosen(points, alerting) == [0, *range(5, 14), 29]


def test_the_summary_fits_80_columns() -> None:
    assert max(map(len, drawn(outcome()).splitlines())) <= 80


def test_words_are_for_people() -> None:
    assert reason_words(["LEAD_OFF:V3", "TOO_SHORT"]) == "lead off (V3), too short"
    assert reason_words([f"NOISE:V{n}" for n in range(1, 7)]) == "noise in 6 leads"
    assert (counted(1, "ECG"), counted(0, "ECG")) == ("1 ECG", "0 ECGs")


def test_the_demos_ward_alerts_with_a_margin() -> None:
    ward = DemoWard(beds=7, rounds=22, every=timedelta(days=2), until=datetime(2026, 1, 1, tzinfo=UTC))
    due = set(ward.deteriorating())
    oracle = Oracle()
    for ecg in ward.recordings():
        if ecg.patient_id in due:
            oracle.take([ecg])

    last = {
        risk.patient_id: risk.probability
        for risk in oracle.risks.values()
        if isinstance(risk, RiskAssessed) and risk.probability is not None
    }
    risen = {
        alert.patient_id
        for alert in oracle.alerts.values()
        if isinstance(alert, AlertRaised) and not alert.first_seen
    }
    assert len(due) == 3
    assert risen == due
    assert sorted(last.values())[1] > load_policy().enter_threshold + 0.1
