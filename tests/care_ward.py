"""A hospital to look at: simulated patients through the real pipeline, and the life of their alerts so far.

Twelve alerts in all states and severities, a patient in atrial fibrillation, gaps and ECGs that could not be
scored, names that are too long; served by the read API on fakes of its ports.
"""

import asyncio
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn
from care_api import FakeBook, FakeFeeds, FakeLooks, FakeStore

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.cohorts.recorder import Fault
from models.cohorts.simulated import Course, SimulatedPatient
from models.manifest import Manifest
from models.predictor import Predictor
from schemas.alert import AlarmKind, AlertClosed, AlertKind, AlertRaised, CloseReason, Priority, TechnicalAlarm
from schemas.audit import CareAction, CareVerb, Outcome
from schemas.feed import FeedHealth, RefusalCount
from schemas.featurized import EcgFeaturized
from schemas.identity import action_id
from schemas.recorded import Sex
from schemas.risk import RiskAssessed
from streams.alert import alert as decide_batch
from streams.api.app import build_api
from streams.api.doors import Doors
from streams.api.event_log import EventLog, follow_book
from streams.api.pages.reading import PageParts
from streams.api.pages.router import add_pages
from streams.api.salience import Salience
from streams.api.services import Services
from streams.api.tokens import CareTokens, Role, new_token
from streams.deliver.routes_file import load_routes
from streams.featurize import featurize
from streams.history import history_point
from streams.infer import infer
from streams.patient_state import PatientState
from streams.policy import load_policy
from streams.stage import Received, utc_now
from streams.waveform import Strip
from streams.worklist import Order, PatientRow

ZONE = ZoneInfo("Europe/Rome")
LONG_WARD = "Geriatrics and rehabilitation, building 7, second floor"
LONG_NAME = "NORTH-HOSPITAL-PSEUDONYM-0f3a9c77d1b24e0c8a55"
BORN = datetime(2026, 3, 20, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, eq=False)
class Story:
    """One simulated patient's ECGs, scored: what became of them, the newest alert last."""

    risks: list[RiskAssessed]
    ecgs: list[EcgFeaturized]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """How a story goes: days before the end on which ECGs are recorded, those that fail, and the course."""

    seed: int
    days: Sequence[float]
    start: float
    end: float
    rise_from: float = 40.0
    faults: dict[float, Fault] = field(default_factory=dict)


PLOTS = {
    "riser": Plot(
        seed=7001,
        days=(96, 93, 90, 86, 83, 45, 42, 38, 35, 30, 27, 24, 20, 17, 14, 11, 8, 6, 4, 2, 1, 0.5),
        start=0.05,
        end=1.15,
        rise_from=22.0,
        faults={90: Fault.LEAD_OFF, 30: Fault.NOISE, 6: Fault.TOO_SHORT},
    ),
    "fibrillating": Plot(seed=7005, days=(30, 24, 18, 12, 7, 3, 1), start=0.2, end=1.2, rise_from=20.0),
    "first": Plot(seed=7018, days=(0.2,), start=1.1, end=1.1),
    "calm": Plot(seed=7008, days=(60, 40, 20, 10, 3), start=0.05, end=0.05),
    "failing": Plot(
        seed=7028,
        days=(25, 15, 5, 0.6),
        start=0.1,
        end=0.1,
        faults={0.6: Fault.LEAD_OFF},
    ),
    "never": Plot(seed=7030, days=(2,), start=0.4, end=0.4, faults={2: Fault.PACED}),
}


@cache
def stories() -> dict[str, Story]:
    """Record, featurize and score all patients, once a session."""
    predictor = Predictor(load_bundle(DEFAULT_BUNDLE), batch_sizes=(8,))
    return {name: _told(plot, predictor) for name, plot in PLOTS.items()}


@cache
def manifest() -> Manifest:
    return load_bundle(DEFAULT_BUNDLE).manifest


