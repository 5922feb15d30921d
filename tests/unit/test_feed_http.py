import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from feed_storm import dicom_document
from structlog.testing import capture_logs

from schemas.errors import ConfigurationError
from schemas.recorded import Urgency
from streams.feeds.admission import Admission, Delivery, Ending
from streams.feeds.gateway import FeedBusyError
from streams.feeds.http import bodies, serving
from streams.feeds.http.app import build_app
from streams.feeds.http.serving import Address, Certificate, require_guarded, serve_http
from streams.feeds.http.tokens import Role, Tokens, load_tokens, new_token
from streams.feeds.refusal import RefusalReason
from streams.health import Health

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ECG_ID = "0b086944-3ca3-5bfc-9426-3ba6c98e6fbb"
QUARANTINE_ID = "a81703f6-05b3-5ae6-ab30-6b32a38d7a69"
MAX_BYTES = 2**20
DEADLINE_S = 10.0
MULTIPART = "multipart/form-data; boundary=x"
DISPOSITION = b"Content-Disposition: form-data; "

ACCEPTED = Admission(ending=Ending.ACCEPTED, ecg_id=ECG_ID, message="accepted", notes=("a note",))
REPEATED = Admission(ending=Ending.REPEATED, ecg_id=ECG_ID, message="was there")
REFUSED = Admission(
    ending=Ending.QUARANTINED,
    quarantine_id=QUARANTINE_ID,
    reason=RefusalReason.NO_PATIENT,
    message="names no patient",
)


class FakeGateway:
    """Answers as it is told, and remembers what it was given."""

    def __init__(self, answer: Admission | Exception = ACCEPTED) -> None:
        self.answer = answer
        self.deliveries: list[Delivery] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def admit(self, delivery: Delivery) -> Admission:
        self.deliveries.append(delivery)
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def client_of(gateway: FakeGateway, tokens: Tokens | None = None) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(gateway, tokens=tokens, max_bytes=MAX_BYTES, zone=UTC, now=lambda: NOW)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (ACCEPTED, 201, {"ecg_id": ECG_ID, "ending": "ACCEPTED", "notes": ["a note"]}),
        (REPEATED, 200, {"ecg_id": ECG_ID, "ending": "REPEATED"}),
        (REFUSED, 422, {"quarantine_id": QUARANTINE_ID, "code": "NO_PATIENT", "detail": "names no patient"}),
        (FeedBusyError("send it again"), 503, {"code": "FEED_BUSY", "detail": "send it again"}),
        (ConfigurationError("register the schema"), 503, {"code": "CONFIGURATION"}),
    ],
)
async def test_each_ending_has_its_status(
    answer: Admission | Exception, status: int, told: dict[str, object]
) -> None:
    async with client_of(FakeGateway(answer)) as client:
        got = await client.post("/v1/ecgs", content=b"an ECG")
    assert got.status_code == status
    assert told.items() <= got.json().items()
    is_problem = got.headers["content-type"] == "application/problem+json"
    assert is_problem is (status >= 400)
    assert ("retry-after" in got.headers) is (status == 503)


async def test_a_body_of_any_type_is_delivered_as_it_came() -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        await client.post("/v1/ecgs", content=b"\0\1\2", headers={"Content-Type": "application/dicom"})
        await client.post("/v1/ecgs", json={"any": "thing"})
        await client.post("/v1/ecgs", content=b"<a/>", headers={"Content-Type": "made/up"})
    dicom, as_json, xml = gateway.deliveries
    assert (dicom.document.content, dicom.document.suffix) == (b"\0\1\2", ".dcm")
    assert json.loads(as_json.document.content) == {"any": "thing"}
    assert xml.document.content == b"<a/>"
    assert dicom.received_at == NOW
    assert (dicom.origin.feed, dicom.origin.source) == ("http", "loopback")


