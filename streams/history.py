"""Assessments in, points of the patient's risk history out; what is not scored stays visible as such."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from schemas.errors import RetriableError
from schemas.recorded import Sex
from schemas.risk import Phenotype, RiskAssessed
from streams.stage import Received

if TYPE_CHECKING:
    from streams.link import EncodedLink


class HistoryUnavailableError(RetriableError):
    """The store of the history does not answer; nothing was lost, the same call may be made again."""

    code = "HISTORY_UNAVAILABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One assessment as the risk history keeps it; its identity is (ecg_id, bundle_version).

    Attributes
    ----------
    patient_id : str
        The identifier it was recorded under; after a merge a history holds points of several.
    acquired_at : datetime
        UTC; the history is ordered by it.
    probability, probability_low, probability_high : float or None
        None when not scored: a gap, never a zero.
    not_scored_reasons : tuple of str
        Why there is no score; empty when there is one.
    quality_score : float
        0 (unusable) to 1 (clean).
    heart_rate_bpm, pr_ms, qrs_ms, qtc_ms : float or None
        The measurements a trend is read beside; None where the feature is absent.
    e_prime_cm_s : float or None
        Mean of septal and lateral synthetic e', cm/s; None without motion.
    e_over_a : float or None
        Its ratio to a'; None in atrial fibrillation too.
    """

    patient_id: str
    ecg_id: str
    bundle_version: str
    acquired_at: datetime
    phenotype: Phenotype
    probability: float | None = None
    probability_low: float | None = None
    probability_high: float | None = None
    not_scored_reasons: tuple[str, ...] = ()
    quality_score: float
    heart_rate_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qtc_ms: float | None = None
    e_prime_cm_s: float | None = None
    e_over_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a patient lay when an ECG was acquired, and who that is as far as the ECG tells.

    Attributes
    ----------
    ward_id, site_id : str
        Empty when the ECG named none.
    age_years : float or None
        To a tenth.
    """

    ward_id: str = ""
    site_id: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPoint:
    """A point as the store keeps it, made by :mod:`streams.history_encoding`.

    Attributes
    ----------
    acquired_us : int
        Microseconds since 1970 UTC.
    body : bytes
        With the place, where it is known.
    """

    patient_id: str
    acquired_us: int
    name: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """How much is kept of each patient; older points stay on ``ecg.risk.v1`` as long as the topic keeps them.

    Attributes
    ----------
    max_points : int
        The newest by acquisition are kept. 500: one ECG a day for more than a year, and just below the 512
        entries up to which Redis keeps a hash packed (93 kB a patient; beyond, or where the names of ward
        and site have more than 36 bytes together, half as much again).
    max_age : timedelta
        Counted back from the patient's newest point, or from now if that is earlier. A patient of whom
        nothing arrived for as long is forgotten.
    """

    max_points: int = 500
    max_age: timedelta = timedelta(days=730)

    def __post_init__(self) -> None:
        if self.max_points < 1 or self.max_age < timedelta(seconds=1):
            raise ValueError("a history keeps at least one point for at least one second")


class HistoryStore(Protocol):
    """Where histories are kept: a cache, rebuilt from ``ecg.risk.v1`` at any time."""

    async def upsert(self, points: Sequence[HistoryPoint]) -> None:
        """Keep the points; a point of the same identity is replaced, so a replay changes nothing.

        Raises
        ------
        HistoryUnavailableError
            Some points may be kept already; call again with all of them.
        """

    async def write(self, points: Sequence[EncodedPoint]) -> None:
        """Like :meth:`upsert`, of points encoded before; nothing in a point can make it fail."""

    async def read(
        self, patient_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[HistoryPoint]:
        """Points acquired from ``since`` to before ``until`` (aware; None is open), in ascending order.

        Of all identifiers of the patient, whichever of them is asked for. An ECG that was recorded under two
        of them is one point.
        """

    async def identifiers(self, patient_id: str) -> tuple[str, ...]:
        """All identifiers of the patient with this one; the one in use today first."""

    async def link(self, links: "Sequence[EncodedLink]") -> None:
        """Keep links between identifiers; the newest of each prior one holds, so a replay changes nothing.

        Raises
        ------
        HistoryUnavailableError
            Some links may be kept already; call again with all of them.
        """

    async def close(self) -> None:
        """Let go of connections; calling it again does nothing."""


def united(histories: Sequence[Sequence[HistoryPoint]]) -> list[HistoryPoint]:
    """Make one history of several, in ascending order; of a point in two of them the first one's is taken."""
    points: dict[tuple[str, str], HistoryPoint] = {}
    for history in histories:
        for point in history:
            points.setdefault((point.ecg_id, point.bundle_version), point)
    return sorted(points.values(), key=lambda point: point.acquired_at)


def history_points(batch: Sequence[Received[RiskAssessed]]) -> list[HistoryPoint]:
    """Make one point per assessment, in order."""
    return [history_point(received.record) for received in batch]


def history_point(risk: RiskAssessed) -> HistoryPoint:
    """Take out of an assessment what its history keeps."""
    scored = risk.phenotype is not Phenotype.NOT_SCORED
    return HistoryPoint(
        patient_id=risk.patient_id,
        ecg_id=risk.ecg_id,
        bundle_version=risk.bundle_version,
        acquired_at=risk.acquired_at.astimezone(UTC),
        phenotype=risk.phenotype,
        probability=risk.probability if scored else None,
        probability_low=risk.probability_low if scored else None,
        probability_high=risk.probability_high if scored else None,
        not_scored_reasons=risk.not_scored_reasons,
        quality_score=risk.quality.score,
        heart_rate_bpm=risk.measurements.heart_rate_bpm,
        pr_ms=risk.measurements.pr_ms,
        qrs_ms=risk.measurements.qrs_ms,
        qtc_ms=risk.measurements.qtc_ms,
        e_prime_cm_s=risk.motion.e_prime_cm_s if risk.motion else None,
        e_over_a=risk.motion.e_over_a if risk.motion else None,
    )


def place_of(risk: RiskAssessed) -> Place:
    """Take out of an assessment where the patient lay."""
    return Place(ward_id=risk.ward_id, site_id=risk.site_id, age_years=risk.age_years, sex=risk.sex)