def _told(plot: Plot, predictor: Predictor) -> Story:
    course = Course(start=plot.start, end=plot.end, onset=BORN - timedelta(days=plot.rise_from))
    patient = SimulatedPatient(seed=plot.seed, course=course)
    recorded = [
        Received(
            record=patient.record(BORN - timedelta(days=days), fault=plot.faults.get(days)),
            published_at=BORN - timedelta(days=days) + timedelta(seconds=20),
        )
        for days in plot.days
    ]
    featurized = [each for each in featurize(recorded) if isinstance(each, EcgFeaturized)]
    batch = [Received(record=each, published_at=each.published_at) for each in featurized]
    risks = infer(batch, predictor, utc_now)
    return Story(risks=[each for each in risks if isinstance(each, RiskAssessed)], ecgs=featurized)


def _moved(risk: RiskAssessed, by: timedelta, **changed: Any) -> RiskAssessed:
    at = risk.acquired_at + by
    return replace(
        risk,
        acquired_at=at,
        published_at=at + timedelta(seconds=20),
        assessed_at=at + timedelta(seconds=22),
        **changed,
    )


class Ward(FakeStore):
    """A store whose wards are ordered as the real one orders them."""

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        rows = [row for row in self.rows if row.ward_id == ward_id]
        keys: dict[str, Any] = {
            "risk": lambda row: -(row.probability if row.probability is not None else -1.0),
            "change": lambda row: -(row.change if row.change is not None else -2.0),
            "age": lambda row: -row.last.acquired_at.timestamp(),
        }
        return sorted(rows, key=keys[order])[offset : offset + limit]


@dataclass
class Hospital:
    """The hospital and how to make things happen in it."""

    book: FakeBook
    store: Ward
    services: Services
    tokens: dict[str, str]
    app: Any
    changes: EventLog
    url: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def do(self, act: Any, *args: Any) -> Any:
        """Do something on the server's own loop, and wait until it is done."""
        assert self.loop is not None

        async def done() -> Any:
            return act(*args)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(5)

    def raise_alert(self, number: int, **changed: Any) -> AlertRaised:
        """Raise one more alert, now."""
        raised = new_alert(number, **changed)
        self.do(self.book.take, raised, utc_now())
        return raised

    def act(self, raised: AlertRaised, verb: CareVerb, **more: Any) -> None:
        """Let something happen to an alert, now."""
        self.do(lambda: self.book.readers.tell(self.book.book.take_act(act(raised, verb, utc_now(), **more))))


def act(raised: AlertRaised, verb: CareVerb, at: datetime, actor: str = "deliver", **more: Any) -> CareAction:
    """Do something to an alert."""
    key = f"{at.isoformat()}{more.get('channel', '')}"
    return CareAction(
        action_id=action_id(verb=verb.value, alert_id=raised.alert_id, actor=actor, at=key),
        alert_id=raised.alert_id,
        verb=verb,
        actor=actor,
        acted_at=at,
        origin="deliver" if actor == "deliver" else "inbox",
        **more,
    )


def alerts_of(risks: Sequence[RiskAssessed]) -> list[AlertRaised]:
    """Decide a patient's assessments by the shipped policy."""
    states: dict[str, PatientState] = {}
    batch = [Received(record=risk, published_at=risk.published_at) for risk in risks]
    decisions = decide_batch(batch, states, load_policy())
    return [each for decision in decisions for each in decision.alerts if isinstance(each, AlertRaised)]


def new_alert(number: int, *, patient_id: str = "", ward_id: str = "CCU", **changed: Any) -> AlertRaised:
    """Give an alert about one more patient, from an ECG of a minute ago."""
    story = stories()["first"]
    at = utc_now() - timedelta(seconds=40)
    shift = at - story.risks[0].acquired_at
    risk = _moved(story.risks[0], shift, patient_id=patient_id or f"SIM-9{number:05d}", ward_id=ward_id)
    raised = alerts_of([risk])[0]
    return replace(raised, **{"ecg_id": str(uuid.UUID(int=90_000 + number)), **changed})


