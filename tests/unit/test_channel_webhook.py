"""The webhook against a real HTTP receiver: signed, repeatable, and clear about what an answer means."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from notices import NOW, PATIENT, alert_of, key_of, notice_of
from receivers import HttpReceiver, Reply, Request, receiving

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError
from streams.deliver.channels.secret_file import SecretFile
from streams.deliver.channels.signature import sign, verify
from streams.deliver.channels.webhook import WebhookChannel

SIGNING_KEY = "a-secret-of-thirty-two-characters"
SCHEMA = Path(__file__).parents[2] / "docs" / "webhook-notice.v1.schema.json"


def taken(request: Request) -> Reply:
    return Reply(status=204)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as opened:
        yield opened


@pytest.fixture
def secret(tmp_path: Path) -> SecretFile:
    path = tmp_path / "secret"
    path.write_text(f"# in use\n{SIGNING_KEY}\n")
    return SecretFile(channel="hook", path=path)


def channel_to(
    receiver: HttpReceiver, client: httpx.AsyncClient, secret: SecretFile, *, with_patient: bool = False
) -> WebhookChannel:
    return WebhookChannel(
        name="hook", client=client, url=receiver.url, secret=secret, with_patient=with_patient
    )


async def test_notice_arrives_signed_with_its_key(client: httpx.AsyncClient, secret: SecretFile) -> None:
    notice = notice_of()
    async with receiving(taken) as receiver:
        await channel_to(receiver, client, secret).send(notice, key_of(notice, "hook"))
    (request,) = receiver.requests
    assert request.method == "POST"
    assert request.headers["idempotency-key"] == key_of(notice, "hook")
    assert verify(request.headers["diastole-signature"], request.body, SIGNING_KEY, NOW)
    assert not verify(request.headers["diastole-signature"], request.body + b" ", SIGNING_KEY, NOW)


@pytest.mark.parametrize("with_patient", [True, False])
async def test_document_keeps_to_its_schema(
    client: httpx.AsyncClient, secret: SecretFile, with_patient: bool
) -> None:
    schema = Draft202012Validator(json.loads(SCHEMA.read_text()))
    unknown = {"probability_before": None, "before_ecg_id": None, "before_acquired_at": None}
    notices = [
        notice_of(),
        notice_of(level=1),
        notice_of(is_over=True),
        notice_of(alert_of(motion=None, probability_low=None, probability_high=None, **unknown)),
    ]
    async with receiving(taken) as receiver:
        channel = channel_to(receiver, client, secret, with_patient=with_patient)
        for notice in notices:
            await channel.send(notice, key_of(notice, "hook"))
    documents = [json.loads(request.body) for request in receiver.requests]
    for document in documents:
        schema.validate(document)
    events = [document["event"] for document in documents]
    assert events == ["alert.raised", "alert.escalated", "alert.closed", "alert.raised"]
    assert documents[3]["risk"] == {"before": None, "after": 0.6123, "low": None, "high": None}
    assert documents[3]["motion"] is None
    assert all((PATIENT in request.body.decode()) == with_patient for request in receiver.requests)


async def test_a_repeat_has_the_same_key_and_the_same_body(
    client: httpx.AsyncClient, secret: SecretFile
) -> None:
    notice = notice_of()
    async with receiving(taken) as receiver:
        channel = channel_to(receiver, client, secret)
        await channel.send(notice, key_of(notice, "hook"))
        await channel.send(notice, key_of(notice, "hook"))
    first, second = receiver.requests
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])


async def test_the_end_has_a_key_of_its_own(client: httpx.AsyncClient, secret: SecretFile) -> None:
    async with receiving(taken) as receiver:
        channel = channel_to(receiver, client, secret)
        await channel.send(notice_of(), "k")
        await channel.retract(notice_of(is_over=True), "k")
    said = [(r.headers["idempotency-key"], json.loads(r.body)["event"]) for r in receiver.requests]
    assert said == [("k", "alert.raised"), ("k:end", "alert.closed")]


@pytest.mark.parametrize(
    ("status", "retry_after", "expected_s"),
    [
        (503, "7", 7.0),
        (429, "Sun, 01 Mar 2026 12:07:00 GMT", 60.0),
        (500, None, None),
        (408, "soon", None),
        (425, "-1", None),
        (503, "99999999999999999999", 3600.0),
    ],
)
async def test_trouble_of_the_receiver_is_for_later(
    client: httpx.AsyncClient,
    secret: SecretFile,
    status: int,
    retry_after: str | None,
    expected_s: float | None,
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    async with receiving(lambda _: Reply(status=status, headers=headers)) as receiver:
        with pytest.raises(ChannelRetryError) as caught:
            await channel_to(receiver, client, secret).send(notice_of(), "k")
    assert caught.value.retry_after_s == expected_s


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
async def test_a_refusal_is_final(client: httpx.AsyncClient, secret: SecretFile, status: int) -> None:
    async with receiving(lambda _: Reply(status=status)) as receiver:
        with pytest.raises(ChannelRefusedError, match=str(status)):
            await channel_to(receiver, client, secret).send(notice_of(), "k")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(client: httpx.AsyncClient, secret: SecretFile, status: int) -> None:
    async with receiving(taken) as elsewhere:
        reply = Reply(status=status, headers={"Location": elsewhere.url})
        async with receiving(lambda _: reply) as receiver:
            with pytest.raises(ChannelRefusedError, match="redirects are not followed"):
                await channel_to(receiver, client, secret).send(notice_of(), "k")
    assert not elsewhere.requests


async def test_nobody_there_and_a_cut_connection_are_for_later(
    client: httpx.AsyncClient, secret: SecretFile
) -> None:
    async with receiving(lambda _: None) as receiver:
        channel = channel_to(receiver, client, secret)
        with pytest.raises(ChannelRetryError, match="RemoteProtocolError"):
            await channel.send(notice_of(), "k")
    with pytest.raises(ChannelRetryError, match="ConnectError") as caught:
        await channel.send(notice_of(), "k")
    assert str(receiver.port) not in str(caught.value)


async def test_cancelling_closes_the_connection(client: httpx.AsyncClient, secret: SecretFile) -> None:
    async with receiving(taken) as receiver:
        receiver.is_held = True
        sending = asyncio.create_task(channel_to(receiver, client, secret).send(notice_of(), "k"))
        await receiver.arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(5):
            await receiver.lost.wait()


async def test_a_changed_secret_is_used_at_once_and_two_can_be_in_use(
    client: httpx.AsyncClient, secret: SecretFile
) -> None:
    async with receiving(taken) as receiver:
        channel = channel_to(receiver, client, secret)
        secret.path.write_text(f"another-secret-of-the-same-sort\n{SIGNING_KEY}\n")
        await channel.send(notice_of(), "k")
        secret.path.unlink()
        with pytest.raises(ChannelRetryError, match="secret file"):
            await channel.send(notice_of(), "k")
    (request,) = receiver.requests
    header = request.headers["diastole-signature"]
    assert verify(header, request.body, SIGNING_KEY, NOW)
    assert verify(header, request.body, "another-secret-of-the-same-sort", NOW)
    assert not verify(header, request.body, "a third", NOW)


@pytest.mark.parametrize(
    ("off_s", "holds"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)]
)
def test_a_signature_holds_for_minutes(off_s: int, holds: bool) -> None:
    assert (
        verify(sign(b"{}", [SIGNING_KEY], NOW), b"{}", SIGNING_KEY, NOW + timedelta(seconds=off_s)) == holds
    )


def test_a_signed_time_cannot_be_changed() -> None:
    later = int(NOW.timestamp()) + 10_000
    _, _, mac = sign(b"{}", [SIGNING_KEY], NOW).partition(",")
    assert not verify(f"t={later},{mac}", b"{}", SIGNING_KEY, NOW + timedelta(seconds=10_000))


@given(st.text())
def test_no_header_however_odd_breaks_verifying(header: str) -> None:
    assert not verify(header, b"{}", SIGNING_KEY, datetime(2026, 3, 1, tzinfo=UTC))
    assert not verify(f"t=1772323200,v1={header}", b"{}", SIGNING_KEY, datetime(2026, 3, 1, tzinfo=UTC))
