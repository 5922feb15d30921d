"""Figures that show each patient as a point: reclassification, and generated against measured motion."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.study.estimate import BoolArray, FloatArray
from models.study.figures.style import HIGH, INK, LINE, LOW, SOFT, Drawn, drawing, drawn, panel_title, panels
from models.study.motion_error import MotionErrors
from models.study.scored import ENSEMBLE, FOUNDATION, MotionCohort, ScoredCohort
from models.study.wording import number
from models.study.words import title

#: More points hide each other, and make the page heavy.
_MOST_POINTS: Final = 1200
_E_PRIME: Final = ("e_prime_septal_cm_s", "e_prime_lateral_cm_s")


def draw_reclassification(cohorts: Sequence[ScoredCohort]) -> Drawn:
    """Draw ensemble against foundation only, those with the phenotype apart from those without."""
    with drawing("reclassification"):
        figure, axes = panels(len(cohorts), height=5.5)
        for panel, cohort in zip(axes, cohorts, strict=True):
            panel_title(panel, cohort.facts)
            old, new = cohort.probability[FOUNDATION], cohort.probability[ENSEMBLE]
            _diagonal(panel, 1.0)
            panel.axhline(cohort.threshold, color=SOFT, linewidth=0.8)
            panel.axvline(cohort.threshold, color=SOFT, linewidth=0.8)
            without, shown = cohort.label == 0, _shown(len(cohort.label))
            for rows, name, filled in (
                (without, "without the phenotype", False),
                (~without, "with it", True),
            ):
                _points(panel, old[rows & shown], new[rows & shown], name, filled=filled)
            _square(panel, 1.0, "probability, foundation only", "probability, ensemble")
        _legend(figure)
        return drawn(
            figure,
            "reclassification",
            title="Reclassification by the ensemble",
            description="Probability by the ensemble against that by foundation only, a point a patient.",
            caption=(
                "Above the diagonal the ensemble says more than foundation only, below it less: triangles "
                "should lie above, circles below. Lines are the threshold."
                + _capped(max(len(cohort.label) for cohort in cohorts))
            ),
        )


def draw_motion(cohorts: Sequence[MotionCohort], errors: Sequence[MotionErrors]) -> Drawn:
    """Draw generated against measured e', both sites, one panel a cohort."""
    most = 1.05 * max(_largest(cohort) for cohort in cohorts)
    with drawing("motion"):
        figure, axes = panels(len(cohorts), height=5.5)
        for panel, cohort, found in zip(axes, cohorts, errors, strict=True):
            panel_title(panel, cohort.facts)
            _diagonal(panel, most)
            shown = _shown(cohort.n_patients)
            for name, filled in zip(_E_PRIME, (True, False), strict=True):
                if name in cohort.measured:
                    measured, generated = cohort.measured[name][shown], cohort.generated[name][shown]
                    _points(panel, measured, generated, title(name), filled=filled)
            said = f"mean absolute error {number(found.e_prime_error_cm_s)} cm/s"
            panel.text(0.03, 0.97, said, transform=panel.transAxes, va="top", fontsize=9)
            _square(panel, most, "measured e', cm/s", "generated e', cm/s")
            panel.grid(color=LINE)
        _legend(figure)
        return drawn(
            figure,
            "motion",
            title="Generated against measured e'",
            description="; ".join(
                f"{each.cohort.heading}: mean absolute error {number(each.e_prime_error_cm_s)} cm/s"
                for each in errors
            ),
            caption="e' of the generated curves against the measured. On the diagonal both are the same."
            + _capped(max(cohort.n_patients for cohort in cohorts)),
        )


def _points(panel: Axes, across: FloatArray, up: FloatArray, name: str, *, filled: bool) -> None:
    marker, colour = ("^", HIGH) if filled else ("o", LOW)
    style: dict[str, Any] = {"color": colour, "markerfacecolor": colour if filled else "none"}
    panel.plot(across, up, marker, markersize=3.4, markeredgewidth=0.7, alpha=0.7, label=name, **style)


def _diagonal(panel: Axes, most: float) -> None:
    panel.plot([0, most], [0, most], color=SOFT, linewidth=0.8, linestyle=(0, (2, 3)))


def _square(panel: Axes, most: float, across: str, up: str) -> None:
    panel.set(xlim=(0, most), ylim=(0, most), aspect="equal", xlabel=across, ylabel=up)


def _legend(figure: Figure) -> None:
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        markerscale=1.7,
    )


def _largest(cohort: MotionCohort) -> float:
    columns = [
        each[name] for each in (cohort.measured, cohort.generated) for name in _E_PRIME if name in each
    ]
    return float(np.nanmax(columns)) if columns else 1.0


def _shown(n: int) -> BoolArray:
    """Every k-th row, so that at most so many are drawn."""
    return np.asarray(np.arange(n) % -(-n // _MOST_POINTS) == 0)


def _capped(n: int) -> str:
    return "" if n <= _MOST_POINTS else f" Not all patients are drawn: at most {_MOST_POINTS} a panel."
