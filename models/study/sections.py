"""Sections of the report: what is told of each part of the study, in the order a reader asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.study import page
from models.study.comparison import compared
from models.study.diseases import Diseases
from models.study.facts import CohortFacts
from models.study.figures.curves import draw_calibration, draw_decision_curves, draw_incidence, draw_rocs
from models.study.figures.forests import draw_associations, draw_diseases, draw_subgroups
from models.study.figures.scatters import draw_motion, draw_reclassification
from models.study.marks import Mark
from models.study.outcomes import Outcomes
from models.study.scored import ScoredCohort
from models.study.study import StudyInputs, StudyResult
from models.study.tables import (
    cohort_table,
    comparison_table,
    disease_table,
    hazard_table,
    mark_table,
    motion_table,
    rate_table,
    source_entries,
)
from models.study.tables_labelled import (
    association_table,
    auc_table,
    calibration_table,
    operating_table,
    reclassification_table,
    single_table,
    subgroup_table,
)

_CAUSES_KNOWN: Final = (
    "Causes of death are known: each event competes with the other, and death of any cause is told beside."
)
_CAUSES_UNKNOWN: Final = (
    "Causes of death are not known: this is death of any cause, and says nothing of heart failure."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    data : tuple of CohortFacts
        What the data were: in its heading.
    body : tuple of str
        HTML, in order.
    """

    anchor: str
    title: str
    data: tuple[CohortFacts, ...]
    body: tuple[str, ...]

    def html(self) -> str:
        """Write the section."""
        return "\n".join((page.heading(2, self.title, self.data, anchor=self.anchor), *self.body))


def sections(inputs: StudyInputs, result: StudyResult, reached: Sequence[Mark]) -> tuple[Section, ...]:
    """Tell all that was found; parts whose cohorts were not given are left out."""
    parts = [_summary(result, reached)]
    if result.labelled:
        labelled = [each for each in (inputs.development, inputs.external) if each is not None]
        parts += [_discrimination(result), _reclassification(result, labelled), *_labelled(result, labelled)]
    if result.diseases:
        parts.append(_diseases(result.diseases))
    if result.outcomes:
        parts.append(_outcomes(result.outcomes))
    if result.motion:
        parts.append(_motion(inputs, result))
    if any(of.single_measurements for of in result.labelled):
        parts.append(_single_measurements(result))
    return (*parts, _published(result))


def _labelled_facts(result: StudyResult) -> tuple[CohortFacts, ...]:
    return tuple(of.cohort for of in result.labelled)


def _summary(result: StudyResult, reached: Sequence[Mark]) -> Section:
    return Section(
        anchor="marks",
        title="Marks",
        data=result.cohorts,
        body=(
            page.paragraph("What the model had to reach, set before it was trained, and what it reached."),
            page.table(mark_table(reached)),
            page.table(cohort_table(result.cohorts)),
        ),
    )


def _discrimination(result: StudyResult) -> Section:
    return Section(
        anchor="discrimination",
        title="Discrimination",
        data=_labelled_facts(result),
        body=(
            page.paragraph(
                "How often a patient with the phenotype has a higher probability than one without. Models "
                "beyond the three are ablations: the ensemble with something taken away."
            ),
            page.figure(draw_rocs(result.labelled)),
            page.table(auc_table(result.labelled)),
            page.table(operating_table(result.labelled)),
        ),
    )


def _reclassification(result: StudyResult, cohorts: Sequence[ScoredCohort]) -> Section:
    return Section(
        anchor="reclassification",
        title="Reclassification by the ensemble",
        data=_labelled_facts(result),
        body=(
            page.paragraph(
                "Whether the ensemble moves patients the right way, seen from the foundation model alone. A "
                "continuous NRI counts every move, however small, and flatters over a miscalibrated model: "
                "read it with the paired test above and the decision curves below."
            ),
            page.figure(draw_reclassification(cohorts)),
            page.table(reclassification_table(result.labelled)),
        ),
    )


