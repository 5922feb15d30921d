import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.training.run_folder import RunConfiguration, RunFolderError, open_run

NOW = datetime(2025, 1, 1, tzinfo=UTC)
LATER = datetime(2025, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    widths: tuple[int, ...] = (16, 32)
    rate: float = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    inner: Inner = field(default_factory=Inner)
    where: Path = Path("x")


def configured(plan: object = None, seed: int = 1, data: str = "abc") -> RunConfiguration:
    return RunConfiguration(command="train", plan=plan or Plan(), seed=seed, data_hash=data)


def test_configuration_is_kept_with_versions_and_times(tmp_path: Path) -> None:
    run = open_run(tmp_path / "new/run", configured(), started_at=NOW)
    config = json.loads((run.path / "config.json").read_text())
    assert config["plan"] == {"inner": {"widths": [16, 32], "rate": 0.002}, "where": "x"}
    assert (config["command"], config["seed"], config["data_hash"]) == ("train", 1, "abc")
    assert set(config["versions"]) == {"python", "numpy", "torch"}
    assert (config["started_at"], config["finished_at"]) == (NOW.isoformat(), None)


def test_same_configuration_goes_on_and_keeps_its_times(tmp_path: Path) -> None:
    first = open_run(tmp_path, configured(), started_at=NOW)
    again = open_run(tmp_path, configured(), started_at=LATER, resume=True)
    assert again.configuration_hash == first.configuration_hash
    again.finish(LATER)
    again.finish(datetime(2025, 1, 3, tzinfo=UTC))
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["started_at"], config["finished_at"]) == (NOW.isoformat(), LATER.isoformat())


def test_another_configuration_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    open_run(tmp_path, configured(), started_at=NOW)
    other = configured(Plan(inner=Inner(rate=0.5)), seed=2)
    with pytest.raises(RunFolderError) as refused:
        open_run(tmp_path, other, started_at=NOW, resume=True)
    said = str(refused.value)
    assert "plan.inner.rate is 0.002 there and 0.5 now; seed is 1 there and 2 now" in said
    assert "widths" not in said
    with pytest.raises(RunFolderError, match=r"plan\.more is None there and 1 now"):
        open_run(tmp_path, configured({"more": 1}), started_at=NOW, resume=True)


def test_run_of_another_version_is_refused(tmp_path: Path) -> None:
    open_run(tmp_path, configured(), started_at=NOW)
    config = json.loads((tmp_path / "config.json").read_text())
    config["versions"]["torch"] = "1.0"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunFolderError, match=r"versions\.torch is '1\.0' there"):
        open_run(tmp_path, configured(), started_at=NOW, resume=True)


def test_run_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    open_run(tmp_path, configured(), started_at=NOW)
    with pytest.raises(RunFolderError, match="holds a run already"):
        open_run(tmp_path, configured(), started_at=NOW)


def test_folder_of_something_else_and_damaged_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds files but no run"):
        open_run(tmp_path, configured(), started_at=NOW, resume=True)
    for damaged in ("{", "[]"):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(RunFolderError, match=r"config\.json"):
            open_run(tmp_path, configured(), started_at=NOW, resume=True)


def test_stage_is_complete_once_its_result_is_there(tmp_path: Path) -> None:
    run = open_run(tmp_path, configured(), started_at=NOW)
    assert not run.is_complete("motion")
    with pytest.raises(RunFolderError, match=r"motion\.json cannot be read"):
        run.stage("motion")
    run.save_stage("motion", {"auc": 0.5, "lists": [1, math.nan], "deep": {"a": (math.inf, "x")}})
    assert run.is_complete("motion")
    assert run.stage("motion") == {"auc": 0.5, "lists": [1, None], "deep": {"a": [None, "x"]}}
    for name in ("../motion", "", "Motion", "a.b"):
        with pytest.raises(ValueError, match="cannot name a file"):
            run.is_complete(name)
        with pytest.raises(ValueError, match="cannot name a file"):
            run.checkpoint(name)


def test_curves_of_tasks_are_kept_apart(tmp_path: Path) -> None:
    run = open_run(tmp_path, configured(), started_at=NOW)
    assert run.curves() == {}
    run.append_curve("a", 1, {"loss": 1.0})
    run.append_curve("b", 1, {"loss": 2.0, "r2": math.nan})
    run.append_curve("a", 2, {"loss": 0.5})
    assert [row["loss"] for row in run.curves()["a"]] == [1.0, 0.5]
    assert math.isnan(run.curves()["b"][0]["r2"])
    run.reset_curve("a", [{"loss": 3.0}])
    assert run.curves()["a"] == [{"epoch": 1, "loss": 3.0}]
    assert [row["epoch"] for row in run.curves()["b"]] == [1]
    for line in (tmp_path / "curves.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["epoch"] == 1
