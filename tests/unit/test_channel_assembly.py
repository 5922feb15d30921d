"""Channels opened from routes: what is wrong is said at once, and each is bounded, counted and logged."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from notices import PATIENT, notice_of
from receivers import Reply, receiving

from schemas.errors import ConfigurationError
from streams.deliver.channels.assembly import open_channels
from streams.deliver.channels.channel import (
    Channel,
    ChannelRefusedError,
    ChannelRetryError,
    RetractingChannel,
)
from streams.deliver.channels.guarded import ChannelMetrics
from streams.deliver.routing import ChannelKind, ChannelSettings, Routes


def settings_of(kind: ChannelKind, target: str = "", **changes: object) -> ChannelSettings:
    fields: dict[str, object] = {"name": "it", "kind": kind, "target": target, **changes}
    return ChannelSettings(**fields)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(
    base: Path, settings: ChannelSettings, metrics: ChannelMetrics | None = None
) -> AsyncIterator[Channel]:
    routes = Routes(version="r1", routes=(), channels={"it": settings})
    async with open_channels(routes, base, metrics) as channels:
        yield channels["it"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "short").write_text("short")
    (tmp_path / "empty").write_text("# nothing yet\n")
    (tmp_path / "urls").write_text("json://127.0.0.1/x")
    (tmp_path / "hook-url").write_text("https://user:hunter2@receiver.example/hook")
    return tmp_path


KEY = Path("key")

USABLE = [
    settings_of(ChannelKind.WEBHOOK, "https://receiver.example/hook", secret_file=KEY),
    settings_of(ChannelKind.WEBHOOK, "http://127.0.0.1:9/hook", secret_file=KEY),
    settings_of(ChannelKind.WEBHOOK, "http://receiver:9/", secret_file=KEY, options={"plain_http": "true"}),
    settings_of(ChannelKind.WEBHOOK, target_file=Path("hook-url"), secret_file=KEY),
    settings_of(ChannelKind.APPRISE, target_file=Path("urls")),
    settings_of(ChannelKind.FHIR, "https://ehr.example/fhir", options={"patient_system": "urn:oid:1.2"}),
    settings_of(ChannelKind.HL7, "[::1]:2575", options={"tls": "true", "patient_authority": "H"}),
]

UNUSABLE = [
    (settings_of(ChannelKind.WEBHOOK, "https://receiver.example/"), "needs secret_file"),
    (settings_of(ChannelKind.WEBHOOK, "https://r.example/", secret_file=Path("short")), "shorter than 16"),
    (settings_of(ChannelKind.WEBHOOK, "https://r.example/", secret_file=Path("empty")), "is empty"),
    (settings_of(ChannelKind.WEBHOOK, "https://r.example/", secret_file=Path("none")), "cannot be read"),
    (settings_of(ChannelKind.WEBHOOK, "http://receiver.example/", secret_file=KEY), "in the clear"),
    (settings_of(ChannelKind.WEBHOOK, "ftp://receiver.example/", secret_file=KEY), "needs an https URL"),
    (settings_of(ChannelKind.WEBHOOK, "", secret_file=KEY), "needs an https URL"),
    (settings_of(ChannelKind.WEBHOOK, "https://[", secret_file=KEY), "needs an https URL"),
    (
        settings_of(ChannelKind.WEBHOOK, "https://r.example/", secret_file=KEY, options={"ca_file": "key"}),
        "ca_file holds no certificates",
    ),
    (
        settings_of(
            ChannelKind.WEBHOOK, "https://r.example/", secret_file=KEY, options={"with_patient": "perhaps"}
        ),
        'must be "true" or "false"',
    ),
    (settings_of(ChannelKind.APPRISE), "needs target_file"),
    (settings_of(ChannelKind.APPRISE, target_file=Path("key")), "URL 1 of channel it"),
    (settings_of(ChannelKind.FHIR, "https://ehr.example/", options={"patient": "x"}), "unknown options"),
    (settings_of(ChannelKind.HL7, "listener"), "host:port"),
    (settings_of(ChannelKind.HL7, "listener:99999"), "host:port"),
    (settings_of(ChannelKind.HL7, ":2575"), "host:port"),
]


@pytest.mark.parametrize("settings", USABLE)
async def test_what_the_routes_name_is_opened(base: Path, settings: ChannelSettings) -> None:
    async with opened(base, settings) as channel:
        assert channel.name == "it"
        # Mail cannot be taken back; all others can say that an alert is over.
        assert isinstance(channel, RetractingChannel) == (settings.kind is not ChannelKind.APPRISE)


@pytest.mark.parametrize(("settings", "message"), UNUSABLE)
async def test_what_cannot_work_is_said_at_once(base: Path, settings: ChannelSettings, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        async with opened(base, settings):
            pass


async def test_a_receiver_that_hangs_costs_its_time_and_no_more(base: Path) -> None:
    metrics = ChannelMetrics()
    async with receiving(lambda _: Reply()) as receiver:
        receiver.is_held = True
        settings = settings_of(ChannelKind.WEBHOOK, receiver.url, secret_file=KEY, timeout_s=0.2)
        async with opened(base, settings, metrics) as channel:
            with pytest.raises(ChannelRetryError):
                await channel.send(notice_of(), "k")
    assert counted(metrics, "CHANNEL_RETRY") == 1


def counted(metrics: ChannelMetrics, outcome: str) -> float | None:
    labels = {"channel": "it", "outcome": outcome}
    return metrics.registry.get_sample_value("diastole_notice_seconds_count", labels)


async def test_each_notice_is_counted_and_logged_without_the_patient(base: Path) -> None:
    metrics = ChannelMetrics()
    statuses = [200, 400, 503, 200]
    async with receiving(lambda _: Reply(status=statuses.pop(0))) as receiver:
        settings = settings_of(ChannelKind.WEBHOOK, receiver.url, secret_file=KEY)
        with structlog.testing.capture_logs() as lines:
            async with opened(base, settings, metrics) as channel:
                assert isinstance(channel, RetractingChannel)
                await channel.send(notice_of(level=1), "k")
                with pytest.raises(ChannelRefusedError):
                    await channel.send(notice_of(), "k")
                with pytest.raises(ChannelRetryError):
                    await channel.send(notice_of(), "k")
                await channel.retract(notice_of(is_over=True), "end")
    outcomes = ["TAKEN", "CHANNEL_REFUSED", "CHANNEL_RETRY", "TAKEN"]
    assert [(line["channel"], line["outcome"]) for line in lines] == [("it", each) for each in outcomes]
    assert [line["verb"] for line in lines] == ["send", "send", "send", "retract"]
    assert [line["step"] for line in lines] == [1, 0, 0, 0]
    assert PATIENT not in str(lines)
    assert counted(metrics, "TAKEN") == 2


async def test_a_cancelled_notice_is_counted_as_such(base: Path) -> None:
    metrics = ChannelMetrics()
    async with receiving(lambda _: Reply()) as receiver:
        receiver.is_held = True
        settings = settings_of(ChannelKind.WEBHOOK, receiver.url, secret_file=KEY)
        async with opened(base, settings, metrics) as channel:
            sending = asyncio.create_task(channel.send(notice_of(), "k"))
            await receiver.arrived.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
    assert counted(metrics, "CANCELLED") == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], ssl.SSLContext]:
    """A server's own authority, in ``ca.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(private + pem)

    def server() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        return context

    return server


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_only_a_receiver_with_a_trusted_certificate_is_told(
    base: Path, certificate: Callable[[], ssl.SSLContext], is_trusted: bool
) -> None:
    options = {"ca_file": "ca.pem"} if is_trusted else {}
    async with receiving(lambda _: Reply(), certificate()) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        settings = settings_of(ChannelKind.WEBHOOK, url, secret_file=KEY, options=options)
        async with opened(base, settings) as channel:
            if is_trusted:
                await channel.send(notice_of(), "k")
            else:
                with pytest.raises(ChannelRetryError, match="ConnectError"):
                    await channel.send(notice_of(), "k")
    assert len(receiver.requests) == is_trusted
