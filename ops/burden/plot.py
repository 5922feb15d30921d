"""The comparison as a picture: how many alerts each policy or threshold means, and how many are right."""

import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.atomic import write_atomically
from models.study.estimate import Estimate, share_interval
from ops.burden.burden import Burden
from schemas.errors import ConfigurationError
from streams.policy import Policy

#: Told apart with any colour vision (Okabe and Ito); beyond six by their form too.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_FORMS: Final = ("o-", "s--", "^:", "D-.")

#: Text stays text, and ids do not change: the same numbers give the same file.
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "diastole",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9.0,
}
_FORMATS: Final = {".png": "png", ".svg": "svg"}
_PANEL_INCHES: Final = (4.0, 2.8)
_COLUMNS: Final = 3
_TITLE_INCHES: Final = 1.0  # of title and legend together

#: From one line to the next, as a share of the axis: intervals of two policies would hide one another.
_BESIDE: Final = 0.012

_Found = Callable[[Burden], Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """One thing that is compared; ``top`` of a share, None where the axis goes as far as the numbers do."""

    label: str
    found: _Found
    top: float | None = None


_SHARE_TOP: Final = 1.02  # room for a mark at 1

_PANELS: Final = (
    _Panel(label="alerts per 100 beds a day", found=lambda each: each.rate),
    _Panel(
        label="repeats, share of alerts",
        found=lambda each: share_interval(each.n_repeats, each.n_alerts),
        top=_SHARE_TOP,
    ),
    _Panel(label="time in high, share", found=lambda each: each.high, top=_SHARE_TOP),
)
_LABELLED: Final = (
    _Panel(label="PPV", found=lambda each: each.ppv, top=_SHARE_TOP),
    _Panel(label="sensitivity", found=lambda each: each.sensitivity, top=_SHARE_TOP),
    _Panel(label="alerts to evaluate for a right one", found=lambda each: each.to_evaluate),
)


def draw(path: Path, burdens: Sequence[Burden], title: str) -> None:
    """Draw what the table says, over enter thresholds, or policies beside each other where each has but one.

    What cannot be said is left out, and no line joined over it.

    Raises
    ------
    ConfigurationError
        When the file's name ends in neither .png nor .svg.
    """
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise ConfigurationError(f"{path.name}: a plot is written as .png or .svg")
    panels = (*_PANELS, *(_LABELLED if any(burden.ppv is not None for burden in burdens) else ()))
    rows = len(panels) // _COLUMNS
    width, height = _PANEL_INCHES
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width * _COLUMNS, height * rows + _TITLE_INCHES), layout="constrained")
        figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
        families = _families(burdens)
        for axes, panel in zip(figure.subplots(rows, _COLUMNS).flat, panels, strict=True):
            _draw_panel(axes, panel, families)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", frameon=False, ncols=4)
        said = f"{title}\nbars: intervals of 95 %"
        figure.suptitle(said, fontsize=9, x=0.01, horizontalalignment="left", wrap=True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    write_atomically(path, buffer.getvalue())


_Family = tuple[str, list[Burden]]


def _families(burdens: Sequence[Burden]) -> list[_Family]:
    """Policies that differ in thresholds alone belong together; of one name, they are called as in tables."""
    families: dict[str, list[Burden]] = {}
    for burden in sorted(burdens, key=lambda each: each.policy.enter_threshold):
        families.setdefault(_but_for_thresholds(burden.policy), []).append(burden)
    labels = Counter(family[0].policy.label for family in families.values())
    return [
        (policy.version if labels[policy.label] > 1 else policy.label, family)
        for _, family in sorted(families.items())
        for policy in [family[0].policy]
    ]


def _but_for_thresholds(policy: Policy) -> str:
    return replace(policy, enter_threshold=1.0, exit_threshold=0.5).version


def _draw_panel(axes: Axes, panel: _Panel, families: Sequence[_Family]) -> None:
    thresholds = [each.policy.enter_threshold for _, family in families for each in family]
    is_sweep = any(len(family) > 1 for _, family in families)
    apart = (max(thresholds) - min(thresholds)) * _BESIDE
    for number, (label, family) in enumerate(families):
        at = [each.policy.enter_threshold + number * apart if is_sweep else float(number) for each in family]
        _draw_line(axes, at, [panel.found(each) for each in family], label, number)
    axes.set_ylim(bottom=0, top=panel.top)
    axes.set_ylabel(panel.label)
    if is_sweep:
        axes.set_xlabel("enter threshold")
    else:
        axes.set_xlim(-0.6, len(families) - 0.4)
        axes.set_xticks([])  # colours tell


def _draw_line(
    axes: Axes, at: Sequence[float], found: Sequence[Estimate | None], label: str, number: int
) -> None:
    # NaN draws nothing and opens the line; so does an end that is nowhere.
    estimates = [each or Estimate(value=math.nan) for each in found]
    below = [each.value - each.low for each in estimates]
    above = [each.high - each.value if math.isfinite(each.high) else math.nan for each in estimates]
    axes.errorbar(
        at,
        [each.value for each in estimates],
        yerr=[below, above],
        fmt=_FORMS[number // len(_COLOURS) % len(_FORMS)],
        color=_COLOURS[number % len(_COLOURS)],
        label=label,
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
        clip_on=False,  # a mark at 0 is a whole one
    )
