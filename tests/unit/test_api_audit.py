"""Looks in the audit: before the answer, once a minute, kept while Kafka is away, lost only when counted."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from care_api import ALERT, ELSEWHERE, NOW, OTHER_ALERT, PATIENT, Clock, Hospital, hospital
from structlog.testing import capture_logs

from schemas.audit import CareAction, CareScope, CareVerb
from schemas.errors import InvalidRecordError
from schemas.identity import subject_id
from streams.api.api_metrics import ApiMetrics
from streams.api.audit import LookAudit
from streams.api.doors import Caller
from streams.api.event_log import ChangeKind
from streams.api.events import stream
from streams.feeds.producer import BrokerUnavailableError

PATIENCE_S, DEADLINE_S = 0.05, 10.0

#: Fifty rows of a list, and their ward.
N_LISTED = 51


def at_once(waiting: Coroutine[Any, Any, None]) -> bool:
    """Whether there is nothing to wait for."""
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


class Log:
    """Takes acts, or raises, or keeps them waiting."""

    def __init__(self) -> None:
        self.acts: list[CareAction] = []
        self.n_asked, self.all_asked = 0, asyncio.Event()
        self.trouble: Exception | None = None
        self.serves = asyncio.Event()
        self.serves.set()

    async def append(self, act: CareAction) -> None:
        self.n_asked += 1
        if self.n_asked == N_LISTED:
            self.all_asked.set()
        await self.serves.wait()
        if self.trouble is not None:
            raise self.trouble
        self.acts.append(act)


class Desk:
    def __init__(self, max_waiting: int = 100) -> None:
        self.log, self.clock, self.metrics = Log(), Clock(), ApiMetrics()
        self.audit = LookAudit(
            self.log.append,
            self.clock,
            self.metrics,
            max_waiting=max_waiting,
            pause_s=0.01,
            patience_s=PATIENCE_S,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.audit.run())
        try:
            yield
            await self.audit.drain(5.0)
        finally:
            task.cancel()
            await asyncio.wait({task})

    def lost(self) -> float:
        return self.metrics.registry.get_sample_value("diastole_api_audit_lost_total") or 0.0


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_looks_are_acts_under_the_name_of_who_looked(desk: Desk) -> None:
    async with desk.running():
        desk.audit.at_patient("nurse", PATIENT)
        desk.audit.at_alert("nurse", ALERT.alert_id)
        desk.audit.at_list("nurse", [PATIENT, ELSEWHERE, ELSEWHERE], ["W1", "", "W1"])
    patient, alert, *rows = desk.log.acts
    assert [(act.scope, act.subject) for act in rows[:2]] == [("PATIENT", PATIENT), ("PATIENT", ELSEWHERE)]
    wards = rows[2:]
    assert {(act.scope, act.subject) for act in wards} == {("WARD", "W1"), ("WARD", "no ward named")}
    assert (patient.verb, patient.scope, patient.subject) == (CareVerb.VIEWED, CareScope.PATIENT, PATIENT)
    assert patient.alert_id == subject_id(scope="PATIENT", subject=PATIENT)
    assert (alert.scope, alert.alert_id, alert.actor) == (CareScope.ALERT, ALERT.alert_id, "nurse")


async def test_the_same_look_is_noted_once_a_minute(desk: Desk) -> None:
    async with desk.running():
        for _ in range(3):
            desk.audit.at_patient("nurse", PATIENT)
            desk.clock.now += timedelta(seconds=10)
        desk.audit.at_patient("doctor", PATIENT)
        desk.clock.now = NOW + timedelta(minutes=1)
        desk.audit.at_patient("nurse", PATIENT)
    assert [act.actor for act in desk.log.acts] == ["nurse", "doctor", "nurse"]


async def test_a_patient_in_lists_is_noted_once_an_hour_and_apart_from_looks_at_the_patient(
    desk: Desk,
) -> None:
    async with desk.running():
        for minute in (0, 1, 59):
            desk.clock.now = NOW.replace(minute=minute)
            desk.audit.at_list("nurse", [PATIENT], [])
        desk.clock.now = NOW.replace(minute=0)
        desk.audit.at_patient("nurse", PATIENT)
        desk.clock.now = NOW.replace(minute=0) + timedelta(hours=1)
        desk.audit.at_list("nurse", [PATIENT], [])
    noted = [act.acted_at - NOW.replace(minute=0) for act in desk.log.acts]
    assert noted == [timedelta(0), timedelta(0), timedelta(hours=1)]
    assert len({act.action_id for act in desk.log.acts}) == 3


async def test_a_list_is_written_in_one_go_and_waited_for_once(desk: Desk) -> None:
    desk.log.serves.clear()
    async with desk.running():
        desk.audit.at_list("nurse", [f"P-{n}" for n in range(N_LISTED - 1)], ["W1"])
        answering = asyncio.create_task(desk.audit.written())
        async with asyncio.timeout(DEADLINE_S):
            await desk.log.all_asked.wait()  # all of them are under way before any is taken
        assert desk.log.acts == []
        desk.log.serves.set()
        await answering
        assert len(desk.log.acts) == N_LISTED


LISTS = [
    ("/v1/alerts", {PATIENT, ELSEWHERE}, {"W1", "W2"}),
    ("/v1/alerts?limit=1", {ELSEWHERE}, {"W2"}),
    ("/v1/alerts?state=ACCEPTED", set(), set()),
    ("/v1/alerts?ward=W1", {PATIENT}, {"W1"}),
    ("/", {PATIENT, ELSEWHERE}, {"W1", "W2"}),
    ("/?ward=W2", {ELSEWHERE}, {"W2"}),
    ("/?show=ended", set(), set()),
    ("/v1/wards/W1/worklist", {PATIENT}, {"W1"}),
    ("/wards/W1", {PATIENT}, {"W1"}),
    (f"/v1/alerts/{ALERT.alert_id}", {PATIENT}, set()),
    (f"/alerts/{ALERT.alert_id}", {PATIENT}, set()),
    ("/v1/wards", set(), set()),
]


@pytest.mark.parametrize(("path", "patients", "wards"), LISTS)
async def test_whoever_is_shown_in_a_list_was_looked_at(
    path: str, patients: set[str], wards: set[str], tmp_path: Path
) -> None:
    place = hospital(tmp_path)
    async with place.client("viewer", headers={"Accept": "text/html"}) as client:
        text = (await client.get(path)).text
    assert {subject for _, subject in place.looks.patients} == patients
    assert {subject for _, subject in place.looks.wards} == wards
    # Nobody else is on it; whoever is on it is noted.
    assert {each for each in (PATIENT, ELSEWHERE) if f">{each}<" in text or f'"{each}"' in text} == patients


async def test_of_who_was_moved_both_wards_are_noted(tmp_path: Path) -> None:
    place = hospital(tmp_path)
    place.store.rows[0] = replace(place.store.rows[0], ward_id="W2")
    for path in ("/v1/alerts", "/"):
        place.looks.wards.clear()
        async with place.client("w2-clinician", headers={"Accept": "text/html"}) as client:
            await client.get(path)
        assert {ward for _, ward in place.looks.wards} == {"W1", "W2"}, path


async def test_an_alert_told_by_the_stream_is_a_look_at_its_patient(tmp_path: Path) -> None:
    place = hospital(tmp_path)
    await told_first(place, "w2-clinician")
    assert place.looks.patients == [("w2-clinician", ELSEWHERE)]


async def told_first(place: Hospital, holder: str) -> str:
    """What the stream tells a token first of both alerts."""
    assert place.doors.tokens is not None
    token = place.doors.tokens.bearer(place.tokens[holder])
    assert token is not None
    for each in (ALERT, OTHER_ALERT):
        place.changes.note(ChangeKind.ALERT, each.alert_id)
    async with asyncio.timeout(DEADLINE_S):
        return await anext(
            stream(place.services, place.changes, place.doors, Caller(token=token), 0, DEADLINE_S)
        )


async def test_what_kafka_does_not_take_waits_for_it(desk: Desk) -> None:
    desk.log.trouble = BrokerUnavailableError("away")
    async with desk.running():
        with capture_logs() as logs:
            desk.audit.at_patient("nurse", PATIENT)
            desk.audit.at_alert("nurse", ALERT.alert_id)
            await asyncio.sleep(0.03)
        assert desk.log.acts == []
        assert PATIENT not in str(logs)
        desk.log.trouble = None
    assert len(desk.log.acts) == 2
    assert desk.lost() == 0


async def test_what_does_not_fit_is_lost_counted_and_said_once() -> None:
    desk = Desk(max_waiting=2)
    with capture_logs() as logs:
        for number in range(5):
            desk.audit.at_patient("nurse", f"{PATIENT}-{number}")
    assert desk.lost() == 3
    assert [line["event"] for line in logs] == ["audit_lost"]
    assert PATIENT not in str(logs)
    async with desk.running():
        pass
    assert len(desk.log.acts) == 2


async def test_an_end_without_kafka_counts_what_was_never_written(desk: Desk) -> None:
    desk.log.trouble = BrokerUnavailableError("away")
    task = asyncio.create_task(desk.audit.run())
    desk.audit.at_patient("nurse", PATIENT)
    await desk.audit.drain(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert desk.lost() == 1


async def test_a_look_that_cannot_be_written_does_not_hold_up_the_others(desk: Desk) -> None:
    desk.log.trouble = InvalidRecordError("subject must be shorter")
    async with desk.running():
        desk.audit.at_patient("nurse", PATIENT)
        await asyncio.sleep(0.01)
        desk.log.trouble = None
        desk.audit.at_patient("doctor", PATIENT)
    assert [act.actor for act in desk.log.acts] == ["doctor"]
    assert desk.lost() == 1


async def test_an_answer_waits_until_kafka_has_the_look(desk: Desk) -> None:
    async with desk.running():
        desk.log.serves.clear()
        desk.audit.at_patient("nurse", PATIENT)
        answering = asyncio.create_task(desk.audit.written())
        await asyncio.sleep(0)
        assert not answering.done()
        desk.log.serves.set()
        await answering
        assert len(desk.log.acts) == 1


async def test_nothing_is_waited_for_where_nobody_looked(desk: Desk) -> None:
    desk.log.serves.clear()
    assert at_once(desk.audit.written())


async def test_care_does_not_wait_for_a_kafka_that_is_away_and_asks_once(desk: Desk) -> None:
    desk.log.serves.clear()
    async with desk.running():
        desk.audit.at_patient("nurse", PATIENT)
        async with asyncio.timeout(DEADLINE_S):
            await desk.audit.written()
        desk.audit.at_patient("doctor", PATIENT)
        assert at_once(desk.audit.written())
        assert desk.log.acts == []
        desk.log.serves.set()
    assert len(desk.log.acts) == 2
    # Kafka takes them again, so answers wait again.
    async with desk.running():
        desk.audit.at_patient("third", PATIENT)
        await desk.audit.written()
        assert len(desk.log.acts) == 3


async def test_a_kafka_that_refuses_is_not_waited_for_either(desk: Desk) -> None:
    desk.log.trouble = BrokerUnavailableError("away")
    async with desk.running():
        desk.audit.at_patient("nurse", PATIENT)
        await desk.audit.written()
        desk.audit.at_patient("doctor", PATIENT)
        assert at_once(desk.audit.written())
        desk.log.trouble = None
    assert len(desk.log.acts) == 2


@pytest.mark.parametrize(
    "path", [f"/v1/patients/{PATIENT}/latest", f"/v1/alerts/{ALERT.alert_id}", "/v1/alerts", "/"]
)
async def test_no_byte_of_an_answer_leaves_before_the_look_is_written(path: str, tmp_path: Path) -> None:
    place = hospital(tmp_path)
    place.looks.may_write.clear()
    async with place.client("viewer", headers={"Accept": "text/html"} if path == "/" else {}) as client:
        asked = asyncio.create_task(client.get(path))
        async with asyncio.timeout(10):
            await place.looks.asked.wait()
        assert place.looks.patients + place.looks.alerts + place.looks.wards
        assert not asked.done()
        place.looks.may_write.set()
        assert (await asked).status_code == 200
