"""The read API as a real process on real Kafka and Redis, beside a real history worker."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from api_process import api_server
from assessments import assessed
from notices import alert_of
from worker_process import WorkerProcess

from ops.services import RunningBroker
from ops.services.process import Server
from ops.topics import apply_topics
from schemas.alert import AlertRaised
from schemas.audit import CareAction, CareScope, CareVerb
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.api.tokens import Role, new_token
from streams.topology import CARE_AUDIT, ECG_ALERT, ECG_RISK

CODEC = Codec(FileRegistry())
PATIENT, WARD = "PAT-4711-SECRET", "Kardiologie Süd"
DEADLINE_S = 60.0

#: From an alert on Kafka to whoever watches.
LIVE_WITHIN_S = 2.0


@pytest.fixture(params=["embedded_broker", "own_apache_broker"])
def bootstrap(request: pytest.FixtureRequest) -> str:
    running = request.getfixturevalue(request.param)
    assert isinstance(running, RunningBroker)
    return running.bootstrap


@asynccontextmanager
async def api(bootstrap: str, redis_url: str, folder: Path) -> AsyncIterator[tuple[Server, str, str]]:
    tokens = folder / "tokens.toml"
    nurse = new_token(tokens, "ward-nurse", [Role.CLINICIAN], [WARD])
    other = new_token(tokens, "other-ward", [Role.CLINICIAN], ["W9"])
    with api_server(bootstrap, redis_url, tokens, folder / "api") as server:
        await asyncio.to_thread(server.start)
        yield server, nurse, other


def client_of(server: Server, token: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=30)


async def write(bootstrap: str, topic: str, *records: RiskAssessed | AlertRaised) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for record in records:
            await producer.send_and_wait(topic, CODEC.encode(record), key=record.patient_id.encode())


async def until(client: httpx.AsyncClient, path: str, holds: Any) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            got = await client.get(path)
            if got.status_code == 200 and holds(got.json()):
                return got.json()
            await asyncio.sleep(0.1)


async def event(lines: AsyncIterator[str], kind: str) -> dict[str, Any]:
    """Read on to the next event of a kind."""
    current = ""
    async for line in lines:
        if line.startswith("event: "):
            current = line.removeprefix("event: ")
        elif line.startswith("data: ") and current == kind:
            told: dict[str, Any] = json.loads(line.removeprefix("data: "))
            return told
    raise AssertionError(f"the stream ended without {kind}")


async def acts(bootstrap: str, wanted: int) -> list[CareAction]:
    consumer = AIOKafkaConsumer(CARE_AUDIT, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(DEADLINE_S):
        found: list[CareAction] = []
        async for message in consumer:
            found.append(CODEC.decode(message.value, CareAction, headers=tuple(message.headers)))
            if len(found) >= wanted:
                return found
    raise AssertionError("the consumer ended")


def raised() -> AlertRaised:
    now = datetime.now(UTC)
    return alert_of(
        alert_id=str(uuid.uuid4()), patient_id=PATIENT, ward_id=WARD, acquired_at=now - timedelta(minutes=1)
    )


async def test_risk_and_alerts_are_answered_told_live_and_acted_on(
    bootstrap: str, redis_url: str, tmp_path: Path
) -> None:
    await apply_topics(bootstrap, 4)
    history = WorkerProcess("history", tmp_path, broker=bootstrap, redis_url=redis_url)
    async with api(bootstrap, redis_url, tmp_path) as (server, nurse, other):
        with history:
            await asyncio.to_thread(history.until_ready)
            await write(
                bootstrap,
                ECG_RISK,
                *(assessed_in_ward(n, risk) for n, risk in ((1, 0.2), (2, None), (3, 0.7))),
            )
            async with client_of(server, nurse) as client, client_of(server, other) as stranger:
                await shows_risk(client)
                await tells_live(bootstrap, client, stranger)
                assert (await stranger.get(f"/v1/patients/{PATIENT}/history")).status_code == 404
    log = (tmp_path / "api" / "server.log").read_text()
    assert nurse not in log
    assert PATIENT not in log


def assessed_in_ward(number: int, risk: float | None) -> RiskAssessed:
    hours = (datetime.now(UTC) - datetime(2026, 3, 1, 12, tzinfo=UTC)) / timedelta(hours=1)
    return replace(assessed(number, risk, hour=hours - 4 + number, patient_id=PATIENT), ward_id=WARD)


async def shows_risk(client: httpx.AsyncClient) -> None:
    told = await until(client, f"/v1/patients/{PATIENT}/history", lambda got: len(got["points"]) == 3)
    assert [point["probability"] for point in told["points"]] == [0.2, None, 0.7]
    assert told["points"][1]["not_scored_reasons"] == ["LEAD_OFF:V3"]
    worklist = await until(client, f"/v1/wards/{WARD}/worklist", lambda got: got["total"] == 1)
    assert worklist["patients"][0]["change"] == 0.5


async def tells_live(bootstrap: str, client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    alert = raised()
    async with client.stream("GET", "/v1/alerts/events") as stream:
        lines = stream.aiter_lines()
        await event(lines, "reset")
        began = monotonic()
        await write(bootstrap, ECG_ALERT, alert)
        told = await event(lines, "alert")
        assert monotonic() - began < LIVE_WITHIN_S
        assert (told["alert_id"], told["state"]) == (alert.alert_id, "RAISED")
        path, key = f"/v1/alerts/{alert.alert_id}", {"Idempotency-Key": "once"}
        answers = [await client.post(f"{path}/acknowledge", headers=key) for _ in range(2)]
        assert [(got.status_code, got.json()["state"]) for got in answers] == [(200, "ACKNOWLEDGED")] * 2
        assert (await event(lines, "alert"))["answered_by"] == "ward-nurse"
    assert (await stranger.post(f"{path}/accept")).status_code == 404
    # The patient twice: once opened, once a row of the list.
    written = await acts(bootstrap, 4)
    assert {act.actor for act in written} == {"ward-nurse"}
    assert {(act.verb, act.scope, act.subject) for act in written} == {
        (CareVerb.ACKNOWLEDGED, CareScope.ALERT, ""),
        (CareVerb.VIEWED, CareScope.PATIENT, PATIENT),
        (CareVerb.VIEWED, CareScope.WARD, WARD),
    }


async def test_a_stop_ends_open_streams_at_once(
    embedded_broker: RunningBroker, redis_url: str, tmp_path: Path
) -> None:
    await apply_topics(embedded_broker.bootstrap, 4)
    async with (
        api(embedded_broker.bootstrap, redis_url, tmp_path) as (server, nurse, _),
        client_of(server, nurse) as client,
        client.stream("GET", "/v1/alerts/events") as stream,
    ):
        lines = stream.aiter_lines()
        await event(lines, "reset")
        began = monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        assert [line async for line in lines if line] == []
        await stopping
        assert monotonic() - began < 10
    log = (tmp_path / "api" / "server.log").read_text()
    assert '"event": "http_ended"' in log
    assert "Traceback" not in log
