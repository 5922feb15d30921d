import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.bars import sparkline
from ops.cli import main as cli
from ops.cli.bench import parse_rates
from ops.cli.durations import parse_duration
from ops.cli.publish import parse_acquired_at, parse_zone
from ops.demo.news import Names
from ops.ward import Round, due_times
from schemas.errors import ConfigurationError, PoisonError, RetriableError


@pytest.mark.parametrize(
    "command",
    [
        *(
            "publish",
            "simulate",
            "tail",
            "worker",
            "demo",
            "bench",
            "clean",
            "history show",
            "history rebuild",
        ),
        *("topics apply", "services up", "bundle show", "policy show"),
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("x"), 2), (RetriableError("x"), 75), (PoisonError("x"), 1)],
)
def test_errors_map_to_exit_codes(error: Exception, code: int) -> None:
    assert cli.exit_code(error) == code  # type: ignore[arg-type]


def test_a_known_error_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    command = [sys.executable, "-m", "ops.cli", "policy", "show", str(absent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "absent.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_policy_in_force_is_shown() -> None:
    result = CliRunner().invoke(cli.app, ["policy", "show"])
    assert result.exit_code == 0
    assert "enter_threshold" in result.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", timedelta(milliseconds=500)), ("10s", timedelta(seconds=10)), ("2w", timedelta(weeks=2))],
)
def test_durations_are_read_as_people_write_them(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "1y", "1 s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no duration"):
        parse_duration(text)


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigurationError, match="Europe/Rome"):
        parse_zone("Middle/Earth")


def test_a_moment_without_offset_is_local_to_the_zone() -> None:
    rome = parse_zone("Europe/Rome")
    local = parse_acquired_at("2026-01-31T08:15:00", rome)
    assert local is not None
    assert local.astimezone(UTC) == datetime(2026, 1, 31, 7, 15, tzinfo=UTC)
    assert parse_acquired_at("2026-01-31T08:15:00+00:00", rome) == datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="--acquired-at"):
        parse_acquired_at("yesterday", rome)


@pytest.mark.parametrize("text", ["", "20,", "0", "-1", "fast", "nan"])
def test_rates_that_are_no_positive_numbers_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--rates"):
        parse_rates(text)


def test_a_gap_in_a_sparkline_is_not_the_lowest_risk() -> None:
    assert sparkline([0.0, None, 1.0]) == "▁×█"


def test_beds_are_spread_over_the_interval_and_the_ward_ends() -> None:
    plan = Round(every=timedelta(seconds=10), lasts=timedelta(seconds=20), speedup=4.0)
    due = list(due_times(2, plan))
    assert due == [
        (0, timedelta(0)),
        (1, timedelta(seconds=5)),
        (0, timedelta(seconds=10)),
        (1, timedelta(seconds=15)),
    ]


def test_a_ward_without_end_cannot_be_sped_up_into_the_future() -> None:
    with pytest.raises(ConfigurationError, match="--for"):
        Round(every=timedelta(seconds=10), speedup=2.0)


def test_only_simulated_patients_are_named() -> None:
    names = Names()
    assert names.shown("SIM-007001") == "SIM-007001"
    assert names.shown("642341") == "real file"
    names.introduce("642341", "waveform_ecg.dcm")
    assert names.shown("642341") == "waveform_ecg.dcm"


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("diastole ")


def test_the_bundle_is_shown_with_what_it_is_not_for() -> None:
    result = CliRunner().invoke(cli.app, ["bundle", "show"])
    assert result.exit_code == 0
    assert "not_for_text" in result.output
    assert json.dumps("simulated")[1:-1] in result.output