async def test_several_files_are_one_document_with_its_companions() -> None:
    gateway = FakeGateway()
    files = [
        ("file", ("records/a.dat", b"\r\n--signals--\r\n")),
        ("file", ("a.hea", b"a 12 500 5000")),
        ("file", ("a.xyz", b"")),
    ]
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", files=files, data={"site": "north", "patient_id": "p1"})
    assert told.status_code == 201
    (delivery,) = gateway.deliveries
    assert (delivery.document.name, delivery.document.content) == ("a.hea", b"a 12 500 5000")
    assert delivery.document.companions == {"a.dat": b"\r\n--signals--\r\n", "a.xyz": b""}
    assert (delivery.options.site_id, delivery.options.expected_patient_id) == ("north", "p1")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        (MULTIPART, b"nothing"),
        (MULTIPART, b"--x\r\n" + DISPOSITION + b'name="f"; filename="a"\r\n\r\nhalf'),
        (MULTIPART, b"--x\r\n" + DISPOSITION + b'name="site"\r\n\r\nn\r\n--x--\r\n'),
        (MULTIPART, (b"--x\r\n" + DISPOSITION + b'name="f"; filename="a"\r\n\r\nn\r\n') * 2 + b"--x--\r\n"),
        (MULTIPART, (b"--x\r\n" + DISPOSITION + b'name="site"\r\n\r\nn\r\n') * 2 + b"--x--\r\n"),
    ],
)
async def test_a_multipart_body_that_is_none_is_not_delivered(content_type: str, body: bytes) -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=body, headers={"Content-Type": content_type})
    assert (told.status_code, told.json()["code"]) == (400, "BAD_BODY")
    assert gateway.deliveries == []


@pytest.mark.parametrize("way", ["query", "headers"])
async def test_what_is_said_beside_the_ecg_arrives(way: str) -> None:
    said = {
        "patient_id": "p1",
        "site": "north",
        "ward": "W3",
        "timezone": "Europe/Rome",
        "acquired_at": "2026-01-31T08:15:00",
        "urgency": "stat",
    }
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        if way == "query":
            await client.post("/v1/ecgs", content=b"x", params=said)
        else:
            named = {f"X-Diastole-{name.replace('_', '-')}": text for name, text in said.items()}
            await client.post("/v1/ecgs", content=b"x", headers=named)
    options = gateway.deliveries[0].options
    assert (options.expected_patient_id, options.site_id, options.ward_id) == ("p1", "north", "W3")
    assert options.urgency is Urgency.STAT
    assert str(options.timezone) == "Europe/Rome"
    assert options.acquired_at is not None
    assert options.acquired_at.isoformat() == "2026-01-31T08:15:00+01:00"
    assert gateway.deliveries[0].origin.site_id == "north"


@pytest.mark.parametrize(
    "said", [{"timezone": "Mars/North"}, {"timezone": "../x"}, {"acquired_at": "today"}, {"urgency": "much"}]
)
async def test_what_cannot_be_understood_is_said_without_repeating_it(said: dict[str, str]) -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=b"x", params=said)
    assert told.status_code == 400
    assert not any(text in told.text for text in said.values())
    assert gateway.deliveries == []


async def test_a_patient_that_is_said_twice_and_differently_is_nobody() -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        for query, header, form in (("a", "b", "a"), ("a", "", "b"), ("", "a", "b")):
            told = await client.post(
                "/v1/ecgs",
                files={"file": ("x.dcm", b"x")},
                data={"patient_id": form},
                params={"patient_id": query},
                headers={"X-Diastole-Patient-Id": header},
            )
            assert (told.status_code, told.json()["code"]) == (400, "CONTRADICTION")
        told = await client.post("/v1/ecgs?patient_id=a&patient_id=b", content=b"x")
        assert (told.status_code, told.json()["code"]) == (400, "CONTRADICTION")
        assert gateway.deliveries == []
        said = {"X-Diastole-Patient-Id": "a "}
        assert (await client.post("/v1/ecgs?patient_id=a", content=b"x", headers=said)).status_code == 201
    assert gateway.deliveries[0].options.expected_patient_id == "a"


@pytest.mark.parametrize("is_announced", [True, False])
async def test_more_than_a_delivery_may_have_is_not_read_on(is_announced: bool) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield bytes(2**16)

    headers = {"Content-Length": str(100 * 2**16)} if is_announced else {}
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=pieces(), headers=headers)
    assert (told.status_code, told.headers["connection"]) == (413, "close")
    assert sent <= MAX_BYTES // 2**16 + 1
    assert gateway.deliveries == []


async def test_what_all_senders_hold_together_is_bounded() -> None:
    room = bodies.BodyRoom(2**16, max_buffered_bytes=2**17)
    gateway = FakeGateway()
    gateway.may_answer.clear()
    app = build_app(gateway, tokens=None, max_bytes=2**16, zone=UTC, room=room)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        held = [asyncio.create_task(client.post("/v1/ecgs", content=bytes(2**16))) for _ in range(2)]
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if len(gateway.deliveries) == 2:
                    break
                await asyncio.sleep(0)
        told = await client.post("/v1/ecgs", content=bytes(2**16))
        assert (told.status_code, told.json()["code"]) == (503, "FEED_BUSY")
        gateway.may_answer.set()
        assert [(await task).status_code for task in held] == [201, 201]
        assert (await client.post("/v1/ecgs", content=bytes(2**16))).status_code == 201


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "tokens.toml"


