"""The marks the model is to reach, and whether it does: data, so that a miss is told and not argued away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from models.study.facts import CohortFacts
from models.study.published import published
from models.study.scored import ENSEMBLE, FOUNDATION, MOTION
from models.study.study import LabelledResult, StudyResult
from models.study.wording import number, percent
from models.study.words import title

_NO_LIMIT: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark.

    Attributes
    ----------
    wanted : str
        ``≥ 0.85``.
    found : float or None
        None where what it needs could not be had.
    is_met : bool or None
        None where nothing was found.
    published : str
        What was published of the same kind, on other data; empty where nothing was.
    """

    name: str
    cohort: CohortFacts
    wanted: str
    found: float | None
    is_met: bool | None
    published: str = ""


def marks(result: StudyResult) -> tuple[Mark, ...]:
    """Judge a study by its marks, those of cohorts that were given."""
    return (*_labelled(result), *_outcomes(result), *_motion(result))


def _labelled(result: StudyResult) -> Iterator[Mark]:
    if (of := result.development) is not None:
        yield _auc(of, ENSEMBLE, 0.85, _said("auc_development"))
    if (of := result.external) is not None:
        yield _auc(of, ENSEMBLE, 0.83, _said("auc_external"))
    for of in result.labelled:
        yield _auc(of, MOTION, 0.78, f"{_said('auc_motion')} (preprint)")
    yield from map(_better, result.labelled)
    for of in result.labelled:
        yield _mark(
            "continuous NRI over foundation only",
            of.cohort,
            of.continuous_nri.nri.value,
            above=0.3,
            said=_said("nri"),
        )
    if (of := result.development) is not None:
        slope = of.calibrations[ENSEMBLE].slope
        yield _mark("calibration slope", of.cohort, slope.value if slope else None, least=0.85, most=1.15)
    for of in result.labelled:
        best = of.single_measurements[0].auc.auc.value if of.single_measurements else None
        yield _mark("largest AUC of a single ECG measurement", of.cohort, best, most=0.80)


def _auc(of: LabelledResult, model: str, least: float, said: str) -> Mark:
    return _mark(f"AUC, {title(model)}", of.cohort, of.aucs[model].auc.value, least=least, said=said)


def _better(of: LabelledResult) -> Mark:
    test = of.beyond[FOUNDATION]
    # A difference to the wrong side is never significant for us, however small its p.
    return Mark(
        name="ensemble better than foundation only, p of the paired test",
        cohort=of.cohort,
        wanted="< 0.01",
        found=test.p,
        is_met=test.p < 0.01 and test.difference.value > 0,
    )


def _outcomes(result: StudyResult) -> Iterator[Mark]:
    if result.outcomes is None:
        return
    first = result.outcomes.comparisons[0] if result.outcomes.comparisons else None
    ratio = first.rate_ratio.value if first else None
    said = f"{percent(published('rate_high').value)} over {percent(published('rate_low').value)}"
    yield _mark(
        f"4-year rate of {first.event if first else 'the event'}, high over low risk",
        result.outcomes.cohort,
        ratio,
        least=2.0,
        said=said,
    )


def _motion(result: StudyResult) -> Iterator[Mark]:
    for each in result.motion:
        most, said = (2.0, "e_prime_external") if each.is_external else (1.5, "e_prime_internal")
        yield _mark(
            "mean absolute error of e', cm/s",
            each.cohort,
            each.e_prime_error_cm_s,
            most=most,
            said=_said(said),
        )


def _mark(
    name: str,
    cohort: CohortFacts,
    found: float | None,
    *,
    least: float = -_NO_LIMIT,
    above: float = -_NO_LIMIT,
    most: float = _NO_LIMIT,
    said: str = "",
) -> Mark:
    if least > -_NO_LIMIT and most < _NO_LIMIT:
        wanted = f"{number(least)} to {number(most)}"
    elif most < _NO_LIMIT:
        wanted = f"≤ {number(most)}"
    else:
        wanted = f"> {number(above)}" if above > -_NO_LIMIT else f"≥ {number(least)}"
    known = found is not None and found == found  # NaN is not known
    return Mark(
        name=name,
        cohort=cohort,
        wanted=wanted,
        found=found if known else None,
        is_met=found is not None and least <= found <= most and found > above if known else None,
        published=said,
    )


def _said(name: str) -> str:
    return number(published(name).value)
