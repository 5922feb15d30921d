"""What the read API works with, as ports: tests give fakes, :mod:`streams.api.running` the real parts."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from schemas.alert import TechnicalAlarm
from schemas.audit import CareAction
from schemas.feed import FeedHealth
from streams.api.tokens import CareToken
from streams.api.whereabouts import lies_with, lying_in, rows_now
from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.changes import Changes
from streams.deliver.routing import Routes
from streams.deliver.undelivered import alert_and_level
from streams.history import HistoryPoint
from streams.stage import UtcClock
from streams.waveform import Strip, WaveformReads
from streams.worklist import Order, PatientRow, WardReads

if TYPE_CHECKING:
    from models.manifest import Manifest
    from streams.strip import Span


class Book(Protocol):
    """The book of alerts: :class:`streams.deliver.book.FollowedBook`."""

    book: CaseBook

    @property
    def alarms(self) -> tuple[TechnicalAlarm, ...]:
        """Technical alarms that have not ended, the newest first."""

    @property
    def behind_s(self) -> float:
        """Seconds since the book last held all that Kafka held."""

    @property
    def is_current(self) -> bool:
        """Whether it may be believed."""

    def alarm(self, alarm_id: str) -> TechnicalAlarm | None:
        """Return one of the alarms."""

    def changes(self) -> Changes:
        """Return the ids of cases and alarms as they change from now on."""

    async def append(self, act: CareAction, budget_s: float = 10.0) -> None:
        """Write an act and fold it; raises a RetriableError when Kafka does not take it."""


class HistoryReads(Protocol):
    """What is asked of histories: :class:`streams.adapters.redis_history.RedisHistory`."""

    async def read(
        self, patient_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[HistoryPoint]:
        """Points of all identifiers of the patient in ascending order."""

    async def identifiers(self, patient_id: str) -> tuple[str, ...]:
        """All identifiers of the patient; the one in use today first."""

    async def ping(self) -> None:
        """Raise HistoryUnavailableError when the store does not answer."""


class FeedReads(Protocol):
    """How the sources of ECGs are doing."""

    def sources(self) -> Sequence[FeedHealth]:
        """Newest report of each source."""


class Looks(Protocol):
    """Notes who looked at whom: :class:`streams.api.audit.LookAudit`."""

    def at_patient(self, actor: str, patient_id: str) -> None:
        """Note a look at a patient; never waits and never fails."""

    def at_alert(self, actor: str, alert_id: str) -> None:
        """Note a look at an alert, likewise."""

    def at_list(self, actor: str, patient_ids: Iterable[str], ward_ids: Iterable[str]) -> None:
        """Note a look at a list of these wards, and at each patient it shows, likewise."""

    async def written(self) -> None:
        """Return when the audit has what was noted so far; soon as well when it cannot take it now."""


class Explains(Protocol):
    """Finds what of an ECG an answer rests on: :class:`streams.api.salience.Salience`."""

    async def spans(self, strip: Strip) -> Sequence["Span"]:
        """Stretches that moved the answer most; empty where nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Services:
    """Everything the endpoints read and write.

    Attributes
    ----------
    routes : Routes
        The site's, for an alert's severity.
    now : callable
        UTC.
    """

    book: Book
    history: HistoryReads
    wards: WardReads
    waveforms: WaveformReads
    feeds: FeedReads
    looks: Looks
    explains: Explains
    manifest: "Manifest"
    routes: Routes
    now: UtcClock

    async def lying(self, token: CareToken, ward_ids: Sequence[str] = ()) -> Mapping[str, str]:
        """Ward of each patient, by every identifier, who lies now where the token sees; empty without Redis.

        A token that sees every ward needs to know it of none but ``ward_ids``.
        """
        if not token.is_scoped and not ward_ids:
            return {}
        return await lying_in(self.wards, token, None if token.is_scoped else ward_ids)

    def cases(self, token: CareToken, lying: Mapping[str, str]) -> list[AlertCase]:
        """All alerts raised in the token's wards, or of who lies there now; the newest first.

        Parameters
        ----------
        lying : mapping of str to str
            What :meth:`lying` said for this token.
        """
        seen = [
            case
            for case in self.book.book.cases.values()
            if token.sees(case.alert.site_id, case.alert.ward_id) or case.alert.patient_id in lying
        ]
        return sorted(seen, key=lambda case: (case.raised_at, case.alert.alert_id), reverse=True)

    async def sees(self, token: CareToken, case: AlertCase) -> bool:
        """Whether the caller may see one alert, by the same rule."""
        if token.sees(case.alert.site_id, case.alert.ward_id):
            return True
        return await lies_with(self.wards, token, case.alert.patient_id)

    async def sees_alarm_of(self, token: CareToken, alert_id: str) -> bool:
        """Whether the caller may see an alarm about this alert; empty is about none, and for everybody.

        Of an alert that is known no more nobody knows the ward: it is for who sees all.
        """
        if not alert_id or not token.is_scoped:
            return True
        case = self.book.book.cases.get(alert_id)
        return case is not None and await self.sees(token, case)

    async def alarms(self, token: CareToken) -> list[TechnicalAlarm]:
        """Technical alarms that have not ended, the newest first; those of others' alerts are left out."""
        standing = self.book.alarms
        seen = await asyncio.gather(*(self.sees_alarm_of(token, alert_of(each)) for each in standing))
        return [alarm for alarm, is_theirs in zip(standing, seen, strict=True) if is_theirs]

    def sources(self, token: CareToken) -> list[FeedHealth]:
        """How the sources of ECGs at the caller's sites are doing."""
        return [each for each in self.feeds.sources() if not token.sites or token.sees_site(each.site_id)]

    async def patient_now(self, patient_id: str) -> PatientRow | None:
        """Latest state of a patient, as :meth:`WardReads.latest`; None as well when that takes too long."""
        return (await rows_now(self.wards, [patient_id])).get(patient_id)

    async def where_now(self, cases: Iterable[AlertCase]) -> Mapping[str, str]:
        """Ward in which the patient of each open alert lies now, as far as that is known in time."""
        rows = await rows_now(self.wards, {case.alert.patient_id for case in cases if case.is_open})
        return {asked: row.ward_id for asked, row in rows.items()}

    async def open_by_ward(self, token: CareToken) -> Counter[str]:
        """How many open alerts the caller sees of each ward: raised there, or of who lies there now."""
        cases = self.cases(token, await self.lying(token))
        waiting, now = [case.alert for case in cases if case.is_open], await self.where_now(cases)
        return Counter(
            ward for alert in waiting for ward in {alert.ward_id, now.get(alert.patient_id, alert.ward_id)}
        )

    async def worklist(
        self, token: CareToken, ward_id: str, order: Order, limit: int, offset: int
    ) -> tuple[int, list[PatientRow]]:
        """Patients of a ward whom the caller may see: how many, and a page of them.

        Two sites may call a ward the same; who sees one of them finds no trace of the other's patients.
        """
        total = await self.wards.size(ward_id)
        if not token.sites:
            return total, await self.wards.ward(ward_id, order, limit, offset)
        everybody = await self.wards.ward(ward_id, order, max(total, 1), 0)
        theirs = [row for row in everybody if token.sees(row.site_id, row.ward_id)]
        return len(theirs), theirs[offset : offset + limit]

    async def ward_sizes(self, token: CareToken) -> list[tuple[str, int]]:
        """Wards the caller may see, by name, with their patients counted; of some sites: those with any."""
        names = [name for name in await self.wards.wards() if token.sees_ward(name)]
        sizes = [(name, (await self.worklist(token, name, "age", 1, 0))[0]) for name in names]
        return [(name, size) for name, size in sizes if size or not token.sites]

    def cases_of(self, identifiers: Sequence[str]) -> list[AlertCase]:
        """All alerts of one patient, by any identifier, the oldest first."""
        found = [case for each in identifiers for case in self.book.book.cases_of(each)]
        return sorted(found, key=lambda case: (case.raised_at, case.alert.alert_id))


def alert_of(alarm: TechnicalAlarm) -> str:
    """Return the alert that an alarm is about; empty when it is about none."""
    about = alert_and_level(alarm)
    return "" if about is None else about[0]