def replace_with(file: Path, text: str) -> None:
    file.write_text(text)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_a_token_is_asked_for_and_names_the_source(token_file: Path) -> None:
    secret = new_token(token_file, "cart-export", [Role.FEED])
    operator = new_token(token_file, "desk", [Role.OPERATOR])
    gateway = FakeGateway()
    async with client_of(gateway, Tokens(token_file)) as client:
        told = await client.post("/v1/ecgs", content=b"x")
        assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
        for wrong in (secret[:-1], "", secret.upper(), "é"):
            headers = {"Authorization": f"Bearer {wrong}".encode()}
            assert (await client.post("/v1/ecgs", content=b"x", headers=headers)).status_code == 401
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(operator))).status_code == 403
        assert gateway.deliveries == []
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(secret))).status_code == 201
    assert gateway.deliveries[0].origin.source == "cart-export"


async def test_a_token_delivers_for_its_sites_alone(token_file: Path) -> None:
    one = new_token(token_file, "one", [Role.FEED], ["north"])
    two = new_token(token_file, "two", [Role.FEED], ["north", "St. Mary's"])
    gateway = FakeGateway()
    async with client_of(gateway, Tokens(token_file)) as client:

        async def status(secret: str, site: str) -> int:
            told = await client.post("/v1/ecgs", content=b"x", headers=bearer(secret), params={"site": site})
            return told.status_code

        assert [await status(one, site) for site in ("", "north", "south")] == [201, 201, 403]
        assert [await status(two, site) for site in ("", "north", "St. Mary's", "south")] == [
            400,
            201,
            201,
            403,
        ]
    assert [d.origin.site_id for d in gateway.deliveries] == ["north", "north", "north", "St. Mary's"]


async def test_a_page_in_a_browser_cannot_use_the_loopback_feed() -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=b"x", headers={"Origin": "http://evil.example"})
    assert told.status_code == 403
    assert gateway.deliveries == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"X-Real-IP": "192.0.2.7"},
        {"Via": "1.1 proxy"},
        {"Host": "feed.example:8008"},
        {"Host": "192.0.2.7"},
        {"Host": ""},
    ],
)
async def test_without_tokens_nobody_reaches_the_feed_through_a_proxy_or_another_name(
    headers: dict[str, str], token_file: Path
) -> None:
    secret = new_token(token_file, "proxied", [Role.FEED])
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=b"x", headers=headers)
        assert (told.status_code, told.json()["code"]) == (403, "FORBIDDEN")
        assert "DIASTOLE_FEED_TOKENS" in told.json()["detail"]
    assert gateway.deliveries == []
    async with client_of(gateway, Tokens(token_file)) as client:
        told = await client.post("/v1/ecgs", content=b"x", headers=headers | bearer(secret))
        assert told.status_code == 201


@pytest.mark.parametrize("host", ["localhost:8008", "127.0.0.1", "127.0.0.1:8008", "[::1]:8008", "LOCALHOST"])
async def test_without_tokens_this_machine_is_asked_by_any_of_its_own_names(host: str) -> None:
    async with client_of(FakeGateway()) as client:
        assert (await client.post("/v1/ecgs", content=b"x", headers={"Host": host})).status_code == 201


@pytest.mark.parametrize("headers", [{}, {"Content-Type": MULTIPART}])
async def test_an_empty_body_is_no_delivery(headers: dict[str, str]) -> None:
    gateway = FakeGateway()
    async with client_of(gateway) as client:
        told = await client.post("/v1/ecgs", content=b"", headers=headers)
    assert (told.status_code, told.json()["code"]) == (400, "EMPTY")
    assert gateway.deliveries == []


