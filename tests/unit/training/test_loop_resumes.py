import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from torch import nn
from unit.training.tasks import InterruptedTrainingError, LineTask

from models.progress import part_of, silent
from models.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from models.training.devices import autocast, pick_device
from models.training.loop import DivergedError, LoopPlan, fit
from models.training.run_folder import RunConfiguration, RunFolder, open_run
from schemas.errors import ConfigurationError

PLAN = LoopPlan(epochs=5, batch_size=16, patience=5, seed=7)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
#: 50 rows in batches of at most 16 are 4 steps an epoch.
STEPS = 4


def run_in(path: Path, *, plan: object = None, resume: bool = False) -> RunFolder:
    configuration = RunConfiguration(command="test", plan=plan or {"a": 1}, seed=7, data_hash="")
    return open_run(path, configuration, started_at=NOW, resume=resume)


def assert_same(first: nn.Module, second: nn.Module) -> None:
    mine, other = first.state_dict(), second.state_dict()
    assert mine.keys() == other.keys()
    for name in mine:
        assert torch.equal(mine[name], other[name]), name


@pytest.mark.parametrize("step", [1, 2 * STEPS + 2, 2 * STEPS + 1, 5 * STEPS])
def test_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, step: int) -> None:
    whole = LineTask()
    uninterrupted = fit(whole, PLAN, run_in(tmp_path / "whole"), silent)

    broken = LineTask(breaks_at_step=step)
    with pytest.raises(InterruptedTrainingError):
        fit(broken, PLAN, run_in(tmp_path / "cut"), silent)
    again = LineTask()
    run = run_in(tmp_path / "cut", resume=True)
    resumed = fit(again, PLAN, run, silent)

    assert again.steps == 5 * STEPS - (step - 1) // STEPS * STEPS, "only what was lost is done again"
    assert_same(whole.net, again.net)
    assert [row["loss"] for row in resumed.curve] == [row["loss"] for row in uninterrupted.curve]
    assert (tmp_path / "cut/curves.jsonl").read_bytes() == (tmp_path / "whole/curves.jsonl").read_bytes()


def test_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = LineTask()
    result = fit(first, PLAN, run_in(tmp_path / "run"), silent)
    again = LineTask()
    repeated = fit(again, PLAN, run_in(tmp_path / "run", resume=True), silent)
    assert again.steps == 0
    assert_same(first.net, again.net)
    assert (repeated.best_epoch, repeated.stopped_early) == (result.best_epoch, result.stopped_early)


