"""What endpoints answer of patients and wards: what is missing is null, never 0; times are ISO 8601 UTC."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.recorded import Sex
from schemas.risk import Phenotype
from streams.history import HistoryPoint
from streams.worklist import PatientRow, change_across_bundles


class View(BaseModel):
    """Base of all answers; made of the records' own attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True, use_attribute_docstrings=True)


class PointView(View):
    """One assessment of one ECG by one bundle."""

    patient_id: str
    """Identifier it was recorded under; after a merge a history has points of several."""
    ecg_id: str
    bundle_version: str
    acquired_at: datetime
    phenotype: Phenotype
    probability: float | None
    """Calibrated probability of the high-risk phenotype, 0 to 1; null when not scored: a gap, not a zero."""
    probability_low: float | None
    probability_high: float | None
    """Ends of the 90 % interval."""
    not_scored_reasons: list[str]
    """Why there is no score; empty when there is one."""
    quality_score: float
    """0 (unusable) to 1 (clean)."""
    heart_rate_bpm: float | None
    pr_ms: float | None
    qrs_ms: float | None
    qtc_ms: float | None
    e_prime_cm_s: float | None
    """Mean of septal and lateral synthetic e'."""
    e_over_a: float | None


class MarkView(View):
    """Something that happened, to be marked on a trend."""

    at: datetime
    kind: Literal["ALERT", "ACT", "CLOSED", "BUNDLE"]
    text: str
    alert_id: str | None = None
    state: str | None = None


class BundleChange(View):
    """From here on another bundle scored this patient."""

    at: datetime
    before: str
    after: str


class HistoryView(View):
    """A patient's risk history, in ascending order of acquisition."""

    patient_id: str
    """Identifier in use today."""
    identifiers: list[str]
    """All identifiers of the patient that were merged, that one first."""
    as_of: datetime
    has_earlier: bool
    """Whether there are points before the first of these in the range; ask with `until` for them."""
    points: list[PointView]
    alerts: list[MarkView]
    bundle_changes: list[BundleChange]


class PatientView(View):
    """A patient as the newest ECGs show them."""

    patient_id: str
    identifiers: list[str]
    site_id: str
    ward_id: str
    """Of the newest ECG that names one; empty when none does."""
    age_years: float | None
    sex: Sex
    phenotype: Phenotype
    """What the last scored ECG said; NOT_SCORED when there is none."""
    probability: float | None
    probability_low: float | None
    probability_high: float | None
    scored_at: datetime | None
    """When the ECG of that score was acquired."""
    probability_before: float | None
    before_at: datetime | None
    change: float | None
    """Last risk less the one before, −1 to 1."""
    is_change_across_bundles: bool
    """Whether the two are of different models, so that part of the change may be theirs."""
    not_scored_reasons: list[str]
    """Why the newest ECG has no score; empty when it has one."""
    quality_score: float
    ecg_id: str
    acquired_at: datetime
    """Of the newest ECG, scored or not."""
    bundle_version: str
    age_s: float
    """Since the newest ECG."""
    score_age_s: float | None
    """Since the ECG of the last score."""
    n_open_alerts: int


class WorklistView(View):
    """A page of a ward's patients."""

    ward_id: str
    order: Literal["risk", "change", "age"]
    as_of: datetime
    total: int
    limit: int
    offset: int
    patients: list[PatientView]


class WardView(View):
    """One ward."""

    ward_id: str = Field(description="Empty: patients of no named ward.")
    n_patients: int
    n_open_alerts: int


class WardsView(View):
    """Wards that had an ECG lately."""

    as_of: datetime
    wards: list[WardView]


def point_view(point: HistoryPoint) -> PointView:
    """Answer a point."""
    return PointView.model_validate(point)


def patient_view(row: PatientRow, now: datetime, n_open_alerts: int) -> PatientView:
    """Answer a row."""
    scored, previous, score_age = row.scored, row.previous, row.score_age(now)
    return PatientView(
        patient_id=row.patient_id,
        identifiers=list(row.identifiers),
        site_id=row.site_id,
        ward_id=row.ward_id,
        age_years=row.age_years,
        sex=row.sex,
        phenotype=row.phenotype,
        probability=row.probability,
        probability_low=scored.probability_low if scored else None,
        probability_high=scored.probability_high if scored else None,
        scored_at=scored.acquired_at if scored else None,
        probability_before=previous.probability if previous else None,
        before_at=previous.acquired_at if previous else None,
        change=row.change,
        is_change_across_bundles=change_across_bundles(row),
        not_scored_reasons=list(row.not_scored_reasons),
        quality_score=row.last.quality_score,
        ecg_id=row.last.ecg_id,
        acquired_at=row.last.acquired_at,
        bundle_version=row.last.bundle_version,
        age_s=row.age(now).total_seconds(),
        score_age_s=None if score_age is None else score_age.total_seconds(),
        n_open_alerts=n_open_alerts,
    )
