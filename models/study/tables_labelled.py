"""Tables of the cohorts with the phenotype's label."""

from collections.abc import Sequence

from models.study.associations import BinaryAssociation, ContinuousAssociation
from models.study.page import Table
from models.study.reclassification import Reclassification
from models.study.study import LabelledResult
from models.study.wording import NONE, count, estimate, number, p_cell, percent, percent_estimate
from models.study.words import short_title, title

Row = tuple[str, ...]


def auc_table(labelled: Sequence[LabelledResult]) -> Table:
    """AUC of every model, and what the ensemble adds to it."""
    rows: list[Row] = []
    for of in labelled:
        rows.append((of.cohort.heading,))
        for model, auc in of.aucs.items():
            beyond = of.beyond.get(model)
            rows.append(
                (
                    title(model),
                    f"{count(auc.n_positive)} / {count(auc.n_negative)}",
                    estimate(auc.auc, 3),
                    estimate(beyond.difference, 3) if beyond else NONE,
                    number(beyond.z, 2) if beyond else NONE,
                    p_cell(beyond.p) if beyond else NONE,
                )
            )
    return Table(
        caption="AUC with DeLong's 95 % interval; ensemble minus each other model on the same patients",
        columns=("model", "with / without", "AUC", "ensemble adds", "z", "p"),
        rows=rows,
    )


def reclassification_table(labelled: Sequence[LabelledResult]) -> Table:
    """Net reclassification of the ensemble seen from foundation only."""
    rows: list[Row] = []
    for of in labelled:
        cut = of.categorical_nri.thresholds[0]
        rows += [
            (of.cohort.heading,),
            ("continuous NRI", *_reclassified(of.continuous_nri)),
            (f"NRI at the threshold {number(cut, 3)}", *_reclassified(of.categorical_nri)),
            (
                "integrated discrimination",
                estimate(of.idi.idi, 3),
                estimate(of.idi.events, 3),
                estimate(of.idi.non_events, 3),
                "",
                "",
            ),
        ]
    return Table(
        caption="Ensemble seen from foundation only; 95 % intervals, of the NRI by bootstrap of patients",
        columns=("", "sum", "with the phenotype", "without", "with: up / down", "without: up / down"),
        rows=rows,
    )


def _reclassified(of: Reclassification) -> Row:
    return (
        estimate(of.nri),
        estimate(of.events),
        estimate(of.non_events),
        f"{percent(of.events_up, 0)} / {percent(of.events_down, 0)}",
        f"{percent(of.non_events_up, 0)} / {percent(of.non_events_down, 0)}",
    )


def calibration_table(labelled: Sequence[LabelledResult]) -> Table:
    """Calibration of every model."""
    rows: list[Row] = []
    for of in labelled:
        rows.append((of.cohort.heading,))
        rows += [
            (
                title(model),
                estimate(found.slope),
                estimate(found.intercept),
                number(found.brier, 3),
                number(found.scaled_brier, 3),
                f"{number(found.expected_error, 3)} ({number(found.expected_error_by_chance, 3)})",
            )
            for model, found in of.calibrations.items()
        ]
    return Table(
        caption="95 % intervals; in brackets the error that perfect calibration would show by chance",
        columns=("model", "slope", "intercept", "Brier", "scaled Brier", "expected error"),
        rows=rows,
    )


def operating_table(labelled: Sequence[LabelledResult]) -> Table:
    """Tell what happens at the threshold."""
    return Table(
        caption="At the bundle's threshold; Wilson's 95 % intervals",
        columns=("data", "threshold", "called high", "sensitivity", "specificity", "PPV", "NPV"),
        rows=[
            (
                of.cohort.heading,
                number(of.operating_point.threshold, 3),
                *(
                    percent_estimate(share, 0)
                    for share in (
                        of.operating_point.called_high,
                        of.operating_point.sensitivity,
                        of.operating_point.specificity,
                        of.operating_point.ppv,
                        of.operating_point.npv,
                    )
                ),
            )
            for of in labelled
        ],
    )


def association_table(of: LabelledResult) -> Table:
    """Tell what else is true of those called high-risk."""
    return Table(
        caption="Called high-risk against the others; 95 % intervals",
        columns=(
            "",
            "high risk",
            "low risk",
            "difference or odds ratio",
            "p",
            "adjusted",
            "p",
            "adjusted for",
        ),
        rows=[*map(_continuous, of.continuous), *map(_binary, of.binary)],
        words=(7,),
    )


def _continuous(each: ContinuousAssociation) -> Row:
    return (
        title(each.name),
        f"{number(each.mean_high, 1)} ± {number(each.sd_high, 1)}",
        f"{number(each.mean_low, 1)} ± {number(each.sd_low, 1)}",
        estimate(each.difference, 1),
        p_cell(each.p),
        estimate(each.adjusted, 1),
        p_cell(each.adjusted_p),
        ", ".join(map(short_title, each.adjusted_for)),
    )


def _binary(each: BinaryAssociation) -> Row:
    return (
        title(each.name),
        f"{count(each.with_high)} of {count(each.n_high)}",
        f"{count(each.with_low)} of {count(each.n_low)}",
        f"OR {estimate(each.odds_ratio)}",
        p_cell(each.p),
        f"OR {estimate(each.adjusted)}" if each.adjusted else NONE,
        p_cell(each.adjusted_p),
        ", ".join(map(short_title, each.adjusted_for)),
    )


def subgroup_table(of: LabelledResult) -> Table:
    """How the ensemble does in each subgroup."""
    return Table(
        caption="Ensemble by subgroup; no AUC with fewer than 20 with or without the phenotype",
        columns=("subgroup", "patients", "with the phenotype", "AUC", "sensitivity", "specificity"),
        rows=[
            (
                each.title,
                count(each.n),
                count(each.n_positive),
                estimate(each.auc.auc) if each.auc else "too few",
                percent_estimate(each.sensitivity, 0),
                percent_estimate(each.specificity, 0),
            )
            for each in of.subgroups
        ],
    )


def single_table(of: LabelledResult) -> Table:
    """How far each single measurement goes."""
    return Table(
        caption="Each single ECG measurement in its best reading",
        columns=("measurement", "reading", "patients", "AUC"),
        rows=[
            (title(each.name), each.reading, count(each.n), estimate(each.auc.auc))
            for each in of.single_measurements
        ],
        words=(1,),
    )
