"""Tables of marks, cohorts, diseases, outcomes and motion: pure functions from what was found to text."""

from collections.abc import Sequence

from models.study.comparison import Beside
from models.study.diseases import Diseases
from models.study.facts import CohortFacts
from models.study.marks import Mark
from models.study.motion_error import MotionErrors
from models.study.outcomes import EventComparison, Outcomes
from models.study.page import Table
from models.study.published import SOURCES
from models.study.scored import MODELS
from models.study.wording import NONE, count, estimate, number, p_cell, percent, percent_estimate, unbroken
from models.study.words import short_title, title

Row = tuple[str, ...]


def cohort_table(cohorts: Sequence[CohortFacts]) -> Table:
    """Say who was judged."""
    return Table(
        caption="Cohorts; those not scored are in no statistic",
        columns=("cohort", "data", "patients", "ECGs", "not scored", "what they are"),
        rows=[
            (
                each.name,
                "simulated" if each.is_simulated else "real",
                count(each.n_patients),
                count(each.n_ecgs),
                count(each.n_not_scored),
                each.what,
            )
            for each in cohorts
        ],
        words=(1, 5),
    )


def mark_table(marks: Sequence[Mark]) -> Table:
    """Say which marks are met."""
    verdict = {True: "met", False: "missed", None: "not known"}
    return Table(
        caption="Marks set beforehand",
        columns=("mark", "data", "wanted", "found", "", "published"),
        rows=[
            (
                each.name,
                unbroken(each.cohort.heading),
                each.wanted,
                mark_found(each),
                verdict[each.is_met],
                each.published,
            )
            for each in marks
        ],
        words=(1,),
    )


def mark_found(mark: Mark) -> str:
    """Write what was found of a mark: p-values as such, others with enough digits to see on which side."""
    if mark.found is not None and mark.wanted.startswith("<"):
        return p_cell(mark.found)
    return number(mark.found, 3)


def comparison_table(rows: Sequence[Beside]) -> Table:
    """Put published figures beside ours."""
    return Table(
        caption="Published figures are text of third parties, on other data and by another model",
        columns=("published", "figure", "ours", "our data", "wherein ours differs"),
        rows=[
            (
                f"{each.published.what} [{each.published.source}]",
                each.published_text,
                each.ours,
                each.cohort.heading,
                each.differs,
            )
            for each in rows
        ],
        words=(3, 4),
    )


def source_entries() -> list[tuple[str, str]]:
    """Name the sources of published figures."""
    return list(SOURCES.items())


def disease_table(found: Diseases, *, measured: bool) -> Table:
    """AUC of each model by disease, on all ECGs or on those where it was looked for."""
    rows = [(each, each.measured_rows if measured else each.all_rows) for each in found.diseases]
    models = [model for model in MODELS if any(model in areas for _, areas in rows)]
    which = "measured ECGs only" if measured else "all ECGs, not measured counted as not there"
    return Table(
        caption=f"AUC on {which}; 95 % intervals, ECGs of one patient taken as one cluster",
        columns=("disease", "ECGs with it", "measured", *map(title, models)),
        rows=[
            (
                each.title,
                count(each.n_with),
                NONE if each.n_measured is None else count(each.n_measured),
                *(estimate(areas[model].auc) if model in areas else NONE for model in models),
            )
            for each, areas in rows
        ],
    )


def rate_table(found: Outcomes) -> Table:
    """Rates of every event by risk group."""
    by = f"{found.comparisons[0].horizon_years:g} years"
    return Table(
        caption=f"Cumulative incidence by {by}, 95 % intervals; and events over all follow-up",
        columns=("event", "high risk", "low risk", "ratio", "events, high", "events, low"),
        rows=[
            (
                _with_competing(each),
                percent_estimate(each.rate_high),
                percent_estimate(each.rate_low),
                estimate(each.rate_ratio),
                f"{count(each.events_high)} of {count(each.n_high)}",
                f"{count(each.events_low)} of {count(each.n_low)}",
            )
            for each in found.comparisons
        ],
    )


def _with_competing(each: EventComparison) -> str:
    return each.event if each.competes_with is None else f"{each.event} (competing: {each.competes_with})"


def hazard_table(found: Outcomes) -> Table:
    """Test the curves and tell ratios of hazards."""
    return Table(
        caption="Over the whole follow-up; high risk over low, 95 % intervals",
        columns=(
            "event",
            "test of the curves",
            "χ²",
            "p",
            "ratio of",
            "unadjusted",
            "adjusted",
            "adjusted for",
        ),
        rows=list(map(_hazard, found.comparisons)),
        words=(1, 4, 7),
    )


def _hazard(each: EventComparison) -> Row:
    adjusted = each.adjusted_hazard
    return (
        each.event,
        each.test.name,
        number(each.test.chi2, 1),
        p_cell(each.test.p),
        each.hazard.name if each.hazard else NONE,
        estimate(each.hazard.ratio if each.hazard else None),
        estimate(adjusted.ratio if adjusted else None),
        ", ".join(map(short_title, adjusted.adjusted_for)) if adjusted else "",
    )


def motion_table(found: MotionErrors) -> Table:
    """Errors of the generated motion."""
    return Table(
        caption="Generated minus measured; the mean absolute error with 95 % interval",
        columns=(
            "measurement",
            "patients",
            "mean absolute error",
            "of telling the mean",
            "bias",
            "SD",
            "r",
            "within its 95 %",
            "invented / lost",
        ),
        rows=[
            (
                title(each.name),
                count(each.n),
                estimate(each.mean_absolute_error),
                number(each.of_the_mean),
                number(each.bias),
                number(each.sd),
                number(each.correlation),
                percent(each.coverage, 0),
                f"{count(each.n_invented)} / {count(each.n_lost)}",
            )
            for each in found.errors
        ],
    )
