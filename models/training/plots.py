"""Learning curves of a run, drawn; the same curves give the same files byte for byte."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.atomic import write_atomically
from models.training.loop import LOSS, best_of
from models.training.run_folder import RunFolder

PLOTS_FOLDER: Final = "plots"

_PANEL_INCHES: Final = (4.2, 3.0)
_PREFIXES: Final = {
    "r2": "R², validation",
    "auc": "AUC, validation",
    "mae": "mean absolute error, validation",
    "train": "terms of the loss, training",
}
#: More curves than a legend can hold are told apart by nobody.
_MOST_NAMED: Final = 20

Curve = Sequence[dict[str, float]]


def draw_learning_curves(run: RunFolder) -> list[Path]:
    """Draw ``plots/TASK.svg`` for each task of a run.

    Each has one panel for the loss, training beside validation, with the best epoch marked, and one for each
    kind of measure.

    Returns
    -------
    list of Path
        What was written, in the order of tasks; empty while there are no curves.
    """
    out = []
    for task, curve in run.curves().items():
        path = run.path / PLOTS_FOLDER / f"{task}.svg"
        write_atomically(path, _svg(task, curve))
        out.append(path)
    return out


def panels(curve: Curve) -> dict[str, list[str]]:
    """Sort measures into panels: title → names, ``loss`` first.

    >>> panels([{"epoch": 1, "loss": 1.0, "train_loss": 1.0, "r2_qrs_ms": 0.5, "bias": 0.1}])
    {'loss': ['train_loss', 'loss'], 'R², validation': ['r2_qrs_ms'], 'bias': ['bias']}
    """
    names = [name for name in curve[0] if name != "epoch"]
    losses = (f"train_{LOSS}", LOSS)
    out: dict[str, list[str]] = {LOSS: [name for name in losses if name in names]}
    for name in names:
        if name not in losses:
            out.setdefault(_PREFIXES.get(name.split("_")[0], name), []).append(name)
    return out


def _svg(task: str, curve: Curve) -> bytes:
    held = io.BytesIO()
    # Ids and fonts that do not depend on the moment or the machine; text stays text.
    with mpl.rc_context({"svg.hashsalt": "diastole", "svg.fonttype": "none", "font.size": 8.0}):
        shown = panels(curve)
        columns = min(len(shown), 3)
        rows = -(-len(shown) // columns)
        width, height = _PANEL_INCHES
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        figure.suptitle(f"{task}: {len(curve)} epochs")
        for i, (title, names) in enumerate(shown.items()):
            _panel(figure.add_subplot(rows, columns, i + 1), title, names, curve)
        figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None})
    return held.getvalue()


def _panel(axes: Axes, title: str, names: Sequence[str], curve: Curve) -> None:
    epochs = [row["epoch"] for row in curve]
    for name in names:
        axes.plot(epochs, [row.get(name, np.nan) for row in curve], marker=".", linewidth=1.0, label=name)
    if title == LOSS and all(LOSS in row for row in curve):
        axes.axvline(epochs[best_of([row[LOSS] for row in curve])], color="0.7", linewidth=0.8, label="best")
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.grid(visible=True, linewidth=0.3)
    if len(names) <= _MOST_NAMED:
        axes.legend(fontsize=6.0)
