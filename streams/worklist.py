"""A ward's patients in the order in which they want looking at; what is not scored is last, never zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from schemas.recorded import Sex
from schemas.risk import Phenotype
from streams.history import HistoryPoint

Order = Literal["risk", "change", "age"]
"""Highest last risk first; greatest rise first; newest ECG first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """A patient as the newest ECGs show them.

    Attributes
    ----------
    patient_id : str
        The identifier in use today.
    identifiers : tuple of str
        All of the patient, that one first; several after a merge.
    ward_id : str
        Of the newest ECG that names one; empty when none does.
    site_id, age_years, sex
        Of the same ECG.
    last : HistoryPoint
        The newest ECG, scored or not; of an ECG that two bundles scored, one of both.
    scored : HistoryPoint or None
        The newest that was scored; None when none ever was.
    previous : HistoryPoint or None
        The scored ECG before that one; perhaps by another bundle, which its ``bundle_version`` shows.
    """

    patient_id: str
    identifiers: tuple[str, ...]
    ward_id: str = ""
    site_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    last: HistoryPoint
    scored: HistoryPoint | None = None
    previous: HistoryPoint | None = None

    @property
    def probability(self) -> float | None:
        """Last risk, 0 to 1; None when there never was one."""
        return self.scored.probability if self.scored else None

    @property
    def change(self) -> float | None:
        """Last risk less the one before, −1 to 1; None without two."""
        if self.probability is None or self.previous is None or self.previous.probability is None:
            return None
        return round(self.probability - self.previous.probability, 4)  # as many decimals as risks carry

    @property
    def phenotype(self) -> Phenotype:
        """What the last scored ECG said; NOT_SCORED when there is none."""
        return self.scored.phenotype if self.scored else Phenotype.NOT_SCORED

    @property
    def not_scored_reasons(self) -> tuple[str, ...]:
        """Why the newest ECG has no score; empty when it has one."""
        return self.last.not_scored_reasons

    def age(self, now: datetime) -> timedelta:
        """Time since the newest ECG; never negative, however a cart's clock runs."""
        return max(now - self.last.acquired_at, timedelta())

    def score_age(self, now: datetime) -> timedelta | None:
        """Time since the ECG of the last risk; None when there is none."""
        return None if self.scored is None else max(now - self.scored.acquired_at, timedelta())

    def is_stale(self, now: datetime, after: timedelta) -> bool:
        """Whether the last risk is older than ``after``; what was never scored is not stale but missing."""
        age = self.score_age(now)
        return age is not None and age > after


class WardReads(Protocol):
    """What is asked about patients and wards; all of it in a bounded number of round trips, without a scan.

    Each method raises :class:`streams.history.HistoryUnavailableError` when the store does not answer.
    """

    async def latest(self, patient_id: str) -> PatientRow | None:
        """Latest state of a patient, by any of the identifiers; None when there is no ECG."""

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        """Give patients of a ward in an order, from the ``offset``-th on; each patient once."""

    async def size(self, ward_id: str) -> int:
        """Count a ward's patients, as pages are counted."""

    async def wards(self) -> list[str]:
        """Name the wards that had an ECG lately, in alphabetical order; "" are patients of no named ward."""


def change_across_bundles(row: PatientRow) -> bool:
    """Whether the change is between two bundles, so that part of it may be the models' difference."""
    points: Sequence[HistoryPoint | None] = (row.scored, row.previous)
    return len({point.bundle_version for point in points if point}) > 1
