"""The read API on fakes of its ports, with a small hospital in it, as short as a test wants to read it.

Ward W1 of site north has patient P-1 with an open alert; ward W2 has P-2; P-1 was P-0 before a merge.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from alert_cases import RAISED_AT, alert
from assessments import assessed, moving, nth_ecg_id
from tiny_bundle import manifest as tiny_manifest

from models.manifest import Manifest
from schemas.alert import AlarmKind, AlertRaised, Priority, TechnicalAlarm
from schemas.audit import CareAction
from schemas.feed import FeedHealth, RefusalCount
from schemas.risk import RiskAssessed
from streams.api.api_metrics import ApiMetrics
from streams.api.app import AddPages, Api, build_api
from streams.api.doors import Doors
from streams.api.event_log import EventLog
from streams.api.pages.reading import PageParts
from streams.api.pages.router import add_pages
from streams.api.services import Services
from streams.api.tokens import CareTokens, Role, new_token
from streams.deliver.case import CaseBook
from streams.deliver.changes import Changes, Readers
from streams.deliver.routes_file import load_routes
from streams.history import HistoryPoint, HistoryUnavailableError, history_point
from streams.policy import load_policy
from streams.strip import Span
from streams.waveform import Strip
from streams.worklist import Order, PatientRow

NOW = RAISED_AT + timedelta(minutes=10)
PATIENT, OLD_NAME, ELSEWHERE = "P-1", "P-0", "P-2"


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> None:
        self.now += timedelta(seconds=1)


class FakeBook:
    """A book that takes acts at once, or not at all while ``trouble`` is set."""

    def __init__(self) -> None:
        self.book = CaseBook()
        self.appended: list[CareAction] = []
        self.open_alarms: list[TechnicalAlarm] = []
        self.trouble: Exception | None = None
        self.is_current, self.behind_s = True, 0.0
        self.readers = Readers()

    @property
    def alarms(self) -> tuple[TechnicalAlarm, ...]:
        return tuple(self.open_alarms)

    def alarm(self, alarm_id: str) -> TechnicalAlarm | None:
        return next((alarm for alarm in self.open_alarms if alarm.alarm_id == alarm_id), None)

    def changes(self) -> Changes:
        return self.readers.add()

    def take(self, raised: AlertRaised, at: datetime = RAISED_AT) -> None:
        self.readers.tell(self.book.take_alert(raised, at))

    async def append(self, act: CareAction, budget_s: float = 10.0) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.appended.append(act)
        self.readers.tell(self.book.take_act(act))


@dataclass
class FakeStore:
    """History, wards and waveforms; raises while it is ``away``."""

    points: list[HistoryPoint] = field(default_factory=list)
    rows: list[PatientRow] = field(default_factory=list)
    strips: dict[str, Strip] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_away: bool = False

    def _answer(self) -> None:
        if self.is_away:
            raise HistoryUnavailableError("history: Redis does not serve; check that it runs")

    async def ping(self) -> None:
        self._answer()

    async def identifiers(self, patient_id: str) -> tuple[str, ...]:
        self._answer()
        return self.names.get(patient_id, (patient_id,))

    async def read(
        self, patient_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[HistoryPoint]:
        named = await self.identifiers(patient_id)
        found = [
            point
            for point in self.points
            if point.patient_id in named
            and (since is None or point.acquired_at >= since)
            and (until is None or point.acquired_at < until)
        ]
        return sorted(found, key=lambda point: point.acquired_at)

    async def latest(self, patient_id: str) -> PatientRow | None:
        self._answer()
        return next((row for row in self.rows if patient_id in row.identifiers), None)

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        self._answer()
        return [row for row in self.rows if row.ward_id == ward_id][offset : offset + limit]

    async def size(self, ward_id: str) -> int:
        return len(await self.ward(ward_id, "age"))

    async def wards(self) -> list[str]:
        self._answer()
        return sorted({row.ward_id for row in self.rows})

    async def strip(self, ecg_id: str) -> Strip | None:
        self._answer()
        return self.strips.get(ecg_id)


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class FakeLooks:
    """Remembers who looked; answers wait while they may not be written."""

    patients: list[tuple[str, str]] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    wards: list[tuple[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_write: asyncio.Event = field(default_factory=_set)

    async def written(self) -> None:
        self.asked.set()
        await self.may_write.wait()

    def at_patient(self, actor: str, patient_id: str) -> None:
        self.patients.append((actor, patient_id))

    def at_alert(self, actor: str, alert_id: str) -> None:
        self.alerts.append((actor, alert_id))

    def at_list(self, actor: str, patient_ids: Iterable[str], ward_ids: Iterable[str]) -> None:
        self.patients += [(actor, patient_id) for patient_id in sorted(set(patient_ids))]
        self.wards += [(actor, ward_id) for ward_id in sorted(set(ward_ids))]


class FakeExplains:
    async def spans(self, strip: Strip) -> Sequence[Span]:
        return (Span(start_s=1.0, end_s=1.2, label="V5: 12.0 %", lead="V5"),)


@dataclass
class FakeFeeds:
    reports: list[FeedHealth] = field(default_factory=list)

    def sources(self) -> Sequence[FeedHealth]:
        return self.reports


@dataclass
class Hospital:
    """The API with all it stands on."""

    book: FakeBook
    store: FakeStore
    looks: FakeLooks
    feeds: FakeFeeds
    clock: Clock
    services: Services
    changes: EventLog
    tokens: dict[str, str]
    doors: Doors
    metrics: ApiMetrics
    api: Api

    @asynccontextmanager
    async def client(self, holder: str | None = "admin", **more: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Ask as the holder of one of :data:`TOKENS`; None asks without any."""
        headers = {} if holder is None else {"Authorization": f"Bearer {self.tokens[holder]}"}
        headers |= more.pop("headers", {})
        transport = httpx.ASGITransport(self.api.guarded)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers, **more
        ) as client:
            yield client