def _labelled(result: StudyResult, cohorts: Sequence[ScoredCohort]) -> tuple[Section, ...]:
    facts = _labelled_facts(result)
    return (
        Section(
            anchor="calibration",
            title="Calibration",
            data=facts,
            body=(
                page.figure(draw_calibration(result.labelled, cohorts)),
                page.table(calibration_table(result.labelled)),
            ),
        ),
        Section(
            anchor="decisions",
            title="Decision curves",
            data=facts,
            body=(page.figure(draw_decision_curves(result.labelled)),),
        ),
        Section(
            anchor="associations",
            title="Associations with high risk",
            data=facts,
            body=(
                page.paragraph(
                    "LV mass and LA volume belong to the echo findings the phenotype is made of: that they "
                    "differ is expected of a model that works, and is no discovery."
                ),
                *(
                    (page.figure(draw_associations(result.labelled)),)
                    if result.labelled[0].continuous
                    else ()
                ),
                *(
                    page.heading(3, f"Associations, {of.cohort.name}", [of.cohort])
                    + page.table(association_table(of))
                    for of in result.labelled
                ),
            ),
        ),
        Section(
            anchor="subgroups",
            title="Subgroups",
            data=facts,
            body=(
                page.figure(draw_subgroups(result.labelled)),
                *(
                    page.heading(3, f"Subgroups, {of.cohort.name}", [of.cohort])
                    + page.table(subgroup_table(of))
                    for of in result.labelled
                ),
            ),
        ),
    )


def _diseases(found: Diseases) -> Section:
    return Section(
        anchor="diseases",
        title="Structural heart disease",
        data=(found.cohort,),
        body=(
            page.paragraph(
                "The probability of the phenotype as a score for each disease, which it was never trained "
                "for. What was not measured is stored as not there: areas of all ECGs repeat that; areas of "
                "measured ones do not, but are of patients whom somebody had reason to measure."
            ),
            page.figure(draw_diseases(found)),
            page.table(disease_table(found, measured=False)),
            page.table(disease_table(found, measured=True)),
        ),
    )


def _outcomes(found: Outcomes) -> Section:
    if not found.comparisons:
        told = [page.paragraph("One of the two risk groups is empty: there is nothing to compare.")]
    else:
        told = [
            page.paragraph(_CAUSES_KNOWN if found.are_causes_known else _CAUSES_UNKNOWN),
            page.figure(draw_incidence(found)),
            page.table(rate_table(found)),
            page.table(hazard_table(found)),
        ]
    return Section(
        anchor="outcomes", title="What became of the risk groups", data=(found.cohort,), body=tuple(told)
    )


def _motion(inputs: StudyInputs, result: StudyResult) -> Section:
    return Section(
        anchor="motion",
        title="Generated motion",
        data=tuple(each.cohort for each in result.motion),
        body=(
            page.paragraph(
                "The generator's tissue-Doppler measurements against the measured. Beside the error stands "
                "that of telling everybody the cohort's mean, which needs no ECG; “invented” are values "
                "generated where none was measured, as an a' in atrial fibrillation would be, “lost” the "
                "reverse."
            ),
            page.figure(draw_motion(inputs.motion, result.motion)),
            *(
                page.heading(3, f"Errors, {each.cohort.name}", [each.cohort]) + page.table(motion_table(each))
                for each in result.motion
            ),
        ),
    )


def _single_measurements(result: StudyResult) -> Section:
    return Section(
        anchor="single",
        title="Does one measurement give the label away?",
        data=_labelled_facts(result),
        body=(
            page.paragraph(
                "Each measurement is read as it is, as its distance from the median and by whether it is "
                "missing; its best reading is shown. The largest of so many is somewhat too large by chance."
            ),
            *(
                page.heading(3, f"Single measurements, {of.cohort.name}", [of.cohort])
                + page.table(single_table(of))
                for of in result.labelled
                if of.single_measurements
            ),
        ),
    )


def _published(result: StudyResult) -> Section:
    return Section(
        anchor="published",
        title="Published figures beside ours",
        data=result.cohorts,
        body=(page.table(comparison_table(compared(result))), page.definitions(source_entries())),
    )