def furnish(book: FakeBook, store: Ward, now: datetime) -> None:
    """Put patients, histories, strips, alerts and their lives in."""
    minute, hour = timedelta(minutes=1), timedelta(hours=1)

    def admit(
        name: str, patient_id: str, ward_id: str, ago: timedelta, *, raised_ago: timedelta | None = None
    ) -> AlertRaised | None:
        story = stories()[name]
        risks, ecgs = story.risks, story.ecgs
        raising = [each.ecg_id for each in alerts_of(risks)]
        if raised_ago is not None:  # The story ends with the ECG that raised the alert.
            end = next(i for i, risk in enumerate(risks) if risk.ecg_id == raising[0]) + 1
            risks, ecgs = risks[:end], ecgs[:end]
        shift = now - ago - risks[-1].acquired_at
        # One ECG, one patient: others who share the story have ECGs of their own.
        ids = {risk.ecg_id: str(uuid.uuid5(uuid.NAMESPACE_OID, patient_id + risk.ecg_id)) for risk in risks}
        risks = [
            _moved(risk, shift, patient_id=patient_id, ward_id=ward_id, ecg_id=ids[risk.ecg_id])
            for risk in risks
        ]
        points = [history_point(risk) for risk in risks]
        scored = [point for point in points if point.probability is not None]
        store.points += points
        store.rows.append(
            PatientRow(
                patient_id=patient_id,
                identifiers=(patient_id,),
                ward_id=ward_id,
                site_id="north",
                age_years=ecgs[-1].age_years,
                sex=Sex.FEMALE,
                last=points[-1],
                scored=scored[-1] if scored else None,
                previous=scored[-2] if len(scored) > 1 else None,
            )
        )
        for risk, ecg in zip(risks[-4:], ecgs[-4:], strict=True):
            if ecg.model_input_uv is not None:
                store.strips[risk.ecg_id] = Strip(
                    ecg_id=risk.ecg_id,
                    patient_id=patient_id,
                    acquired_at=risk.acquired_at,
                    ward_id=ward_id,
                    site_id="north",
                    sample_rate_hz=500,
                    leads_uv=ecg.model_input_uv,
                )
        if raised_ago is None:
            return None
        raised = alerts_of(risks)[-1]
        book.take(raised, now - raised_ago)
        return raised

    def lived(raised: AlertRaised | None, *acts: tuple[timedelta, CareVerb, dict[str, Any]]) -> None:
        assert raised is not None
        for ago, verb, more in acts:
            book.book.take_act(act(raised, verb, now - ago, **more))

    chat = {"channel": "chat", "recipient": "ward nurses"}
    pager = {"channel": "pager", "recipient": "cardiologist on call"}
    V = CareVerb
    riser = admit("riser", "SIM-007001", "CCU", 33 * minute, raised_ago=32 * minute)
    lived(
        riser,
        (32 * minute, V.DELIVERED, chat),
        (20 * minute, V.VIEWED, {"actor": "ccu-screen"}),
        (17 * minute, V.ESCALATED, {"level": 1}),
        (17 * minute, V.DELIVERED, {**pager, "level": 1}),
    )
    lived(
        admit("fibrillating", "SIM-007005", "CCU", 9 * minute, raised_ago=8 * minute),
        (8 * minute, V.DELIVERED, chat),
        (3 * minute, V.ACKNOWLEDGED, {"actor": "dr-ward-3"}),
    )
    admit("first", LONG_NAME, LONG_WARD, 2 * minute, raised_ago=1.2 * minute)
    lived(
        admit("riser", "SIM-007101", "Ward 3 North", 3 * hour, raised_ago=2.4 * hour),
        (2.4 * hour, V.DELIVERY_FAILED, {**chat, "reason": "the chat server answered 503"}),
    )
    lived(
        admit("fibrillating", "SIM-007105", "Ward 3 North", hour, raised_ago=0.7 * hour),
        (0.7 * hour, V.DELIVERED, chat),
    )
    lived(
        admit("first", "SIM-007118", "Ward 3 North", 4 * hour, raised_ago=3.8 * hour),
        (3.8 * hour, V.DELIVERED, chat),
        (3.5 * hour, V.ACKNOWLEDGED, {"actor": "night-charge-nurse"}),
        (3.1 * hour, V.ACCEPTED, {"actor": "dr-ward-3"}),
        (1.0 * hour, V.OUTCOME, {"actor": "echo-lab", "outcome": Outcome.CONFIRMED, "reason": "E/e' 17"}),
    )
    lived(
        admit("riser", "SIM-007201", LONG_WARD, 6 * hour, raised_ago=5.9 * hour),
        (5.9 * hour, V.DELIVERED, chat),
        (
            5.0 * hour,
            V.REJECTED,
            {"actor": "dr-geriatrics", "reason": "known-condition: HFpEF, in treatment since 2024"},
        ),
    )
    lived(
        admit("fibrillating", "SIM-007205", LONG_WARD, 2 * hour, raised_ago=1.9 * hour),
        (1.9 * hour, V.DELIVERED, chat),
        (
            1.5 * hour,
            V.MUTED,
            {"actor": "dr-geriatrics", "expires_at": now + 6 * hour, "reason": "echo booked for 15:00"},
        ),
    )
    lived(
        admit("riser", "SIM-007301", "Ward 3 North", 30 * hour, raised_ago=29 * hour),
        (29 * hour, V.DELIVERED, chat),
        (28 * hour, V.ESCALATED, {"level": 1}),
        (5 * hour, V.EXPIRED, {}),
    )
    old = admit("first", "SIM-007318", "CCU", 50 * hour, raised_ago=49 * hour)
    lived(old, (49 * hour, V.DELIVERED, chat), (48 * hour, V.ACKNOWLEDGED, {"actor": "dr-ccu"}))
    assert old is not None
    ended = AlertClosed(
        alert_id=old.alert_id,
        patient_id=old.patient_id,
        ecg_id=old.ecg_id,
        acquired_at=now - 20 * hour,
        reason=CloseReason.RETURNED_LOW,
        probability=0.31,
        policy_version=old.policy_version,
    )
    book.book.take_alert(ended, now - 20 * hour)
    lived(
        admit("riser", "SIM-007401", "CCU", 7 * hour, raised_ago=6 * hour),
        (6 * hour, V.LISTED, {"reason": "the ECG was 13 h old when it came"}),
    )
    stepped = admit("riser", "SIM-007501", "CCU", 6 * minute, raised_ago=None)
    assert stepped is None
    point = store.rows[-1].last
    base = riser
    assert base is not None
    up = replace(
        base,
        alert_id=str(uuid.UUID(int=77)),
        kind=AlertKind.STEPPED_UP,
        patient_id="SIM-007501",
        ecg_id=point.ecg_id,
        acquired_at=point.acquired_at,
        probability_before=0.71,
        change_text="Risk of the high-risk diastolic phenotype rose from 0.71 at the last alert to 0.93 "
        "within 3 days while already HIGH.",
    )
    book.take(up, now - 4 * minute)
    lived(up, (4 * minute, V.DELIVERED, chat))
    admit("calm", "SIM-007008", "CCU", 20 * hour)
    admit("failing", "SIM-007028", "CCU", 5 * hour)
    admit("never", "SIM-007030", "CCU", 40 * hour)
    admit("calm", "SIM-007108", "Ward 3 North", 75 * hour)
    book.open_alarms += _alarms(now)


