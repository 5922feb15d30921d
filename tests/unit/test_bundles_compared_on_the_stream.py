"""What ``diastole bundle compare --stream`` prints, and what it refuses."""

import io
from dataclasses import replace

import pytest
from assessments import assessed
from rich.console import Console
from typer.testing import CliRunner

from models.agreement import compare_assessments
from ops.cli import main as cli
from ops.cli.on_trial import agreement_table
from schemas.errors import ConfigurationError
from schemas.risk import RiskAssessed
from streams.silent_pairs import StreamPairs


def pair(number: int, one: float | None, other: float | None) -> tuple[RiskAssessed, RiskAssessed]:
    in_force = assessed(number, one, bundle_version="site-1")
    on_trial = assessed(number, other, bundle_version="site-2")
    return replace(in_force, bundle_sha256="a" * 64), replace(on_trial, bundle_sha256="b" * 64)


def printed(*pairs: tuple[RiskAssessed, RiskAssessed], n_on_trial: int) -> dict[str, str]:
    paired = StreamPairs(pairs=pairs, n_on_trial=n_on_trial)
    console = Console(file=io.StringIO(), width=120)
    console.print(agreement_table(paired, compare_assessments(pairs)))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return {line[:14].strip(): line[14:].strip() for line in lines}


def test_both_bundles_are_named_and_how_far_they_agree() -> None:
    rows = printed(pair(1, 0.2, 0.3), pair(2, 0.4, 0.6), pair(3, None, 0.1), pair(4, 0.9, 0.8), n_on_trial=5)
    assert rows["in force"] == "site-1 (aaaaaaaaaaaa)"
    assert rows["on trial"] == "site-2 (bbbbbbbbbbbb)"
    assert rows["ECGs"] == "5 newest on trial, 4 of them by both"
    assert rows["scored"] == "3 by both, 0 only in force, 1 only on trial"
    assert rows["same answer"] == "66.7 %"
    assert rows["other answer"] == "LOW → HIGH 1, HIGH → LOW 0"
    assert rows["probability"].startswith(
        "on trial less in force: +0.067 in the mean, 0.133 in mean size, 0.200"
    )


def test_of_too_few_ecgs_nothing_is_made_up() -> None:
    rows = printed(pair(1, None, None), n_on_trial=1)
    assert (rows["same answer"], rows["correlation"]) == ("—", "—")


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "two", "--stream"]])
def test_two_folders_or_the_stream_and_nothing_else_can_be_compared(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.app, ["bundle", "compare", *arguments])
    assert isinstance(result.exception, ConfigurationError)
    assert "two bundle folders, or --stream" in str(result.exception)
