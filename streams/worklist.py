"""A ward's patients in the order in which they want looking at; what is not scored is last, never zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

from schemas.recorded import Sex
from schemas.risk import Phenotype
from streams.history import HistoryPoint, Place

Order = Literal["risk", "change", "age"]
"""Highest last risk first; greatest rise first; newest ECG first."""

#: A point and where the patient lay then; None when the point was kept without.
Seen = tuple[HistoryPoint, Place | None]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: More than all seconds until 2286: a rank is whole steps of this; within a step the newer ECG comes first.
#: 20 001 steps of it are 2·10¹⁴, far below the 2⁵³ up to which a sorted set's double is exact.
_STEP: Final = 10**10

#: Risks carry four decimals.
_PER_RISK: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WardLimits:
    """Who is listed on a ward.

    Attributes
    ----------
    max_age : timedelta
        A patient whose newest ECG is older left hospital, for all the list knows. 14 days: the longest of
        the stays in which nobody records an ECG, and short enough that beds are not listed twice over.
    """

    max_age: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        if self.max_age < timedelta(seconds=1):
            raise ValueError("a ward lists its patients for at least one second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Places in the orders by risk and by change, the highest first; what there is not comes last."""

    risk: int
    change: int


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


def patient_row(identifiers: Sequence[str], seen: Sequence[Seen]) -> PatientRow | None:
    """Make a patient's latest state of points; the same whatever their order.

    Parameters
    ----------
    identifiers : sequence of str
        All of the patient, the one in use today first.
    seen : sequence of (HistoryPoint, Place or None)
        At least, of each identifier: the newest point, the newest two scored ones of different ECGs, and the
        newest that names a ward or a site. More change nothing.
    """
    ordered = sorted(seen, key=_newest_first, reverse=True)
    if not ordered:
        return None
    places = [place for _, place in ordered if place]
    place = next((each for each in places if each.ward_id or each.site_id), places[0] if places else Place())
    scored = [point for point, _ in ordered if point.probability is not None]
    previous = next((point for point in scored if point.ecg_id != scored[0].ecg_id), None)
    return PatientRow(
        patient_id=identifiers[0],
        identifiers=tuple(identifiers),
        ward_id=place.ward_id,
        site_id=place.site_id,
        age_years=place.age_years,
        sex=place.sex,
        last=ordered[0][0],
        scored=scored[0] if scored else None,
        previous=previous,
    )


def _newest_first(seen: Seen) -> tuple[datetime, str, str]:
    point, _ = seen
    return point.acquired_at, point.ecg_id, point.bundle_version


def ranks(row: PatientRow) -> Ranks:
    """Say where the row stands; of equal risk, or change, the patient with the newer ECG comes first."""
    seconds = min(max(0, (row.last.acquired_at - _EPOCH) // timedelta(seconds=1)), _STEP - 1)
    risk, change = row.probability, row.change
    risk_steps = 0 if risk is None else 1 + round(risk * _PER_RISK)
    change_steps = 0 if change is None else 1 + _PER_RISK + round(change * _PER_RISK)
    return Ranks(risk=risk_steps * _STEP + seconds, change=change_steps * _STEP + seconds)


def change_across_bundles(row: PatientRow) -> bool:
    """Whether the change is between two bundles, so that part of it may be the models' difference."""
    points: Sequence[HistoryPoint | None] = (row.scored, row.previous)
    return len({point.bundle_version for point in points if point}) > 1
