import pytest
import torch
from unit.training.tasks import LineTask

from models.progress import silent
from models.training.loop import LoopPlan, fit, is_over
from schemas.errors import ConfigurationError


def plan(**changed: int) -> LoopPlan:
    return LoopPlan(**{"epochs": 10, "batch_size": 16, "patience": 2, "seed": 1, **changed})


def test_training_stops_after_patience_and_takes_the_best_weights_back() -> None:
    best = LineTask(losses=[3.0, 1.0])
    fit(best, plan(epochs=2), None, silent)
    # the schedule of a task may depend on the plan's epochs; this one's does not
    task = LineTask(losses=[3.0, 1.0, 2.0, 1.5, 0.1])
    result = fit(task, plan(), None, silent)
    assert [row["loss"] for row in result.curve] == [3.0, 1.0, 2.0, 1.5]
    assert (result.best_epoch, result.stopped_early, result.best["loss"]) == (2, True, 1.0)
    for mine, its in zip(task.net.state_dict().values(), best.net.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
    assert not task.net.training


def test_training_that_improves_to_the_end_runs_all_epochs() -> None:
    result = fit(LineTask(losses=[1.0 / (i + 1) for i in range(10)]), plan(), None, silent)
    assert (len(result.curve), result.best_epoch, result.stopped_early) == (10, 10, False)


def test_equal_loss_is_no_improvement() -> None:
    result = fit(LineTask(losses=[1.0] * 10), plan(), None, silent)
    assert (len(result.curve), result.best_epoch) == (3, 1)


def test_least_epochs_are_done_whatever_the_loss() -> None:
    result = fit(LineTask(losses=[float(i) for i in range(10)]), plan(min_epochs=6), None, silent)
    assert (len(result.curve), result.best_epoch) == (6, 1)


@pytest.mark.parametrize(
    ("losses", "over"),
    [
        ([], False),
        ([1.0], False),
        ([1.0, 2.0], False),
        ([1.0, 2.0, 2.0], True),
        ([1.0, 2.0, 0.9], False),
        ([1.0, 2.0, 0.9, 1.0, 1.0], True),
        ([float(-i) for i in range(10)], True),
    ],
)
def test_when_training_is_over(losses: list[float], over: bool) -> None:
    assert is_over(losses, plan()) is over


def test_nonsensical_plans_and_empty_tasks_are_refused() -> None:
    for name in ("epochs", "batch_size", "patience", "min_epochs"):
        with pytest.raises(ConfigurationError, match="1 or more"):
            plan(**{name: 0})
    task = LineTask()
    task.n_train = 0
    with pytest.raises(ConfigurationError, match="line: there are no ECGs to train on"):
        fit(task, plan(), None, silent)
