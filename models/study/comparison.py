"""The published figures beside ours, row by row; each of ours with what its data were."""

from collections.abc import Iterator
from dataclasses import dataclass

from models.study.diseases import Diseases
from models.study.facts import CohortFacts
from models.study.outcomes import Outcomes
from models.study.published import Published, published
from models.study.scored import ENSEMBLE, MOTION
from models.study.study import LabelledResult, StudyResult
from models.study.wording import NONE, estimate, number, percent, percent_estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A published figure and the nearest of ours.

    Attributes
    ----------
    ours : str
        With its interval.
    differs : str
        Wherein it is another thing, beside data and model; empty where it is the same.
    """

    published: Published
    published_text: str
    ours: str
    cohort: CohortFacts
    differs: str = ""


def compared(result: StudyResult) -> tuple[Beside, ...]:
    """Every published figure that something of ours stands beside."""
    return (*_labelled(result), *_diseases(result.diseases), *_outcomes(result.outcomes), *_motion(result))


def _labelled(result: StudyResult) -> Iterator[Beside]:
    for name, of in (("auc_development", result.development), ("auc_external", result.external)):
        if of is not None:
            yield _auc(name, of, ENSEMBLE)
    for of in result.labelled:
        yield Beside(
            published=published("nri"),
            published_text=number(published("nri").value),
            ours=estimate(of.continuous_nri.nri),
            cohort=of.cohort,
            differs="ours is the continuous NRI",
        )
    for of in result.labelled:
        yield _auc("auc_motion", of, MOTION)


def _auc(name: str, of: LabelledResult, model: str) -> Beside:
    return Beside(
        published=published(name),
        published_text=number(published(name).value),
        ours=estimate(of.aucs[model].auc),
        cohort=of.cohort,
    )


def _diseases(found: Diseases | None) -> Iterator[Beside]:
    if found is None:
        return
    for what, areas in (
        ("all ECGs", [each.all_rows for each in found.diseases]),
        ("measured ECGs", [each.measured_rows for each in found.diseases]),
    ):
        values = [each[ENSEMBLE].auc.value for each in areas if ENSEMBLE in each]
        yield Beside(
            published=published("auc_diseases"),
            published_text=_range(published("auc_diseases")),
            ours=f"{number(min(values))} to {number(max(values))}" if values else NONE,
            cohort=found.cohort,
            differs=f"range over {len(values)} flags, {what}",
        )
    first = found.diseases[0] if found.diseases else None
    if first is not None and ENSEMBLE in first.all_rows:
        yield Beside(
            published=published("auc_any_disease"),
            published_text=number(published("auc_any_disease").value),
            ours=estimate(first.all_rows[ENSEMBLE].auc),
            cohort=found.cohort,
            differs="ours was not trained on it",
        )


def _outcomes(found: Outcomes | None) -> Iterator[Beside]:
    if found is None or not found.comparisons:
        return
    first = found.comparisons[0]
    differs = "" if found.are_causes_known else f"ours is {first.event}"
    for name, rate in (("rate_high", first.rate_high), ("rate_low", first.rate_low)):
        yield Beside(
            published=published(name),
            published_text=percent(published(name).value),
            ours=percent_estimate(rate),
            cohort=found.cohort,
            differs=differs,
        )
    yield Beside(
        published=published("hazard"),
        published_text=_range(published("hazard"), 1),
        ours=estimate(first.hazard.ratio if first.hazard else None),
        cohort=found.cohort,
        differs=differs and f"{differs}, by Cox's model",
    )


def _motion(result: StudyResult) -> Iterator[Beside]:
    for each in result.motion:
        of = published("e_prime_external" if each.is_external else "e_prime_internal")
        yield Beside(
            published=of,
            published_text=number(of.value),
            ours=number(each.e_prime_error_cm_s),
            cohort=each.cohort,
            differs="ours is the mean over both sites",
        )


def _range(of: Published, digits: int = 2) -> str:
    return f"{number(of.low, digits)} to {number(of.high, digits)}"
