"""Figures that are curves: ROC, calibration, net benefit, cumulative incidence."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from models.study.figures.style import (
    HIGH,
    INK,
    LINE,
    LOW,
    MODEL_COLOUR,
    MODEL_DASHES,
    MODEL_TITLE,
    SOFT,
    Drawn,
    drawing,
    drawn,
    panel_title,
    panels,
)
from models.study.outcomes import EventComparison, IncidenceCurve, Outcomes
from models.study.scored import ENSEMBLE, MODELS, ScoredCohort
from models.study.study import LabelledResult
from models.study.wording import count, estimate, number, p_value, percent

_TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Height of the tallest bar of the probabilities' histogram, of the panel.
_HISTOGRAM: Final = 0.12


def draw_rocs(labelled: Sequence[LabelledResult]) -> Drawn:
    """Draw ROC curves of the three models, one panel a cohort."""
    spot: dict[str, Any] = {
        "marker": "o",
        "markersize": 7,
        "markerfacecolor": "none",
        "color": MODEL_COLOUR[ENSEMBLE],
    }
    with drawing("roc"):
        figure, axes = panels(len(labelled), height=5.2)
        for panel, of in zip(axes, labelled, strict=True):
            panel_title(panel, of.cohort)
            _diagonal(panel)
            for row, model in enumerate(MODELS):
                height = 0.21 - 0.07 * row
                panel.plot(of.rocs[model].false_positive, of.rocs[model].true_positive, **_line(model))
                panel.plot([0.40, 0.48], [height] * 2, **_line(model))
                said = f"{MODEL_TITLE[model]} {estimate(of.aucs[model].auc)}"
                panel.text(0.51, height, said, va="center", fontsize=9)
            at = of.operating_point
            panel.plot([1 - at.specificity.value], [at.sensitivity.value], markeredgewidth=1.6, **spot)
            _unit_square(panel, "1 − specificity", "sensitivity")
        return drawn(
            figure,
            "roc",
            title="ROC curves",
            description="; ".join(f"{of.cohort.heading}: {_aucs_said(of)}" for of in labelled),
            caption=(
                "ROC curves of the three models, each with its AUC and DeLong's 95 % interval. The ring is "
                "the ensemble at the bundle's threshold."
            ),
        )


def _aucs_said(of: LabelledResult) -> str:
    return ", ".join(f"{MODEL_TITLE[model]} AUC {estimate(of.aucs[model].auc)}" for model in MODELS)


def draw_calibration(labelled: Sequence[LabelledResult], cohorts: Sequence[ScoredCohort]) -> Drawn:
    """Draw observed against predicted share, tenth by tenth, over the histogram of probabilities."""
    colour = MODEL_COLOUR[ENSEMBLE]
    with drawing("calibration"):
        figure, axes = panels(len(labelled), height=5.2)
        for panel, of, cohort in zip(axes, labelled, cohorts, strict=True):
            bins = of.calibrations[ENSEMBLE].bins
            told, seen = [each.mean_probability for each in bins], [each.observed for each in bins]
            panel_title(panel, of.cohort)
            _histogram(panel, cohort)
            _diagonal(panel)
            panel.vlines(told, [each.low for each in seen], [each.high for each in seen], color=colour)
            panel.plot(told, [each.value for each in seen], "o-", color=colour, markersize=5.5, linewidth=0.8)
            panel.text(0.03, 0.97, _calibration_said(of), va="top", fontsize=9, linespacing=1.5)
            _unit_square(panel, "predicted probability", "observed share")
        return drawn(
            figure,
            "calibration",
            title="Calibration of the ensemble",
            description="; ".join(f"{of.cohort.heading}: {_calibration_said(of)}" for of in labelled),
            caption=(
                "Observed share against mean predicted probability in tenths of the cohort, with Wilson's "
                "95 % intervals; bars at the foot say how many were told what. On the diagonal a "
                "probability means what it says."
            ),
        )


def _calibration_said(of: LabelledResult) -> str:
    found = of.calibrations[ENSEMBLE]
    said = f"slope {estimate(found.slope)}\nintercept {estimate(found.intercept)}"
    return f"{said}\nBrier score {number(found.brier, 3)}"


def _histogram(panel: Axes, cohort: ScoredCohort) -> None:
    n, edges = np.histogram(cohort.probability[ENSEMBLE], bins=40, range=(0.0, 1.0))
    panel.bar(edges[:-1], _HISTOGRAM * n / n.max(), width=0.021, align="edge", color=LINE, linewidth=0)


def draw_decision_curves(labelled: Sequence[LabelledResult]) -> Drawn:
    """Draw net benefit over thresholds, one panel a cohort."""
    everybody: dict[str, Any] = {
        "color": SOFT,
        "linewidth": 1.2,
        "linestyle": (0, (4, 1, 1, 1)),
        "label": "echo for everybody",
    }
    with drawing("decision"):
        figure, axes = panels(len(labelled), height=3.8, sharey=True)
        for panel, of in zip(axes, labelled, strict=True):
            curve = of.decision_curve
            panel_title(panel, of.cohort)
            panel.axhline(0.0, color=SOFT, linewidth=0.9)
            panel.plot(curve.thresholds, curve.treat_all, **everybody)
            for model in MODELS:
                panel.plot(
                    curve.thresholds, curve.net_benefit[model], label=MODEL_TITLE[model], **_line(model)
                )
            panel.set(xlim=(0, 0.8), xlabel="threshold probability", ylabel="net benefit a patient")
            panel.grid(axis="y")
        most = max(of.decision_curve.treat_all[0] for of in labelled)
        axes[0].set_ylim(-0.12 * most, 1.05 * most)
        axes[-1].legend(frameon=False, fontsize=9, loc="upper right", labelcolor=INK)
        return drawn(
            figure,
            "decision",
            title="Decision curves",
            description="Net benefit of sending to echo by each model, against sending everybody and nobody: "
            + "; ".join(of.cohort.heading for of in labelled),
            caption=(
                "Net benefit of acting at each threshold: those rightly sent to echo, less those wrongly "
                "sent weighed at the odds of the threshold. The horizontal line is sending nobody."
            ),
        )


def draw_incidence(outcomes: Outcomes) -> Drawn:
    """Draw cumulative incidence by risk group: of the event judged, and of death of any cause."""
    judged, *others = outcomes.comparisons
    shown = [judged, *others[-1:]]
    with drawing("incidence"):
        figure, axes = panels(len(shown), height=5.0, width=5.2 if others else 7.0)
        for panel, each in zip(axes, shown, strict=True):
            panel_title(panel, outcomes.cohort, each.event)
            _incidence_curves(panel, each)
        return drawn(
            figure,
            "incidence",
            title="Cumulative incidence by risk group",
            description=f"{outcomes.cohort.heading}; " + "; ".join(map(_incidence_said, shown)),
            caption=(
                "Cumulative incidence (Aalen–Johansen) with 95 % intervals; below, how many were still "
                "followed. The dotted line is the horizon of the rates."
            ),
        )


def _incidence_said(each: EventComparison) -> str:
    high, low = percent(each.rate_high.value), percent(each.rate_low.value)
    return f"{each.event}: {high} at high and {low} at low risk by {each.horizon_years:g} years"


def _incidence_curves(panel: Axes, each: EventComparison) -> None:
    curves: tuple[tuple[str, IncidenceCurve, str], ...] = (
        ("high risk", each.curve_high, HIGH),
        ("low risk", each.curve_low, LOW),
    )
    last = each.curve_high.years[-1] or 1.0
    panel.axvline(each.horizon_years, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
    for name, curve, colour in curves:
        panel.fill_between(curve.years, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        panel.plot(curve.years, curve.incidence, color=colour, linewidth=1.8)
        panel.text(last, curve.incidence[-1], f" {name}", color=colour, va="center", fontsize=9.5)
    said = f"{each.test.name}: p {p_value(each.test.p)}"
    panel.text(0.03, 0.97, said, transform=panel.transAxes, va="top", fontsize=9)
    highest = [1.15 * curve.incidence[-1] for _, curve, _ in curves]
    top = float(np.nanmax([*highest, *(1.02 * each for _, curve, _ in curves for each in curve.high)])) or 1.0
    panel.set(xlim=(0, last), ylim=(0, top), xlabel="years", ylabel="cumulative incidence")
    panel.set_xticks(range(len(each.curve_high.at_risk)))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    panel.grid(axis="y")
    _at_risk(panel, [(curve, colour) for _, curve, colour in curves])


def _at_risk(panel: Axes, curves: Sequence[tuple[IncidenceCurve, str]]) -> None:
    """Write under the axis how many of each group were still followed at whole years."""
    below: dict[str, Any] = {
        "xycoords": ("data", "axes fraction"),
        "textcoords": "offset points",
        "ha": "center",
        "fontsize": 8,
    }
    panel.annotate("at risk", (0, 0), (0, -45), color=SOFT, **below)
    for row, (curve, colour) in enumerate(curves):
        for year, n in enumerate(curve.at_risk):
            panel.annotate(count(n), (year, 0), (0, -58 - 13 * row), color=colour, **below)


def _line(model: str) -> dict[str, Any]:
    return {"color": MODEL_COLOUR[model], "linestyle": MODEL_DASHES[model], "linewidth": 1.8}


def _diagonal(panel: Axes) -> None:
    panel.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (2, 3)))


def _unit_square(panel: Axes, across: str, up: str) -> None:
    panel.set(
        xlim=(0, 1), ylim=(0, 1), xticks=_TICKS, yticks=_TICKS, xlabel=across, ylabel=up, aspect="equal"
    )
    panel.grid(color=LINE)
    panel.set_axisbelow(True)