@pytest.mark.parametrize(
    ("stalled", "held_up_by", "alive", "ready", "code"),
    [
        (False, None, 200, 200, None),
        (False, "BROKER_UNAVAILABLE", 200, 503, "BROKER_UNAVAILABLE"),
        (True, None, 503, 503, "STALLED"),
    ],
)
async def test_a_feed_says_whether_it_lives_and_takes_deliveries(
    stalled: bool, held_up_by: str | None, alive: int, ready: int, code: str | None
) -> None:
    def health() -> Health:
        return Health(
            stage="feed-http", assigned=True, held_up_by=held_up_by, in_flight=0, idle_s=0.0, stalled=stalled
        )

    app = build_app(FakeGateway(), tokens=None, max_bytes=MAX_BYTES, zone=UTC, health=health)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.get("/healthz")).status_code == alive
        told = await client.get("/readyz")
    assert (told.status_code, told.json().get("code")) == (ready, code)


async def test_an_error_of_ours_is_told_without_what_it_quotes(capfd: pytest.CaptureFixture[str]) -> None:
    gateway = FakeGateway(LookupError("patient 4711"))
    with capture_logs() as logged:
        async with (
            served(gateway, asyncio.Event()) as (host, port),
            httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
        ):
            told = await client.post("/v1/ecgs", content=b"x")
    assert (told.status_code, told.json()["code"]) == (500, "FAILED")
    (failed,) = [line for line in logged if line["event"] == "http_request_failed"]
    assert failed["error"] == "LookupError"
    assert failed["at"].startswith("test_feed_http.py:")
    assert "4711" not in "".join([told.text, str(logged), *capfd.readouterr()])


