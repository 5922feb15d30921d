"""Known identifiers through everything: none is in a log, metric, header, error text, file name or title."""

import asyncio
import base64
import hashlib
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import redis
from aiokafka import AIOKafkaProducer
from deliver_process import write_routes
from dicom_sender import association, send
from planted import ACCESSION, NAME, PATIENT_IDS, leaks
from planted_deliveries import (
    CODEC,
    alert,
    broken_records,
    hl7_messages,
    http_bodies,
    of_dicom,
    of_muse,
    recorded,
    risks,
)
from receivers import HttpReceiver, Reply, Request, receiving
from tiny_bundle import tiny_bundle_folder
from whole_site import (
    Program,
    Said,
    file_names,
    headers,
    kill_and_await,
    logs,
    running,
    site_programs,
    titles,
    told_by_health,
)
from writers.hl7_v2 import fields

from ops.services import RunningBroker
from ops.services.ports import LOOPBACK
from ops.services.process import Server
from ops.services.waiting import becomes_true
from ops.topics import apply_topics
from streams.api import tokens as care
from streams.feeds.http import tokens as feed
from streams.feeds.mllp.framing import Frames, frame
from streams.stage import utc_now
from streams.topology import ECG_ALERT, ECG_QUARANTINE, ECG_RECORDED, ECG_RISK, LINK_ROUTE, ROUTES

WITHIN_S = 60.0
READ_BY_STAGES = {route.consumes for route in (*ROUTES.values(), LINK_ROUTE)}
#: Of the records that test data breaks, how many each dead-letter topic is to get.
DEAD = Counter(f"{topic}.dlq" for topic, _ in broken_records() if topic in READ_BY_STAGES)
GONE = "00000000-0000-0000-0000-00000000dead"


#: In a page, the address it was asked at: where its forms lead back to.
_WHERE_FROM = re.compile(rb'<input type="hidden" name="then" value="[^"]*">')

#: In names of Redis, a patient's digest: it stands for the identifier there, see `patient_digest`.
_DIGEST = re.compile(rb"\{[0-9a-f]{32}\}")


class Answers:
    """Answers to programs that ask, and what those say that refuse."""

    def __init__(self, base_url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self.refusals: list[Said] = []

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, expected: int | None = None, **more: Any) -> httpx.Response:
        answer = self._client.request(method, path, **more)
        if expected is not None:
            assert answer.status_code == expected, (path, answer.text)
        told = _WHERE_FROM.sub(b"", answer.content) + str(answer.headers).encode()
        # What was asked for may be answered; what was refused or was only taken in may not be repeated.
        if answer.status_code >= 400 or path == "/v1/ecgs":
            self.refusals.append((f"{method} {path.split('?')[0]}: {answer.status_code}", told))
        return answer


def echoing(request: Request) -> Reply:
    """A receiver that refuses a first notice and repeats in its answer whatever it knows of the patient."""
    if request.headers["idempotency-key"].endswith(":ward:0"):
        return Reply(status=500, headers={"X-Patient": PATIENT_IDS[0]}, body=f"{NAME} {PATIENT_IDS}".encode())
    return Reply()


def send_hl7(port: int) -> list[Said]:
    """Send every message over one connection; a refusal may name no patient."""
    said = []
    with socket.create_connection((LOOPBACK, port), timeout=WITHIN_S) as connection:
        frames = Frames(2**16)
        for number, (content, expected) in enumerate(hl7_messages()):
            connection.sendall(frame(content))
            answers: list[Any] = []
            while not answers:
                chunk = connection.recv(2**16)
                assert chunk, f"message {number} got no answer"
                answers = list(frames.feed(chunk))
            [msa] = fields(answers[0].content, "MSA")
            assert msa[1] == expected, (number, answers[0].content)
            said.append((f"answer to HL7 message {number}", answers[0].content))
    return said


