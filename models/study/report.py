"""The report: one HTML file for people and one JSON file for programs, both from the same result."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from models.study import page
from models.study.json_form import SIMULATED_WARNING, study_json
from models.study.marks import Mark, marks
from models.study.scored import ENSEMBLE, FOUNDATION
from models.study.sections import sections
from models.study.study import StudyInputs, StudyResult
from models.study.wording import NO_BREAK, estimate, number, p_value, percent

HTML_NAME: Final = "study.html"
JSON_NAME: Final = "study.json"

_NOT: Final = (
    "This is an evaluation for research: it does not show that outcomes improve, it is no prospective test "
    "of screening, and nothing in it replaces echocardiography."
)

#: How each number was had, with its source.
METHODS: Final = (
    (
        "discrimination",
        (
            "AUC, DeLong, DeLong & Clarke-Pearson 1988, interval on the logit scale; ECGs of one patient "
            "as a cluster, Obuchowski 1997; two models on the same patients by DeLong's paired test"
        ),
    ),
    (
        "reclassification",
        (
            "Pencina 2008 and 2011, interval by bootstrap of patients with the models held fixed; what "
            "to beware of, Hilden & Gerds 2014; integrated discrimination, Pencina 2008"
        ),
    ),
    (
        "calibration",
        "slope and intercept by logistic regression on the log-odds, Cox 1958; shares, Wilson 1927",
    ),
    ("decision curves", "Vickers & Elkin 2006"),
    (
        "associations",
        (
            "Welch's test, Cohen's d, Woolf's odds ratio, Fisher's exact test; adjusted by linear (HC3) and "
            "logistic regression; not corrected for their number: they describe and decide nothing"
        ),
    ),
    (
        "outcomes",
        (
            "Aalen–Johansen, interval on the scale log(−log); Gray's test 1988, Fine & Gray 1999 with robust "
            "variance; of any cause: log-rank test and Cox's model"
        ),
    ),
    ("motion", "mean absolute error; bias and limits of agreement, Bland & Altman 1986"),
)


def write_report(inputs: StudyInputs, result: StudyResult, folder: Path) -> tuple[Path, Path]:
    """Write ``study.html`` and ``study.json``; the same result gives the same bytes.

    Parameters
    ----------
    inputs : StudyInputs
        What ``result`` was found in: some figures show each patient as a point.

    Returns
    -------
    tuple of pathlib.Path
        Of the page and of the JSON.

    Raises
    ------
    ValueError
        When nothing was judged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, json = folder / HTML_NAME, folder / JSON_NAME
    html.write_text(report_html(inputs, result), encoding="utf-8")
    json.write_text(study_json(result), encoding="utf-8")
    return html, json


def report_html(inputs: StudyInputs, result: StudyResult) -> str:
    """Write the page.

    Raises
    ------
    ValueError
        When nothing was judged.
    """
    reached = marks(result)
    parts = sections(inputs, result, reached)
    about = (
        ("bundle", result.bundle_version),
        ("SHA-256", result.bundle_sha256),
        ("trained on", result.trained_on),
    )
    body = (
        page.heading(1, f"Study of bundle {result.bundle_version}", result.cohorts),
        page.definitions(about),
        page.tiles(list(_tiles(result, reached))),
        page.contents([*((each.anchor, each.title) for each in parts), ("methods", "Methods")]),
        *(each.html() for each in parts),
        page.heading(2, "Methods", result.cohorts, anchor="methods"),
        page.definitions(METHODS),
    )
    title = f"Study of bundle {result.bundle_version}" + (" (simulated data)" if _simulated(result) else "")
    return page.page(title, _notice(result), body)


def _simulated(result: StudyResult) -> list[str]:
    return [cohort.name for cohort in result.cohorts if cohort.is_simulated]


def _notice(result: StudyResult) -> tuple[str, str]:
    """First lines of the page: what its numbers cannot say."""
    simulated = _simulated(result)
    quick = "Cohorts are smaller than published, for a quick look. " if result.is_quick else ""
    if not simulated:
        return "Research evaluation on real data.", quick + _NOT
    which = "Every cohort here is simulated"
    if len(simulated) < len(result.cohorts):
        which = f"Simulated here: {', '.join(simulated)}"
    return (
        SIMULATED_WARNING,
        f"{which}: what is found shows how the method does on the simulation. {quick}{_NOT}",
    )


def _tiles(result: StudyResult, reached: Sequence[Mark]) -> Iterator[tuple[str, str]]:
    """Tell what a reader looks for first: a number and what it is."""
    missed = [f"{each.name} ({each.cohort.name})" for each in reached if each.is_met is False]
    said = f"marks met; missed: {', '.join(missed)}" if missed else "marks met"
    yield f"{sum(each.is_met is True for each in reached)} of {len(reached)}", said
    for of in result.labelled:
        more = of.beyond[FOUNDATION]
        gain = f"{estimate(more.difference)} above foundation only, p{NO_BREAK}{p_value(more.p)}"
        yield number(of.aucs[ENSEMBLE].auc.value), f"AUC of the ensemble, {of.cohort.heading}; {gain}"
    if result.outcomes and result.outcomes.comparisons:
        first = result.outcomes.comparisons[0]
        said = f"{first.event} by {first.horizon_years:g} years at high and low risk"
        rates = f"{percent(first.rate_high.value)} / {percent(first.rate_low.value)}"
        yield rates, f"{said}, {result.outcomes.cohort.heading}"
