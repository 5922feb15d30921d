import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner
from unit.training.files import write_ecgs

from models.manifest import Performance
from models.training.plans import training_plan
from models.training.run_folder import RunConfiguration, RunFolderError
from ops.cli import main as cli
from ops.cli.train import performance_table
from ops.cli.training_setup import opened_run
from ops.training_progress import shown_progress
from schemas.errors import ConfigurationError

COMMAND = ["pretrain", "--quick", "--workers", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ecgs")
    write_ecgs(folder, 6)
    return folder


@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_commands_explain_themselves(command: str) -> None:
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert "--resume" in result.output


def test_site_pretrains_an_encoder_on_its_own_files(ecgs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [*COMMAND, "--ecgs", str(ecgs), "--out", str(run)]
    done = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "6 of 6 ECGs can be used" in done.output
    assert "trained on 5 ECGs, best epoch" in done.output
    assert "r2_heart_rate_bpm" in done.output
    for name in (
        "encoder.safetensors",
        "config.json",
        "curves.jsonl",
        "plots/encoder.svg",
        "checkpoints/encoder.pt",
    ):
        assert (run / name).stat().st_size > 0, name
    assert json.loads((run / "config.json").read_text())["finished_at"] is not None

    encoder = (run / "encoder.safetensors").read_bytes()
    with pytest.raises(RunFolderError, match="holds a run already"):
        CliRunner().invoke(cli.app, command, catch_exceptions=False)
    resumed = CliRunner().invoke(cli.app, [*command, "--resume"], catch_exceptions=False)
    assert resumed.exit_code == 0
    assert (run / "encoder.safetensors").read_bytes() == encoder
    with pytest.raises(RunFolderError, match="seed is 1 there and 2 now"):
        CliRunner().invoke(cli.app, [*command, "--resume", "--seed", "2"], catch_exceptions=False)
    again = [*COMMAND, "--ecgs", str(ecgs), "--out", str(tmp_path / "again")]
    CliRunner().invoke(cli.app, again, catch_exceptions=False)
    assert (tmp_path / "again/encoder.safetensors").read_bytes() == encoder


def test_trial_is_not_in_the_way_of_the_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIASTOLE_HOME", str(tmp_path))
    configuration = RunConfiguration(command="train", plan={}, seed=2, data_hash="")
    tried = opened_run(None, configuration, resume=False, quick=True)
    real = opened_run(None, configuration, resume=False, quick=False)
    assert (tried.path, real.path) == (tmp_path / "runs/train-2-quick", tmp_path / "runs/train-2")


def test_what_cannot_be_trained_on_is_said(ecgs: Path, tmp_path: Path) -> None:
    for options, said in (
        (["--ecgs", str(tmp_path / "absent")], "there is no folder"),
        (["--ecgs", str(ecgs), "--device", "cuda:99"], "no device cuda:99"),
        (["--ecgs", str(ecgs), "--teacher", str(tmp_path / "absent.pth")], r"absent\.pth"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            CliRunner().invoke(cli.app, [*COMMAND, *options], catch_exceptions=False)


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(Console(force_terminal=False)) as progress:
        for i in range(1000):
            progress(f"encoder, step {i}", i / 1000)
        progress("motion, step 0", 0.999)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[0] == "  0% encoder, step 0"
    assert lines[-1] == "100% motion, step 0"


def test_progress_on_a_terminal_is_a_bar() -> None:
    console = Console(force_terminal=True, record=True, width=120)
    with shown_progress(console) as progress:
        progress("encoder, [odd] loss 0.5", 0.5)
    assert "encoder, [odd] loss 0.5" in console.export_text()


def test_performance_is_shown_of_whole_cohorts() -> None:
    whole = Performance(cohort="development", subgroup="all", model="ensemble", n=100, events=30, auc=0.8765)
    console = Console(record=True, width=120)
    console.print(performance_table([whole, replace(whole, subgroup="women", auc=0.111)]))
    shown = console.export_text()
    assert "0.876" in shown
    assert "–" in shown
    assert "0.111" not in shown


def test_quick_plan_is_smaller_and_says_so() -> None:
    usual, quick = training_plan(3), training_plan(3, bundle_version="lab-1", quick=True)
    assert (usual.seed, usual.pretraining.loop.seed, quick.pretraining.loop.seed) == (3, 3, 3)
    assert (usual.bundle_version, quick.bundle_version) == ("simulated-2", "lab-1-quick")
    assert quick.sizes.registry < usual.sizes.registry
    assert quick.pretraining.loop.epochs < usual.pretraining.loop.epochs
