"""Mail and chat through apprise against a real SMTP server and a real HTTP receiver."""

import asyncio
import email
import email.policy
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from notices import PATIENT, alert_of, key_of, notice_of
from receivers import Reply, receiving

from schemas.errors import ConfigurationError
from streams.deliver.channels.apprise_channel import AppriseChannel
from streams.deliver.channels.channel import ChannelRetryError
from streams.deliver.channels.secret_file import SecretFile
from streams.logs import configure_logs


@dataclass(kw_only=True)
class Mailbox:
    """Keeps mails; answers as told."""

    answer: str = "250 OK"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, the library's name
        assert isinstance(envelope.content, bytes)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return self.answer

    @property
    def url(self) -> str:
        return (
            f"mailto://127.0.0.1:{self.port}?mode=insecure&from=diastole@hospital.example"
            "&to=ward@hospital.example&format=text"
        )


@asynccontextmanager
async def mailing() -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.hospital.example", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield mailbox


def channel_of(folder: Path, *urls: str, with_patient: bool = False) -> AppriseChannel:
    path = folder / "urls"
    path.write_text("\n".join(urls))
    return AppriseChannel(name="mail", urls=SecretFile(channel="mail", path=path), with_patient=with_patient)


async def test_mail_says_it_in_the_subject_and_carries_its_key(tmp_path: Path) -> None:
    notice = notice_of()
    async with mailing() as mailbox:
        await channel_of(tmp_path, mailbox.url).send(notice, key_of(notice, "mail"))
    (mail,) = mailbox.mails
    assert (
        mail["Subject"]
        == "Urgent: risk of the high-risk diastolic phenotype 0.12 → 0.61 in ward Kardiologie Süd."
    )
    assert mail["X-Diastole-Key"] == key_of(notice, "mail")
    assert mail["To"] == "ward@hospital.example"
    text = mail.get_content()
    assert f"Notice {key_of(notice, 'mail')}" in text
    assert "Not for: Treatment decisions without an echocardiogram." in text
    assert PATIENT not in mail.as_string() + text


async def test_mails_about_one_alert_are_one_thread(tmp_path: Path) -> None:
    async with mailing() as mailbox:
        channel = channel_of(tmp_path, mailbox.url)
        for number, level in ((1, 0), (1, 1), (2, 0)):
            notice = notice_of(alert_of(number), level=level)
            await channel.send(notice, key_of(notice, "mail"))
    first, escalated, other = (mail["References"] for mail in mailbox.mails)
    assert first == escalated != other


async def test_patient_is_named_where_the_site_wants_it(tmp_path: Path) -> None:
    async with mailing() as mailbox:
        await channel_of(tmp_path, mailbox.url, with_patient=True).send(notice_of(), "k")
    assert f"Patient: {PATIENT}" in mailbox.mails[0].get_content()


async def test_a_record_cannot_add_headers(tmp_path: Path) -> None:
    notice = notice_of(alert_of(ward_id="W\r\nBcc: thief@example.com"))
    async with mailing() as mailbox:
        await channel_of(tmp_path, mailbox.url).send(notice, "k")
    assert mailbox.mails[0]["Bcc"] is None


@pytest.mark.parametrize("answer", ["451 try later", "554 refused"])
async def test_a_mail_that_is_not_taken_is_for_later(tmp_path: Path, answer: str) -> None:
    async with mailing() as mailbox:
        mailbox.answer = answer
        with pytest.raises(ChannelRetryError, match="1 of the 1 addresses"):
            await channel_of(tmp_path, mailbox.url).send(notice_of(), "k")


async def test_only_the_address_that_failed_is_tried_again(tmp_path: Path) -> None:
    replies = [Reply(status=503), Reply(), Reply()]
    async with mailing() as mailbox, receiving(lambda _: replies.pop(0)) as chat:
        channel = channel_of(
            tmp_path, mailbox.url, f"mmost://127.0.0.1:{chat.port}/3ccdd113474722377935511fc85d3dd4"
        )
        with pytest.raises(ChannelRetryError, match="1 of the 2 addresses"):
            await channel.send(notice_of(), "k")
        await channel.send(notice_of(), "k")
        await channel.send(notice_of(level=1), "k1")
    assert len(mailbox.mails) == 2
    assert len(chat.requests) == 3
    said = json.loads(chat.requests[-1].body)["text"]
    assert "risk of the high-risk diastolic phenotype 0.12 → 0.61" in said
    assert PATIENT not in said


async def test_no_password_and_no_patient_in_any_log_or_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    configure_logs(level="debug")
    async with mailing() as mailbox:
        port = mailbox.port
    url = f"mailto://diastole:hunter2hunter2@127.0.0.1:{port}?mode=insecure&from=a@b.example&to=c@d.example"
    hook = f"json://user:hunter2hunter2@127.0.0.1:{port}/hunter2hunter2"
    with pytest.raises(ChannelRetryError) as caught:
        await channel_of(tmp_path, url, hook, with_patient=True).send(notice_of(), "k")
    shown = "".join(capsys.readouterr()) + caplog.text + str(caught.value)
    assert "hunter2hunter2" not in shown
    assert PATIENT not in shown


@pytest.mark.parametrize("url", ["nothing-apprise-knows://x", "mailto://", "just text"])
def test_urls_that_apprise_does_not_know_keep_it_from_starting(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL 2 of channel mail"):
        channel_of(tmp_path, "json://127.0.0.1/x", url).require()


async def test_cancelling_ends_the_wait(tmp_path: Path) -> None:
    async with receiving(lambda _: Reply()) as chat:
        chat.is_held = True
        sending = asyncio.create_task(
            channel_of(tmp_path, f"json://127.0.0.1:{chat.port}/?rto=2").send(notice_of(), "k")
        )
        await chat.arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(10):
            await chat.lost.wait()
