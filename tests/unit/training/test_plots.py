import math
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

from models.training.plots import draw_learning_curves, panels
from models.training.run_folder import RunConfiguration, RunFolder, open_run


def run_with_curves(path: Path) -> RunFolder:
    configuration = RunConfiguration(command="test", plan={}, seed=1, data_hash="")
    run = open_run(path, configuration, started_at=datetime(2025, 1, 1, tzinfo=UTC))
    for epoch in range(1, 4):
        row = {"train_loss": 2.0 / epoch, "loss": abs(epoch - 2.0), "r2_qrs_ms": math.nan, "auc_is_male": 0.6}
        run.append_curve("encoder", epoch, row)
    run.append_curve("motion", 1, {"loss": 1.0})
    return run


def test_each_task_has_its_picture(tmp_path: Path) -> None:
    written = draw_learning_curves(run_with_curves(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "plots/encoder.svg",
        "plots/motion.svg",
    ]
    text = " ".join(ElementTree.parse(written[0]).getroot().itertext())  # noqa: S314 - we have just written it
    for said in ("encoder: 3 epochs", "train_loss", "best", "R², validation", "auc_is_male"):
        assert said in text


def test_same_curves_give_the_same_bytes(tmp_path: Path) -> None:
    one = draw_learning_curves(run_with_curves(tmp_path / "one"))
    two = draw_learning_curves(run_with_curves(tmp_path / "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    again = draw_learning_curves(RunFolder(tmp_path / "one", ""))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in two]


def test_run_without_curves_has_no_pictures(tmp_path: Path) -> None:
    configuration = RunConfiguration(command="test", plan={}, seed=1, data_hash="")
    run = open_run(tmp_path, configuration, started_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert draw_learning_curves(run) == []


def test_measures_share_a_panel_with_their_kind() -> None:
    row = {"epoch": 1.0, "loss": 1.0, "mae_a": 1.0, "mae_b": 1.0, "train_beat": 1.0, "tilt": 0.0}
    assert panels([row]) == {
        "loss": ["loss"],
        "mean absolute error, validation": ["mae_a", "mae_b"],
        "terms of the loss, training": ["train_beat"],
        "tilt": ["tilt"],
    }
