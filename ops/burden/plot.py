"""The comparison as a picture: how many alerts each threshold or policy means, and how many are right."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.atomic import write_atomically
from models.study.estimate import Estimate
from ops.burden.burden import Burden
from schemas.errors import ConfigurationError
from streams.policy import Policy

#: Told apart with any colour vision (Okabe and Ito).
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

#: Text stays text, and ids do not change: the same numbers give the same file.
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "diastole",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10.0,
}
_FORMATS: Final = {".png": "png", ".svg": "svg"}
_BESIDE: Final = 0.003  # of probability, from one line to the next
_PANEL_INCHES: Final = (5.2, 3.6)


def draw(path: Path, burdens: Sequence[Burden], title: str) -> None:
    """Draw alerts against the enter threshold, and beside it, where there are labels, PPV and sensitivity.

    Raises
    ------
    ConfigurationError
        When the file's name ends in neither .png nor .svg.
    """
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise ConfigurationError(f"{path.name}: a plot is written as .png or .svg")
    has_labels = any(burden.ppv is not None for burden in burdens)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_PANEL_INCHES[0] * (1 + has_labels), _PANEL_INCHES[1]), layout="constrained")
        figure.set_layout_engine("constrained", h_pad=0.1)
        panels = figure.subplots(1, 1 + has_labels, squeeze=False)[0]
        _rates(panels[0], burdens)
        if has_labels:
            _rightness(panels[1], burdens)
        figure.suptitle(title, fontsize=9, x=0.01, horizontalalignment="left", wrap=True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    write_atomically(path, buffer.getvalue())


def _families(burdens: Sequence[Burden]) -> list[tuple[str, list[Burden]]]:
    """Policies that differ in thresholds alone belong together; those of one name are told by digest."""
    families: dict[str, list[Burden]] = {}
    for burden in sorted(burdens, key=lambda each: each.policy.enter_threshold):
        families.setdefault(_but_for_thresholds(burden.policy), []).append(burden)
    labels = Counter(family[0].policy.label for family in families.values())
    return [
        (key if labels[family[0].policy.label] > 1 else family[0].policy.label, family)
        for key, family in sorted(families.items())
    ]


def _but_for_thresholds(policy: Policy) -> str:
    return replace(policy, enter_threshold=1.0, exit_threshold=0.5).version


def _rates(panel: Axes, burdens: Sequence[Burden]) -> None:
    for number, (label, family) in enumerate(_families(burdens)):
        _line(
            panel, family, [burden.rate for burden in family], label, _COLOURS[number % len(_COLOURS)], "o-"
        )
    panel.set_ylim(bottom=0)
    panel.set_xlabel("enter threshold")
    panel.set_ylabel("alerts per 100 beds a day")
    panel.legend(frameon=False)


def _rightness(panel: Axes, burdens: Sequence[Burden]) -> None:
    for number, (label, family) in enumerate(_families(burdens)):
        colour = _COLOURS[number % len(_COLOURS)]
        _line(panel, family, [burden.ppv for burden in family], f"{label}: PPV", colour, "o-")
        _line(
            panel, family, [burden.sensitivity for burden in family], f"{label}: sensitivity", colour, "s--"
        )
    panel.set_ylim(0, 1.02)
    panel.set_xlabel("enter threshold")
    panel.set_ylabel("share")
    panel.legend(frameon=False, fontsize=8)


def _line(
    panel: Axes,
    family: Sequence[Burden],
    found: Sequence[Estimate | None],
    label: str,
    colour: str,
    form: str,
) -> None:
    shown = [
        (burden.policy.enter_threshold, each)
        for burden, each in zip(family, found, strict=True)
        if each is not None
    ]
    if not shown:
        return
    # Beside each other, or the intervals of two policies would hide one another.
    beside = len(panel.containers) * _BESIDE
    at, estimates = [x + beside for x, _ in shown], [each for _, each in shown]
    below = [each.value - each.low for each in estimates]
    above = [each.high - each.value for each in estimates]
    panel.errorbar(
        at,
        [each.value for each in estimates],
        yerr=[below, above],
        fmt=form,
        color=colour,
        label=label,
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
    )
