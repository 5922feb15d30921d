"""The registry adapter against a small HTTP server that answers as Confluent's API does."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from fastavro.schema import parse_schema

from schemas.alert import AlertRaised, TechnicalAlarm
from schemas.audit import CareAction
from schemas.codec import Codec
from schemas.compatibility import full_incompatibilities
from schemas.errors import ConfigurationError, RetriableError, UnknownSchemaError
from schemas.recorded import EcgRecorded
from schemas.registry import raw_schema
from streams.adapters.confluent_registry import ConfluentRegistry

GUID = UUID("8d6c0b0e-1f7e-5c0a-9a51-5d2a4b8f1c01")
ALARM = "org.diastole.TechnicalAlarm"

AT = datetime(2026, 1, 1, tzinfo=UTC)

Answer = tuple[int, Any]


def fault(code: int, message: str) -> Answer:
    return code // 100 if code > 1000 else code, {"error_code": code, "message": message}


class StandIn:
    """What a registry remembers, and every request it was sent."""

    def __init__(self) -> None:
        self.subjects: dict[str, list[int]] = {}
        self.schemas: dict[int, str] = {}
        self.levels: dict[str, str] = {}
        self.requests: list[str] = []
        self.overrides: dict[str, Answer | bytes] = {}

    def answer(self, method: str, path: str, sent: Any) -> Answer | bytes:
        self.requests.append(f"{method} {path}")
        if f"{method} {path}" in self.overrides:
            return self.overrides[f"{method} {path}"]
        routes: list[tuple[str, Callable[..., Answer]]] = [
            (r"GET /schemas/ids/(\d+)", self.get_schema),
            (r"GET /schemas/guids/([0-9a-f-]{36})", self.get_guid),
            (r"GET /config/([\w.]+)", self.get_level),
            (r"PUT /config/([\w.]+)", self.put_level),
            (r"POST /subjects/([\w.]+)/versions", self.register),
            (r"POST /subjects/([\w.]+)", self.find),
        ]
        for pattern, route in routes:
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return route(match[1], sent)
        return fault(404, "HTTP 404 Not Found")

    def get_schema(self, schema_id: str, _: Any) -> Answer:
        text = self.schemas.get(int(schema_id))
        return (200, {"schema": text}) if text else fault(40403, f"Schema {schema_id} not found")

    def get_guid(self, guid: str, _: Any) -> Answer:
        return (200, {"schema": self.schemas[1]}) if guid == str(GUID) else fault(40403, "Schema not found")

    def get_level(self, subject: str, _: Any) -> Answer:
        level = self.levels.get(subject)
        return (
            (200, {"compatibilityLevel": level}) if level else fault(40408, "no subject-level configuration")
        )

    def put_level(self, subject: str, sent: Any) -> Answer:
        assert sent.keys() == {"compatibility"}
        self.levels[subject] = sent["compatibility"]
        return 200, sent

    def register(self, subject: str, sent: Any) -> Answer:
        schema = json.loads(sent["schema"])
        assert sent["schemaType"] == "AVRO"
        if schema.get("type") != "record":
            return fault(42201, "Invalid Avro schema")
        for earlier in self.subjects.get(subject, []):
            if self.levels.get(subject) and full_incompatibilities(json.loads(self.schemas[earlier]), schema):
                return fault(409, "Schema being registered is incompatible")
        schema_id = 1000 + len(self.schemas)
        self.schemas[schema_id] = sent["schema"]
        self.subjects.setdefault(subject, []).append(schema_id)
        return 200, {"id": schema_id}

    def find(self, subject: str, sent: Any) -> Answer:
        if subject not in self.subjects:
            return fault(40401, f"Subject '{subject}' not found.")
        for version, schema_id in enumerate(self.subjects[subject], 1):
            if json.loads(self.schemas[schema_id]) == json.loads(sent["schema"]):
                found = {"subject": subject, "id": schema_id, "version": version, "schema": sent["schema"]}
                return 200, found
        return fault(40403, "Schema not found")


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def url(stand_in: StandIn) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(length)) if length else None
            assert "application/vnd.schemaregistry.v1+json" in self.headers["Accept"]
            answer = stand_in.answer(self.command, self.path, sent)
            code, held = (
                (200, answer) if isinstance(answer, bytes) else (answer[0], json.dumps(answer[1]).encode())
            )
            self.send_response(code)
            self.send_header("Content-Length", str(len(held)))
            self.end_headers()
            self.wfile.write(held)

        do_GET = do_POST = do_PUT = do  # noqa: N815 names http.server asks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_record_is_registered_under_its_full_name_at_full_transitive(stand_in: StandIn, url: str) -> None:
    schema_id = ConfluentRegistry(url).id_of(TechnicalAlarm)
    assert stand_in.levels == {ALARM: "FULL_TRANSITIVE"}
    assert stand_in.subjects == {ALARM: [schema_id]}
    assert json.loads(stand_in.schemas[schema_id]) == raw_schema("TechnicalAlarm", 2)
    put, post = f"PUT /config/{ALARM}", f"POST /subjects/{ALARM}/versions"
    assert stand_in.requests.index(put) < stand_in.requests.index(post)


def test_the_three_records_of_one_topic_have_subjects_of_their_own(stand_in: StandIn, url: str) -> None:
    registry = ConfluentRegistry(url)
    assert len({registry.id_of(each) for each in (AlertRaised, TechnicalAlarm, CareAction)}) == 3
    assert len(stand_in.subjects) == 3


def test_registering_again_gives_the_same_id_and_writes_nothing(stand_in: StandIn, url: str) -> None:
    first = ConfluentRegistry(url).id_of(TechnicalAlarm)
    stand_in.requests.clear()
    assert ConfluentRegistry(url).id_of(TechnicalAlarm) == first
    assert stand_in.requests == [f"GET /config/{ALARM}", f"POST /subjects/{ALARM}"]


def test_answers_are_asked_for_once(stand_in: StandIn, url: str) -> None:
    registry = ConfluentRegistry(url)
    schema_id = registry.id_of(EcgRecorded)
    registry.schema_of(schema_id)
    stand_in.requests.clear()
    assert registry.id_of(EcgRecorded) == schema_id
    assert registry.schema_of(schema_id) == parse_schema(raw_schema("EcgRecorded", 2))
    assert stand_in.requests == []


def test_what_one_worker_encodes_another_decodes(url: str) -> None:
    alarm = TechnicalAlarm(
        alarm_id=str(GUID),
        kind="STAGE_BEHIND",  # type: ignore[arg-type]
        priority="LOW",  # type: ignore[arg-type]
        source="infer",
        started_at=AT,
        message="",
        action_text="",
    )
    payload = Codec(ConfluentRegistry(url)).encode(alarm)
    assert payload[:5] == b"\x00" + (1000).to_bytes(4, "big")
    assert Codec(ConfluentRegistry(url)).decode(payload, TechnicalAlarm).source == "infer"


def test_a_guid_is_asked_for_by_guid(stand_in: StandIn, url: str) -> None:
    stand_in.schemas[1] = json.dumps(raw_schema("CareAction", 1))
    assert ConfluentRegistry(url).schema_of(GUID)["name"] == "org.diastole.CareAction"
    assert stand_in.requests == [f"GET /schemas/guids/{GUID}"]
    with pytest.raises(UnknownSchemaError):
        ConfluentRegistry(url).schema_of(UUID(int=1))


def test_a_registry_that_knows_no_guids_makes_a_message_poison_and_stops_nothing(
    stand_in: StandIn, url: str
) -> None:
    stand_in.overrides[f"GET /schemas/guids/{GUID}"] = 404, {"message": "HTTP 404 Not Found"}
    with pytest.raises(UnknownSchemaError):
        ConfluentRegistry(url).schema_of(GUID)


def test_an_unknown_id_is_asked_for_once_a_minute(stand_in: StandIn, url: str) -> None:
    now_s = [0.0]
    registry = ConfluentRegistry(url, clock_s=lambda: now_s[0])
    for now_s[0] in (0.0, 1.0, 59.0):
        with pytest.raises(UnknownSchemaError, match="77"):
            registry.schema_of(77)
    assert stand_in.requests == ["GET /schemas/ids/77"]
    stand_in.schemas[77] = json.dumps(raw_schema("CareAction", 1))
    now_s[0] = 60.0
    assert registry.schema_of(77)["name"] == "org.diastole.CareAction"


def test_an_unknown_id_is_poison(url: str) -> None:
    with pytest.raises(UnknownSchemaError, match="77"):
        ConfluentRegistry(url).schema_of(77)


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_an_id_no_registry_gives_is_poison_without_asking(
    stand_in: StandIn, url: str, schema_id: int
) -> None:
    with pytest.raises(UnknownSchemaError):
        ConfluentRegistry(url).schema_of(schema_id)
    assert stand_in.requests == []


@pytest.mark.parametrize("text", ["{", '"string"', '{"type": "record"}', '{"type": "enum"}', "[]"])
def test_what_is_not_an_avro_record_is_poison(stand_in: StandIn, url: str, text: str) -> None:
    stand_in.schemas[5] = text
    with pytest.raises(UnknownSchemaError):
        ConfluentRegistry(url).schema_of(5)


def test_an_incompatible_schema_there_is_the_operators_matter(stand_in: StandIn, url: str) -> None:
    other = raw_schema("TechnicalAlarm", 1)
    other["fields"][0]["name"] = "renamed"
    stand_in.levels[ALARM] = "BACKWARD"
    stand_in.schemas[1] = json.dumps(other)
    stand_in.subjects[ALARM] = [1]
    with pytest.raises(ConfigurationError, match="Incompatible schema"):
        ConfluentRegistry(url).id_of(TechnicalAlarm)
    assert stand_in.levels[ALARM] == "FULL_TRANSITIVE"


@pytest.mark.parametrize("code", [401, 403, 42201])
def test_a_refusal_is_the_operators_matter(stand_in: StandIn, url: str, code: int) -> None:
    stand_in.overrides[f"POST /subjects/{ALARM}/versions"] = fault(code, "no")
    with pytest.raises(ConfigurationError):
        ConfluentRegistry(url).id_of(TechnicalAlarm)


@pytest.mark.parametrize(
    "answer", [fault(50001, "store"), fault(503, "later"), fault(429, "slow"), b"<html>"]
)
def test_a_registry_that_cannot_now_is_retried(stand_in: StandIn, url: str, answer: Answer | bytes) -> None:
    stand_in.overrides[f"POST /subjects/{ALARM}"] = answer
    stand_in.overrides["GET /schemas/ids/5"] = answer
    with pytest.raises(RetriableError):
        ConfluentRegistry(url).id_of(TechnicalAlarm)
    with pytest.raises(RetriableError):
        ConfluentRegistry(url).schema_of(5)


def test_a_failure_is_not_remembered(stand_in: StandIn, url: str) -> None:
    registry = ConfluentRegistry(url)
    stand_in.overrides[f"POST /subjects/{ALARM}"] = fault(503, "later")
    with pytest.raises(RetriableError):
        registry.id_of(TechnicalAlarm)
    stand_in.overrides.clear()
    assert registry.id_of(TechnicalAlarm) == 1000


def test_a_wrong_address_does_not_turn_messages_into_poison(stand_in: StandIn, url: str) -> None:
    with pytest.raises(ConfigurationError):
        ConfluentRegistry(f"{url}/elsewhere").schema_of(5)
    with pytest.raises(ConfigurationError):
        ConfluentRegistry("registry:8081")


def test_an_unreachable_registry_is_retried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        registry = ConfluentRegistry(f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_s=1)
        with pytest.raises(RetriableError, match="does not answer"):
            registry.id_of(TechnicalAlarm)