#: Names of tokens, their roles, wards and sites.
TOKENS: dict[str, tuple[Role, tuple[str, ...], tuple[str, ...]]] = {
    "viewer": (Role.VIEWER, (), ()),
    "clinician": (Role.CLINICIAN, (), ()),
    "admin": (Role.ADMIN, (), ()),
    "w1-viewer": (Role.VIEWER, ("W1",), ()),
    "w1-clinician": (Role.CLINICIAN, ("W1",), ()),
    "w2-clinician": (Role.CLINICIAN, ("W2",), ()),
    "w2-admin": (Role.ADMIN, ("W2",), ()),
    "south-admin": (Role.ADMIN, (), ("south",)),
}


def hospital(folder: Path, **more: Any) -> Hospital:
    """Build the small hospital; tokens are kept in the folder."""
    book, store, looks, feeds = FakeBook(), FakeStore(), FakeLooks(), FakeFeeds([feed_health()])
    clock = Clock()
    _admit(book, store)
    services = Services(
        book=book,
        history=store,
        wards=store,
        waveforms=store,
        feeds=feeds,
        looks=looks,
        explains=FakeExplains(),
        manifest=_manifest(),
        routes=load_routes(),
        now=clock,
    )
    file = folder / "tokens.toml"
    tokens = {
        name: new_token(file, name, [role], wards, sites) for name, (role, wards, sites) in TOKENS.items()
    }
    doors, changes, metrics = Doors(tokens=CareTokens(file)), EventLog(), ApiMetrics()
    return Hospital(
        book=book,
        store=store,
        looks=looks,
        feeds=feeds,
        clock=clock,
        services=services,
        changes=changes,
        tokens=tokens,
        doors=doors,
        metrics=metrics,
        api=build_api(services, doors, changes, metrics, add_pages=pages_of(services, doors), **more),
    )


def pages_of(services: Services, doors: Doors) -> AddPages:
    """Add the care team's pages."""
    parts = PageParts(services=services, doors=doors, policy=load_policy(), zone=UTC)
    return lambda app: add_pages(app, parts)


#: The open alert of P-1 in W1, and what it came from.
ALERT = replace(alert(5, patient_id=PATIENT), motion=moving(5.0), probability_low=0.8, probability_high=0.95)
OTHER_ALERT = alert(6, patient_id=ELSEWHERE, ward_id="W2", probability=0.7)
ECG_ID, OTHER_ECG_ID = ALERT.ecg_id, OTHER_ALERT.ecg_id


def _admit(book: FakeBook, store: FakeStore) -> None:
    store.names = dict.fromkeys((PATIENT, OLD_NAME), (PATIENT, OLD_NAME))
    first = [
        risk(1, 0.2, OLD_NAME),
        risk(2, None, PATIENT),
        risk(3, 0.4, PATIENT, bundle_version="b2"),
        risk(5, 0.9, PATIENT, bundle_version="b2", interval=(0.8, 0.95), motion=moving(5.0)),
    ]
    second = [risk(6, 0.7, ELSEWHERE)]
    for risks, ward, names in ((first, "W1", (PATIENT, OLD_NAME)), (second, "W2", (ELSEWHERE,))):
        points = [history_point(each) for each in risks]
        scored = [point for point in points if point.probability is not None]
        store.points += points
        store.rows.append(
            PatientRow(
                patient_id=names[0],
                identifiers=names,
                ward_id=ward,
                site_id="north",
                last=points[-1],
                scored=scored[-1],
                previous=scored[-2] if len(scored) > 1 else None,
            )
        )
    for raised in (ALERT, OTHER_ALERT):
        book.take(raised)
        store.strips[raised.ecg_id] = strip_of(raised)
    book.open_alarms.append(alarm_of())


def risk(number: int, probability: float | None, patient_id: str, **more: Any) -> RiskAssessed:
    """Assess an ECG so many hours after eight hours before the alert."""
    return assessed(number, probability, hour=number - 8, patient_id=patient_id, **more)


def strip_of(raised: AlertRaised) -> Strip:
    """Give the ECG of an alert 10 s of eight sines."""
    t = np.arange(5000) / 500
    leads = [200 * np.sin(2 * np.pi * (1 + lead) * t) for lead in range(8)]
    return Strip(
        ecg_id=raised.ecg_id,
        patient_id=raised.patient_id,
        acquired_at=raised.acquired_at,
        ward_id=raised.ward_id,
        site_id=raised.site_id,
        sample_rate_hz=500,
        leads_uv=np.stack(leads).astype(np.int16),
    )


def alarm_of(number: int = 1) -> TechnicalAlarm:
    """Begin a technical alarm."""
    return TechnicalAlarm(
        alarm_id=str(uuid.UUID(int=7000 + number)),
        kind=AlarmKind.FEED_SILENT,
        priority=Priority.MEDIUM,
        source="http north",
        started_at=datetime(2026, 3, 1, 11, tzinfo=UTC),
        message="The cart is silent.",
        action_text="Look whether the cart is on.",
    )


def feed_health() -> FeedHealth:
    """Report one source that refused once and has no known rhythm."""
    return FeedHealth(
        feed="http",
        source="cart-1",
        site_id="north",
        reported_at=NOW,
        n_received=3,
        n_accepted=2,
        n_repeated=0,
        n_quarantined=1,
        last_received_at=NOW - timedelta(minutes=5),
        refusals=(RefusalCount(code="NO_PATIENT", count=1),),
    )


@cache
def _manifest() -> Manifest:
    return tiny_manifest({})


UNKNOWN_ECG_ID = nth_ecg_id(4711)