def test_the_file_keeps_no_token_and_is_its_owners(token_file: Path) -> None:
    secret = new_token(token_file, "cart", [Role.FEED, Role.OPERATOR], ["north"])
    assert secret not in token_file.read_text()
    assert token_file.stat().st_mode & 0o077 == 0
    (token,) = load_tokens(token_file)
    assert (token.name, token.roles, token.sites) == ("cart", frozenset(Role), ("north",))
    with pytest.raises(ConfigurationError, match="has a token cart"):
        new_token(token_file, "cart", [Role.FEED])


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\nb", "x" * 65])
def test_a_name_that_would_break_the_file_is_refused(token_file: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        new_token(token_file, name, [Role.FEED])
    assert not token_file.exists()


async def test_a_token_is_withdrawn_and_added_while_the_feed_runs(token_file: Path) -> None:
    old = new_token(token_file, "old", [Role.FEED])
    async with client_of(FakeGateway(), Tokens(token_file)) as client:
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(old))).status_code == 201
        replace_with(token_file, "")
        new = new_token(token_file, "newer", [Role.FEED])
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(old))).status_code == 401
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(new))).status_code == 201
        replace_with(token_file, "[[token]\n")
        assert (await client.post("/v1/ecgs", content=b"x", headers=bearer(new))).status_code == 201


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[token]\n", "no TOML"),
        ("token = 3\n", "tables"),
        ("[[token]]\n", "needs a name"),
        ('[[token]]\nname = "a"\nsha256 = "abc"\n', "sha256"),
        (f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\nroles = ["king"]\n', "roles"),
        (f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\nsites = [3]\n', "sites"),
        (f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\nsight = "x"\n', "unknown keys: sight"),
        (f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\n' * 2, "two tokens of one name"),
    ],
)
def test_a_wrong_file_of_tokens_is_the_operators_matter(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_tokens(file)
    with pytest.raises(ConfigurationError, match="diastole token new"):
        load_tokens(tmp_path / "nothing.toml")


def test_without_tokens_only_this_machine_is_listened_to() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        require_guarded(host, has_tokens=False)
    for host in ("0.0.0.0", "::", "192.0.2.7", "feed.example"):  # noqa: S104  # refused
        with pytest.raises(ConfigurationError, match="diastole token new"):
            require_guarded(host, has_tokens=False)
        require_guarded(host, has_tokens=True)


async def test_what_there_is_is_described_without_pages_from_elsewhere() -> None:
    async with client_of(FakeGateway()) as client:
        described = (await client.get("/openapi.json")).json()
        assert (await client.get("/docs")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    deliver = described["paths"]["/v1/ecgs"]["post"]
    assert {"201", "200", "422", "401", "413", "503"} <= deliver["responses"].keys()
    assert {"patient_id", "site", "timezone"} <= {named["name"] for named in deliver["parameters"]}
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@asynccontextmanager
async def served(
    gateway: FakeGateway,
    stop: asyncio.Event,
    patience_s: float = DEADLINE_S,
    certificate: Certificate | None = None,
    drain_budget_s: float = DEADLINE_S,
) -> AsyncIterator[tuple[str, int]]:
    room = bodies.BodyRoom(MAX_BYTES, chunk_s=patience_s)
    app = build_app(gateway, tokens=None, max_bytes=MAX_BYTES, zone=UTC, room=room)
    listening = serving.listen(Address(host="127.0.0.1", port=0))
    host, port = listening.getsockname()[:2]
    serving_it = serve_http(app, listening, stop, drain_budget_s, certificate, head_s=patience_s)
    running = asyncio.create_task(serving_it)
    try:
        yield host, port
    finally:
        stop.set()
        await asyncio.wait_for(running, DEADLINE_S)


async def test_a_stop_lets_what_is_under_way_end_and_takes_nothing_new() -> None:
    gateway, stop = FakeGateway(), asyncio.Event()
    gateway.may_answer.clear()
    async with (
        served(gateway, stop) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        under_way = asyncio.create_task(client.post("/v1/ecgs", content=dicom_document(0, run=0)))
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if gateway.deliveries:
                    break
                await asyncio.sleep(0.01)
            stop.set()
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except ConnectionRefusedError:
                    break
                writer.close()
                await asyncio.sleep(0.01)
        gateway.may_answer.set()
        assert (await under_way).status_code == 201


async def test_who_waits_when_the_feed_ends_is_told_to_send_it_again() -> None:
    gateway, stop = FakeGateway(), asyncio.Event()
    gateway.may_answer.clear()
    with capture_logs() as logged:
        async with (
            served(gateway, stop, drain_budget_s=1.0) as (host, port),
            httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=DEADLINE_S) as client,
        ):
            under_way = asyncio.create_task(client.post("/v1/ecgs", content=b"x"))
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    if gateway.deliveries:
                        break
                    await asyncio.sleep(0.01)
            stop.set()
            told = await under_way
    assert (told.status_code, told.json()["code"]) == (503, "ENDING")
    assert "retry-after" in told.headers
    assert "http_request_failed" not in {line["event"] for line in logged}


async def test_a_sender_that_dawdles_is_sent_away() -> None:
    async with served(FakeGateway(), asyncio.Event(), patience_s=0.1) as (host, port):
        for begun in (b"", b"POST /v1/ecgs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(begun)
            assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
            writer.close()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /v1/ecgs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
        assert b" 408 " in (await asyncio.wait_for(reader.read(), DEADLINE_S)).splitlines()[0]
        writer.close()


def certificate_in(folder: Path) -> Certificate:
    """A certificate for this machine that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    files = Certificate(chain=folder / "chain.pem", key=folder / "key.pem")
    files.chain.write_bytes(signed.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def test_with_a_certificate_it_speaks_https_alone(tmp_path: Path) -> None:
    certificate, gateway = certificate_in(tmp_path), FakeGateway()
    trusting = ssl.create_default_context(cafile=certificate.chain)
    async with served(gateway, asyncio.Event(), certificate=certificate) as (host, port):
        async with httpx.AsyncClient(base_url=f"https://{host}:{port}", verify=trusting) as client:
            told = await client.post("/v1/ecgs", content=b"x")
            assert told.status_code == 201
        assert [delivery.document.content for delivery in gateway.deliveries] == [b"x"]
        async with httpx.AsyncClient(base_url=f"https://{host}:{port}") as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.post("/v1/ecgs", content=b"x")
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            with pytest.raises(httpx.TransportError):
                await client.post("/v1/ecgs", content=b"x")
    assert len(gateway.deliveries) == 1


async def test_a_sender_that_dawdles_over_tls_is_sent_away(tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path)
    async with served(FakeGateway(), asyncio.Event(), 0.1, certificate) as (host, port):
        trusting = ssl.create_default_context(cafile=certificate.chain)
        reader, writer = await asyncio.open_connection(host, port, ssl=trusting)
        assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        writer.close()


async def test_a_certificate_that_is_none_is_the_operators_matter(tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path)
    certificate.key.write_text("no key")
    with pytest.raises(ConfigurationError, match="PEM"):
        async with served(FakeGateway(), asyncio.Event(), certificate=certificate):
            pass


async def test_a_port_that_is_taken_is_the_operators_matter() -> None:
    first = serving.listen(Address(host="127.0.0.1", port=0))
    try:
        with pytest.raises(ConfigurationError, match="--port"):
            serving.listen(Address(host="127.0.0.1", port=first.getsockname()[1]))
    finally:
        first.close()