def send_dicom(port: int) -> list[Said]:
    """Store a good object and one without a time; a status may name no patient."""
    with association(port) as made:
        good = send(made, of_dicom(40, PATIENT_IDS[1]))
        bad = send(made, of_dicom(41, PATIENT_IDS[2], AcquisitionDateTime="", PatientID=""))
    assert (good.Status, bad.Status >> 8) == (0, 0xC1)
    return [("DICOM status", str(each).encode()) for each in (good, bad)]


def put_files(folder: Path) -> None:
    """Put files that are named for their patients into the folder of a feed."""
    for name, content in {
        "Zqx7veld_Zqx7veldine_19410307.dcm": of_dicom(50, PATIENT_IDS[0]),
        "ZQX7VELD-1.xml": of_muse(PATIENT_IDS[0], is_whole=False),
        "zqx7veld/ZQX7VELD 1.dcm": b"ZQX7VELD",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def ask_of_the_feed(answers: Answers, other: Answers) -> None:
    """Deliver, work on the quarantine, ask for what there is not, come with a wrong token."""
    quarantined = []
    for content, said, expected in http_bodies():
        given = {f"X-Diastole-{name.replace('_', '-')}": text for name, text in said.items()}
        encoded = {name: text.encode() for name, text in given.items()}
        answer = answers.ask("POST", "/v1/ecgs", expected, content=content, headers=encoded)
        quarantined += [answer.json()["quarantine_id"]] if expected == 422 else []
    one, two = quarantined[:2]
    place = "/v1/quarantine"
    spoken = {"reason": f"{NAME} said so", "patient_id": PATIENT_IDS[0]}
    answers.ask("GET", f"{place}/{one}", 200)
    answers.ask("GET", f"{place}/{one}/content", 200)
    answers.ask("POST", f"{place}/{one}/correct", 200, json=spoken)
    answers.ask("POST", f"{place}/{one}/replay", 422)
    answers.ask("POST", f"{place}/{two}/discard", 200, json={"reason": NAME})
    answers.ask("POST", f"{place}/{two}/replay", 409)
    answers.ask("POST", f"{place}/{one}/correct", 422, json={**spoken, "acquired_at": NAME})
    answers.ask("POST", f"{place}/{one}/correct", 422, json={**spoken, PATIENT_IDS[0]: 1})
    answers.ask("POST", f"{place}/{one}/discard", 422, json=[PATIENT_IDS[0]])
    for patient_id in PATIENT_IDS:
        named = quote(patient_id, safe="")
        answers.ask("GET", f"{place}/{named}")
        answers.ask(
            "GET", place, 422, params={patient_id: patient_id, "state": patient_id, "since": patient_id}
        )
        answers.ask("POST", f"/v1/ecgs/{named}", 404, content=b"x")
        other.ask("POST", "/v1/ecgs", 401, params={"patient_id": patient_id}, content=b"x")


def ask_of_the_api(answers: Answers, other: Answers, raised: Callable[[], list[Any]]) -> None:
    """Answer alerts, keep patients quiet, ask for what there is not, come with a wrong token."""
    first, second = (f"/v1/alerts/{each['alert_id']}" for each in raised()[:2])
    answers.ask("POST", f"{first}/acknowledge", 200, json={"text": f"seen {NAME}"})
    answers.ask(
        "POST", f"{first}/reject", 200, json={"code": "known-condition", "text": f"{NAME} {PATIENT_IDS[0]}"}
    )
    answers.ask("POST", f"{second}/reject", 400, json={"code": NAME, PATIENT_IDS[1]: NAME})
    answers.ask("POST", f"{second}/mute", 400, json={"until": PATIENT_IDS[0]})
    until = (utc_now() + timedelta(hours=1)).isoformat()
    for patient_id in PATIENT_IDS:
        named = quote(patient_id, safe="")
        mute = {"scope": "PATIENT", "subject": patient_id, "text": NAME}
        answers.ask("POST", "/v1/mutes", json={**mute, "until": until})
        answers.ask("POST", "/v1/mutes", json={**mute, "until": patient_id})
        answers.ask("DELETE", "/v1/mutes", params={"scope": patient_id, "subject": patient_id})
        answers.ask("GET", f"/v1/patients/{named}/history")
        for path in (
            f"/v1/patients/{named}/{named}",
            f"/v1/patients/{named}-nobody/latest",
            f"/patients/{named}-nobody",
            f"/v1/alerts/{named}",
            f"/v1/ecgs/{named}/strip.svg",
            f"/v1/wards/{named}/worklist",
            f"/{named}",
            f"/v1/alerts?{named}={named}&state={named}",
            f"/v1/patients/{named}/history?limit={named}&since={named}",
        ):
            answers.ask("GET", path)
            other.ask("GET", path)
        answers.ask("POST", f"/v1/alerts/{GONE}/acknowledge", 404, json={"text": patient_id})
        other.ask("POST", "/login", data={"token": patient_id, "next": f"/patients/{named}"})


async def write(bootstrap: str) -> None:
    """Write sound records of each patient and broken ones, in turns."""
    now = utc_now()
    broken = iter(broken_records())
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number, patient_id in enumerate(PATIENT_IDS):
            key = patient_id.encode()
            await producer.send(ECG_RECORDED, CODEC.encode(recorded(60 + number, patient_id)), key=key)
            for risk in risks(patient_id, now):
                await producer.send(ECG_RISK, CODEC.encode(risk), key=key)
            for topic, spoilt in [next(broken, None) or (ECG_RISK, None) for _ in range(4)]:
                if spoilt is not None:
                    await producer.send(topic, spoilt, key=key)
        await producer.send(ECG_ALERT, CODEC.encode(alert(PATIENT_IDS[1], now)), key=PATIENT_IDS[1].encode())
        await producer.flush()
    assert next(broken, None) is None


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    feeds, pages = tmp_path / "feeds.toml", tmp_path / "care.toml"
    roles = [feed.Role.FEED, feed.Role.OPERATOR]
    return {
        "feed": (feeds, feed.new_token(feeds, "cart-export", roles)),
        "care": (pages, care.new_token(pages, "ward-nurse", [care.Role.ADMIN], [])),
    }


async def test_no_identifier_is_in_anything_but_keys_and_values(
    own_apache_broker: RunningBroker, redis_url: str, tmp_path: Path, tokens: dict[str, tuple[Path, str]]
) -> None:
    bootstrap, share = own_apache_broker.bootstrap, tmp_path / "share"
    share.mkdir()
    await apply_topics(bootstrap, partitions=2)
    async with receiving(echoing) as receiver:
        routes = write_routes(tmp_path / "routes", receiver.port)
        programs = site_programs(
            tmp_path / "processes",
            {
                "broker": bootstrap,
                "redis_url": redis_url,
                "session_timeout_s": 6,
                "metrics_port": 0,
                "feed_readers": 1,
                "bundle": tiny_bundle_folder(tmp_path / "bundle"),
            },
            {
                "feed http": ["--tokens", str(tokens["feed"][0])],
                "feed mllp": ["--patient-id-type", "MR"],
                "feed dicom": [],
                "feed folder": [str(share), "--label", "carts", "--settle", "0"],
                "deliver": ["--routes", str(routes), "--inbox-url", "http://inbox.example"],
                "api": ["--tokens", str(tokens["care"][0])],
            },
        )
        said: list[Said] = []
        with running(programs, tmp_path / "processes") as servers:
            lived = asyncio.to_thread(live_through, servers, programs, tokens, share, bootstrap, redis_url)
            said += await lived
            found = await headers(bootstrap)
        said += [("notice", f"{r.path} {r.headers}".encode()) for r in receiver.requests]
    said += logs(tmp_path / "processes", programs)
    said += [(f"{topic} header", f"{name}: ".encode() + text) for topic, name, text in found]
    said += file_names(tmp_path / "processes" / "home")
    assert_enough_was_seen(said, found, receiver)
    assert leaks(said) == []


def live_through(
    servers: dict[str, Server],
    programs: list[Program],
    tokens: dict[str, tuple[Path, str]],
    share: Path,
    bootstrap: str,
    redis_url: str,
) -> list[Said]:
    """Send everything, lose a worker, wait until all has ended somewhere; return what was said meanwhile."""
    feed_url, api_url = (f"http://{LOOPBACK}:{servers[name].port}" for name in ("feed-http", "api"))
    to_feed, wrong_feed = Answers(feed_url, tokens["feed"][1]), Answers(feed_url, PATIENT_IDS[0])
    to_api, wrong_api = Answers(api_url, tokens["care"][1]), Answers(api_url, PATIENT_IDS[0])
    put_files(share)
    asyncio.run(write(bootstrap))
    kill_and_await(servers["worker"], "alert")
    said = send_hl7(servers["feed-mllp"].port) + send_dicom(servers["feed-dicom"].port)
    ask_of_the_feed(to_feed, wrong_feed)

    def raised() -> list[Any]:
        listed: list[Any] = to_api.ask("GET", "/v1/alerts", 200).json()["alerts"]
        return listed

    # One alert of each patient's risk that rose, one that was written as it is.
    assert becomes_true(lambda: len(raised()) > len(PATIENT_IDS), WITHIN_S), raised()
    ask_of_the_api(to_api, wrong_api, raised)
    assert becomes_true(lambda: not any(share.glob("*.*")), WITHIN_S)

    def dead() -> Counter[str]:
        return Counter(
            topic for topic, name, _ in asyncio.run(headers(bootstrap)) if name == "dlq_error_code"
        )

    assert becomes_true(lambda: all(dead()[topic] >= n for topic, n in DEAD.items() if dead()), WITHIN_S), (
        dead()
    )
    for answers in (to_feed, wrong_feed, to_api, wrong_api):
        said += answers.refusals
        answers.close()
    with redis.Redis.from_url(redis_url) as client:
        said += [("Redis key", _DIGEST.sub(b"", key)) for key in client.scan_iter()]
    return [*said, *told_by_health(programs), *titles(servers)]


def assert_enough_was_seen(
    said: list[Said], found: list[tuple[str, str, bytes]], receiver: HttpReceiver
) -> None:
    """Hold the test to having looked: at logs, metrics, dead letters and acts that are there."""
    told = b"\n".join(text for _, text in said)
    for expected in (
        *(b'"event": "dead_letter"', b'"event": "stage_ended"', b'"event": "patients_linked"'),
        *(b"delivery ", b"not_delivered ", b"unreadable_record", b"link_unreadable"),
        *(b"diastole_dead_letters_total", b"diastole_feed", b"idempotency-key", b"ops.cli", b"h:"),
        *(b'"code":"UNAUTHORIZED"', b'"code":"NOT_FOUND"', b'"code":"BAD_REQUEST"', b'"quarantine_id"'),
    ):
        assert expected in told, expected
    lettered = {topic for topic, name, _ in found if name == "dlq_error_message"}
    assert lettered >= DEAD.keys()
    assert {topic for topic, name, _ in found if name == "ce_id"} >= {ECG_RECORDED, ECG_ALERT, ECG_QUARANTINE}
    assert receiver.requests


def test_the_search_finds_an_identifier_however_it_is_written() -> None:
    def said(text: bytes) -> Iterator[Said]:
        yield "a log", b'{"event": "delivery", "said": "' + text + b'"}'

    for patient_id in (*PATIENT_IDS, NAME, ACCESSION, "zqx7veld.dcm"):
        content = patient_id.encode()
        for n_before in range(3):
            assert leaks(said(base64.b64encode(b"x" * n_before + content)))
        for written in (
            content,
            content.hex().encode(),
            quote(patient_id).encode(),
            json.dumps(patient_id).encode(),
        ):
            assert leaks(said(written)), written
    assert leaks(said(hashlib.sha256(PATIENT_IDS[3].encode()).hexdigest().encode()))
    assert leaks(said(b"quite harmless")) == []
