"""What happens at the threshold in force: who is called high-risk, and how often that is right."""

from dataclasses import dataclass

from models.study.estimate import Estimate, share_interval
from models.study.scored import ScoredCohort


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Shares at the threshold, each with Wilson's interval.

    Attributes
    ----------
    called_high : Estimate
        Of all.
    ppv, npv : Estimate
        Of those called high-risk, who have the phenotype; of the others, who have not. Both hold for this
        cohort's prevalence alone.
    """

    threshold: float
    called_high: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate


def operating_point(cohort: ScoredCohort) -> OperatingPoint:
    """Judge the ensemble's calls."""
    high, ill = cohort.is_high, cohort.label == 1
    right, n_high, n_ill = int((high & ill).sum()), int(high.sum()), int(ill.sum())
    left, n_low, n_well = int((~high & ~ill).sum()), int((~high).sum()), int((~ill).sum())
    return OperatingPoint(
        threshold=cohort.threshold,
        called_high=share_interval(n_high, len(high)),
        sensitivity=share_interval(right, n_ill),
        specificity=share_interval(left, n_well),
        ppv=share_interval(right, n_high),
        npv=share_interval(left, n_low),
    )
