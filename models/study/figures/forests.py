"""Figures that are rows of intervals: associations, subgroups, diseases."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.study.diseases import Diseases
from models.study.estimate import Estimate
from models.study.figures.style import (
    INK,
    LINE,
    MODEL_COLOUR,
    SOFT,
    Drawn,
    drawing,
    drawn,
    panel_title,
    panels,
)
from models.study.published import published
from models.study.scored import ENSEMBLE
from models.study.study import LabelledResult
from models.study.subgroups import Subgroup
from models.study.wording import count, estimate
from models.study.words import title

#: First cohort filled, second open: told apart without colour.
_MARKERS: Final = (("o", MODEL_COLOUR[ENSEMBLE]), ("s", "none"))
_ROW_INCHES: Final = 0.27


def draw_associations(labelled: Sequence[LabelledResult]) -> Drawn:
    """Draw continuous associations in standard deviations and binary ones as odds ratios."""
    effects = [{each.name: each.effect_size for each in of.continuous} for of in labelled]
    odds = [{each.name: each.odds_ratio for each in of.binary} for of in labelled]
    rows = max(len(effects[0]), len(odds[0]), 1)
    with drawing("associations"):
        figure, axes = panels(2, height=1.5 + 2 * _ROW_INCHES * rows)
        for panel, columns, nothing in zip(axes, (effects, odds), (0.0, 1.0), strict=True):
            panel.axvline(nothing, color=SOFT, linewidth=0.9)
            for cohort, found in enumerate(columns):
                for row, name in enumerate(columns[0]):
                    if name in found:
                        _interval(panel, found[name], row + _beside(cohort, len(labelled)), cohort)
            _rows(panel, [title(name) for name in columns[0]])
        axes[0].set_xlabel("difference in standard deviations\n(high − low risk)")
        axes[1].set_xscale("log")
        axes[1].set_xlabel("odds ratio\n(high over low risk)")
        _plain_log_ticks(axes[1])
        _legend(figure, [of.cohort.heading for of in labelled], columns=1)
        return drawn(
            figure,
            "associations",
            title="Associations with being called high-risk",
            description="; ".join(f"{of.cohort.heading}: {_associations_said(of)}" for of in labelled),
            caption="What else is true of those the ensemble calls high-risk; unadjusted, 95 % intervals.",
        )


def _associations_said(of: LabelledResult) -> str:
    continuous = [f"{title(each.name)} {estimate(each.effect_size)} SD" for each in of.continuous]
    return ", ".join(
        continuous + [f"{title(each.name)} OR {estimate(each.odds_ratio)}" for each in of.binary]
    )


def draw_subgroups(labelled: Sequence[LabelledResult]) -> Drawn:
    """Draw the AUC of the ensemble in each subgroup, one panel a cohort."""
    with drawing("subgroups"):
        most = max(len(of.subgroups) for of in labelled)
        figure, axes = panels(len(labelled), height=1.3 + _ROW_INCHES * most)
        for panel, of in zip(axes, labelled, strict=True):
            panel_title(panel, of.cohort)
            panel.axvline(of.aucs[ENSEMBLE].auc.value, color=SOFT, linewidth=0.8, linestyle=(0, (2, 3)))
            for row, each in enumerate(of.subgroups):
                if each.auc is not None:
                    _interval(panel, each.auc.auc, row, 0)
                else:
                    panel.text(0.99, row, "too few", ha="right", va="center", fontsize=8, color=SOFT)
            _rows(panel, [_level(each) for each in of.subgroups])
            lows = [each.auc.auc.low for each in of.subgroups if each.auc]
            panel.set(xlim=(min([0.5, *lows]), 1.0), xlabel="AUC of the ensemble")
        return drawn(
            figure,
            "subgroups",
            title="AUC of the ensemble in subgroups",
            description="; ".join(f"{of.cohort.heading}: {_subgroups_said(of)}" for of in labelled),
            caption="AUC with 95 % interval; in brackets patients with the phenotype, of all. Dotted: all.",
        )


def _subgroups_said(of: LabelledResult) -> str:
    return ", ".join(f"{_level(each)} {estimate(each.auc.auc)}" for each in of.subgroups if each.auc)


def draw_diseases(diseases: Diseases) -> Drawn:
    """Draw the AUC of the ensemble by disease, on all and on measured rows, beside the published range."""
    low, high = published("auc_diseases").low or 0.0, published("auc_diseases").high or 0.0
    rows = [each for each in diseases.diseases if ENSEMBLE in each.all_rows]
    said = ", ".join(f"{each.title} {estimate(each.all_rows[ENSEMBLE].auc)}" for each in rows)
    with drawing("diseases"):
        figure, (panel,) = panels(1, width=10.4, height=1.8 + 1.35 * _ROW_INCHES * len(rows))
        panel_title(panel, diseases.cohort)
        panel.axvspan(low, high, color=LINE, alpha=0.6, linewidth=0)
        panel.text(
            (low + high) / 2, -0.95, "published range", ha="center", va="center", fontsize=8.5, color=SOFT
        )
        panel.axvline(0.5, color=SOFT, linewidth=0.9)
        for row, each in enumerate(rows):
            for which, areas in enumerate((each.all_rows, each.measured_rows)):
                if ENSEMBLE in areas:
                    _interval(panel, areas[ENSEMBLE].auc, row + _beside(which, 2), which)
        _rows(panel, [f"{each.title} ({count(each.n_with)})" for each in rows], top=-1.4)
        lows = [
            areas[ENSEMBLE].auc.low for each in rows for areas in (each.all_rows, each.measured_rows) if areas
        ]
        lowest = min([0.45, *(low - 0.01 for low in lows)])
        panel.set(xlim=(lowest, 1.0), xlabel="AUC of the high-risk probability for the disease")
        _legend(figure, ["all ECGs, not measured counted as not there", "measured ECGs only"], columns=2)
        return drawn(
            figure,
            "diseases",
            title="AUC by structural heart disease",
            description=f"{diseases.cohort.heading}, all ECGs: {said}",
            caption=(
                "AUC with 95 % interval, ECGs of one patient taken as one cluster; in brackets ECGs with the "
                "disease. The band is the published range, on the real EchoNext."
            ),
        )


def _beside(which: int, of: int) -> float:
    """Place of one of two intervals of a row, a little above and below its middle."""
    return 0.0 if of == 1 else 0.28 * (which - 0.5)


def _interval(panel: Axes, found: Estimate, row: float, which: int) -> None:
    colour, (marker, face) = MODEL_COLOUR[ENSEMBLE], _MARKERS[which]
    if np.isfinite(found.low) and np.isfinite(found.high):
        panel.hlines(row, found.low, found.high, color=colour, linewidth=1.4)
    panel.plot([found.value], [row], marker, color=colour, markerfacecolor=face, markersize=5.5)


def _legend(figure: Figure, names: Sequence[str], *, columns: int) -> None:
    for (marker, face), name in zip(_MARKERS, names, strict=False):
        style: dict[str, Any] = {
            "marker": marker,
            "markerfacecolor": face,
            "color": MODEL_COLOUR[ENSEMBLE],
            "linewidth": 1.4,
        }
        figure.axes[0].plot([], [], label=name, **style)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9, labelcolor=INK)


def _rows(panel: Axes, names: list[str], top: float = -0.6) -> None:
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, top)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x")
    panel.set_axisbelow(True)


def _level(each: Subgroup) -> str:
    return f"{each.title} ({count(each.n_positive)} of {count(each.n)})"


def _plain_log_ticks(panel: Axes) -> None:
    low, high = panel.get_xlim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low <= tick <= high]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.set_xticks([], minor=True)