def test_curve_that_ran_ahead_of_the_checkpoint_is_put_right(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    run.append_curve("other", 1, {"loss": 1.0})
    with pytest.raises(InterruptedTrainingError):
        fit(LineTask(breaks_at_step=2 * STEPS + 1), PLAN, run, silent)
    run.append_curve("line", 3, {"loss": 0.0})
    with (run.path / "curves.jsonl").open("a") as file:
        file.write('{"task": "line", "epo')
    fit(LineTask(), PLAN, run, silent)
    assert [row["epoch"] for row in run.curves()["line"]] == [1, 2, 3, 4, 5]
    assert run.curves()["other"] == [{"epoch": 1, "loss": 1.0}]
    assert math.isnan(run.curves()["line"][0]["undefined"])


def test_training_without_a_folder_gives_the_same_weights(tmp_path: Path) -> None:
    kept, unkept = LineTask(), LineTask()
    fit(kept, PLAN, run_in(tmp_path / "run"), silent)
    fit(unkept, PLAN, None, silent)
    assert_same(kept.net, unkept.net)


def test_another_seed_gives_other_weights() -> None:
    one, two = LineTask(), LineTask()
    fit(one, PLAN, None, silent)
    fit(two, LoopPlan(epochs=5, batch_size=16, patience=5, seed=8), None, silent)
    assert not torch.equal(one.net[0].weight, two.net[0].weight)


def test_global_random_numbers_are_left_as_they_were() -> None:
    task = LineTask()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(task, PLAN, None, silent)
    assert torch.equal(torch.rand(4), expected)


def test_every_row_is_seen_each_epoch_and_done_rises_to_below_one() -> None:
    task = LineTask()
    told: list[float] = []
    fit(task, PLAN, None, part_of(lambda _what, done: told.append(done), 0.5, 1.0))
    assert task.seen == [i / (5 * STEPS) for i in range(5 * STEPS)]
    assert told == [0.5 + 0.5 * done for done in task.seen]


@pytest.mark.parametrize(
    "plan",
    [
        LoopPlan(epochs=6, batch_size=16, patience=5, seed=7),
        LoopPlan(epochs=5, batch_size=8, patience=5, seed=7),
        LoopPlan(epochs=5, batch_size=16, patience=5, seed=8),
    ],
)
def test_checkpoint_of_another_plan_is_refused(tmp_path: Path, plan: LoopPlan) -> None:
    fit(LineTask(), PLAN, run_in(tmp_path / "run"), silent)
    with pytest.raises(CheckpointError, match="of another training: plan "):
        fit(LineTask(), plan, run_in(tmp_path / "run", resume=True), silent)


def test_checkpoint_of_other_rows_networks_or_configurations_is_refused(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    fit(LineTask(), PLAN, run, silent)
    with pytest.raises(CheckpointError, match="rows 50 there, 51 now"):
        fit(LineTask(n_train=51), PLAN, run, silent)
    other = LineTask()
    other.net = nn.Sequential(nn.Linear(3, 1))
    with pytest.raises(CheckpointError, match="weights"):
        fit(other, PLAN, run, silent)
    elsewhere = run_in(tmp_path / "elsewhere", plan={"a": 2})
    elsewhere.checkpoint("line").parent.mkdir()
    elsewhere.checkpoint("line").write_bytes(run.checkpoint("line").read_bytes())
    with pytest.raises(CheckpointError, match="configuration"):
        fit(LineTask(), PLAN, elsewhere, silent)


def test_loss_that_is_no_number_names_epoch_and_step(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    with pytest.raises(DivergedError, match=r"line: loss is nan in epoch 2, step 3\."):
        fit(LineTask(nan_at_step=STEPS + 3), PLAN, run, silent)
    assert len(run.curves()["line"]) == 1, "the epoch before it is kept"
    with pytest.raises(DivergedError, match=r"loss is inf in epoch 1, validation"):
        fit(LineTask(losses=[math.inf]), PLAN, None, silent)


def test_checkpoint_holds_what_can_be_read_without_running_code(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    fit(LineTask(), PLAN, run, silent)
    content = torch.load(run.checkpoint("line"), weights_only=True)
    assert set(content) == {"recipe", "curve", "modules", "optimisers", "best"}
    with pytest.raises(TypeError, match=r"x\.pt/a/0 is a object"):
        write_checkpoint(tmp_path / "x.pt", {"a": [object()]})
    assert not (tmp_path / "x.pt").exists()


def test_checkpoint_that_is_damaged_or_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    write_checkpoint(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"x\.pt cannot be read: delete it"):
        read_checkpoint(path)
    torch.save({"a": print}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)
    torch.save([1], path)
    with pytest.raises(CheckpointError, match="no checkpoint of this program"):
        read_checkpoint(path)


def test_checkpoint_keeps_what_it_was_given(tmp_path: Path) -> None:
    written = {"a": (1, 2.5, None, True, "x"), "b": {0: torch.arange(3)}}
    write_checkpoint(tmp_path / "deep/x.pt", written)
    read = read_checkpoint(tmp_path / "deep/x.pt")
    assert read["a"] == written["a"]
    assert torch.equal(read["b"][0], torch.arange(3))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.pt"]


def test_device_that_is_not_there_is_refused() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    for asked in ("cuda:99", "abacus", "mps"):
        with pytest.raises(ConfigurationError, match=asked):
            pick_device(asked)


def test_on_the_cpu_nothing_is_cast() -> None:
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