def _alarms(now: datetime) -> list[TechnicalAlarm]:
    return [
        TechnicalAlarm(
            alarm_id=str(uuid.UUID(int=7001)),
            kind=AlarmKind.DELIVERY_FAILED,
            priority=Priority.HIGH,
            source="chat",
            started_at=now - timedelta(minutes=140),
            message="An alert of Ward 3 North reached nobody: the chat server answers 503.",
            action_text="Call the ward. Then look at the chat server; deliveries are tried again by themselves.",
        ),
        TechnicalAlarm(
            alarm_id=str(uuid.UUID(int=7002)),
            kind=AlarmKind.FEED_SILENT,
            priority=Priority.MEDIUM,
            source="folder/muse-export/south",
            started_at=now - timedelta(hours=5),
            message="No ECG from muse-export for 5 h; it usually delivers every 40 minutes.",
            action_text="Check that the MUSE export runs and the share is mounted.",
        ),
    ]


def _feeds(now: datetime) -> list[FeedHealth]:
    return [
        FeedHealth(
            feed="dicom",
            source="CART-3N",
            site_id="north",
            reported_at=now,
            n_received=1841,
            n_accepted=1802,
            n_repeated=31,
            n_quarantined=8,
            last_received_at=now - timedelta(minutes=3),
            refusals=(RefusalCount(code="NO_PATIENT", count=5), RefusalCount(code="NOT_AN_ECG", count=3)),
            rate_per_h=6.4,
            clock_skew_s=431.0,
            silent_after_s=7200.0,
        ),
        FeedHealth(
            feed="folder",
            source="muse-export",
            site_id="south",
            reported_at=now,
            n_received=911,
            n_accepted=911,
            n_repeated=0,
            n_quarantined=0,
            last_received_at=now - timedelta(hours=5),
            rate_per_h=0.9,
            clock_skew_s=2.0,
            silent_after_s=4800.0,
            silent_since=now - timedelta(hours=5),
        ),
        FeedHealth(
            feed="http",
            source="ehr-bridge",
            site_id="north",
            reported_at=now,
            n_received=2,
            n_accepted=2,
            n_repeated=0,
            n_quarantined=0,
            last_received_at=now - timedelta(minutes=50),
        ),
    ]


