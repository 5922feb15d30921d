"""What ``diastole history show`` prints of a patient's points."""

import io

from assessments import assessed, moving
from rich.console import Console

from ops.cli.history import history_table
from schemas.featurized import Measurements
from schemas.risk import RiskAssessed
from streams.history import history_point

FULL = Measurements(heart_rate_bpm=71.0, pr_ms=160.0, qrs_ms=92.0, qtc_ms=431.0)


def shown(*risks: RiskAssessed, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(history_table("P-1", [history_point(risk) for risk in risks]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line for line in str(text).splitlines() if line.startswith(" 2026-")]


def test_risk_and_motion_stand_beside_each_other() -> None:
    (line,) = shown(assessed(1, 0.31, motion=moving(7.53, 0.756), measurements=FULL))
    assert line.split()[2:] == ["LOW", "0.31", "7.5", "0.76", "71", "160", "92", "431"]


def test_in_atrial_fibrillation_only_the_ratio_is_missing() -> None:
    (line,) = shown(assessed(1, 0.31, motion=moving(7.5, None), measurements=FULL))
    assert line.split()[3:6] == ["0.31", "7.5", "—"]


def test_what_is_missing_is_a_dash_and_never_zero() -> None:
    scored, unscored = shown(assessed(1, 0.31), assessed(2, None, reasons=("NOISE",)))
    assert scored.split()[3:6] == ["0.31", "—", "—"]
    assert unscored.split()[2:7] == ["NOT", "SCORED", "—", "—", "—"]
    assert unscored.rstrip().endswith("noise")


def test_an_interval_stays_on_its_line_in_80_columns() -> None:
    risk = assessed(1, 0.31, motion=moving(7.5), measurements=FULL, interval=(0.2, 0.4))
    (line,) = shown(risk)
    assert line.rstrip().endswith("0.20–0.40")
    assert len(line) <= 80