TOKENS: dict[str, tuple[Role, tuple[str, ...]]] = {
    "dr-ccu": (Role.CLINICIAN, ()),
    "ccu-screen": (Role.VIEWER, ("CCU",)),
}


def build(folder: Path, *, is_empty: bool = False) -> Hospital:
    """Build the hospital; tokens are kept in the folder."""
    now, book, store = utc_now(), FakeBook(), Ward()

    async def person(patient_id: str) -> tuple[float | None, Sex]:
        row = await store.latest(patient_id)
        return (row.age_years, row.sex) if row else (None, Sex.UNKNOWN)

    if not is_empty:
        furnish(book, store, now)
    services = Services(
        book=book,
        history=store,
        wards=store,
        waveforms=store,
        feeds=FakeFeeds([] if is_empty else _feeds(now)),
        looks=FakeLooks(),
        explains=Salience(lambda: load_bundle(DEFAULT_BUNDLE), manifest().sha256, person),
        manifest=manifest(),
        routes=load_routes(),
        now=utc_now,
    )
    file = folder / "tokens.toml"
    tokens = {name: new_token(file, name, [role], wards) for name, (role, wards) in TOKENS.items()}
    doors, changes = Doors(tokens=CareTokens(file)), EventLog()
    parts = PageParts(services=services, doors=doors, policy=load_policy(), zone=ZONE)
    api = build_api(services, doors, changes, add_pages=lambda app: add_pages(app, parts))
    return Hospital(
        book=book, store=store, services=services, tokens=tokens, app=api.guarded, changes=changes
    )


@contextmanager
def served(hospital: Hospital) -> Iterator[Hospital]:
    """Serve the hospital on a free port while the context lasts."""
    config = uvicorn.Config(
        hospital.app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    started = threading.Event()

    async def run() -> None:
        hospital.loop = asyncio.get_running_loop()
        following = asyncio.create_task(follow_book(hospital.book, hospital.changes))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        hospital.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        started.set()
        await serving
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    try:
        yield hospital
    finally:
        assert hospital.loop is not None
        with suppress(RuntimeError):
            hospital.loop.call_soon_threadsafe(hospital.changes.end)
        server.should_exit = True
        thread.join(10)
