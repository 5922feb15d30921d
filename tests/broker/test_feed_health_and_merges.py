"""Health and merges on real brokers: told once, kept over restarts, and seen by readers and commands."""

import asyncio
import contextlib
import re
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from assessments import assessed
from typer.testing import CliRunner
from worker_process import WorkerProcess

from ops.cli import identity
from ops.cli.feeds import feeds
from ops.services import RunningBroker
from ops.topic_reader import open_topic_reader
from ops.topics import apply_topics
from schemas.alert import TechnicalAlarm
from schemas.codec import Codec
from schemas.errors import ConfigurationError
from schemas.feed import FeedHealth
from schemas.patient_link import PatientLinked
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.adapters.redis_history import RedisHistory
from streams.feeds.admission import Admission, Delivery, Ending, Origin
from streams.feeds.document import Document
from streams.feeds.gateway import named
from streams.feeds.health.report import open_watch
from streams.feeds.health.source import GRACE_S
from streams.feeds.health.watch import FeedWatch
from streams.feeds.identity.links import MergeRefusedError
from streams.feeds.identity.names import Names, open_names
from streams.feeds.identity.pseudonym import is_pseudonym
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.topology import ECG_ALERT, ECG_RISK, FEED_HEALTH, PATIENT_LINK

CODEC = Codec(FileRegistry())
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEADLINE_S = 60.0
TOLD = {"origin": "adt-a40", "actor": "engine"}


class Clock:
    """A wall clock moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
async def bootstrap(broker: RunningBroker) -> str:
    await apply_topics(broker.bootstrap, partitions=4)
    return broker.bootstrap


@pytest.fixture
def settings(bootstrap: str, tmp_path: Path) -> Settings:
    return Settings(broker=bootstrap, home=tmp_path)


@pytest.fixture
def keyed(tmp_path: Path) -> FeedSettings:
    """Settings with a key that the command made, and reports without delay."""
    path = tmp_path / "feed.key"
    identity.key(path)
    return FeedSettings(key_file=path, id_domain="north", report_every_s=0.05)


async def records_of(bootstrap: str, topic: str, record_type: type, n: int) -> list[Any]:
    """Read the first ``n`` records of a type that this test's own sources or patients wrote."""
    records: list[Any] = []
    reading = open_topic_reader(bootstrap, [topic], CODEC, from_beginning=True)
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        async for seen in reader:
            if isinstance(seen.record, record_type):
                records.append(seen.record)
            if len(records) == n:
                break
    return records


class Alarms:
    """Follows the alarms of one source."""

    def __init__(self, reader: Any, source: str) -> None:
        self._reader = reader
        self._source = source
        self.seen: list[TechnicalAlarm] = []

    async def until(self, n: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.seen) < n:
                await self.look()

    async def look(self) -> None:
        for seen in await self._reader.poll(0.2):
            if isinstance(seen.record, TechnicalAlarm) and seen.record.source == self._source:
                self.seen.append(seen.record)


def speak(watch: FeedWatch, at: datetime, origin: Origin) -> None:
    delivery = Delivery(document=Document(content=b"x"), origin=origin, received_at=at)
    watch.note(delivery, Admission(ending=Ending.ACCEPTED, message="in", ecg_id="e"), None)


async def until_reported(bootstrap: str, source: str, holds: Any) -> FeedHealth:
    reading = open_topic_reader(bootstrap, [FEED_HEALTH], CODEC, from_beginning=True)
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        async for seen in reader:
            if isinstance(seen.record, FeedHealth) and seen.record.source == source and holds(seen.record):
                return seen.record
    raise AssertionError("unreachable")


async def test_silence_raises_one_alarm_that_survives_a_restart_and_ends_when_the_source_speaks(
    settings: Settings, keyed: FeedSettings, request: pytest.FixtureRequest
) -> None:
    clock = Clock()
    origin = Origin(feed="dicom", source=f"CART{abs(hash(request.node.name)) % 10_000}", site_id="north")
    last = START + timedelta(days=9)
    reading = open_topic_reader(settings.broker, [ECG_ALERT], CODEC, from_beginning=True)
    async with reading as reader:
        alarms = Alarms(reader, f"dicom|{origin.source}|north")
        async with open_watch("dicom", settings, keyed, CODEC, clock) as watch:
            for n in range(9 * 48 + 1):
                speak(watch, START + n * HOUR / 2, origin)
            clock.at = last + 10 * HOUR
            await alarms.until(1)
            await until_reported(settings.broker, origin.source, lambda health: health.silent_since == last)

        async with open_watch("dicom", settings, keyed, CODEC, clock) as watch:
            clock.at += timedelta(seconds=GRACE_S) + HOUR
            await until_reported(settings.broker, origin.source, lambda health: health.silent_since == last)
            spoke = clock.at + HOUR
            clock.at = spoke + HOUR / 60
            speak(watch, spoke, origin)
            await alarms.until(2)
            health = await until_reported(
                settings.broker, origin.source, lambda health: health.n_received == 9 * 48 + 2
            )
            await until_reported(
                settings.broker,
                origin.source,
                lambda health: health.silent_since is None and health.n_received == 9 * 48 + 2,
            )
        await alarms.look()

    raised, ended = alarms.seen
    assert raised.started_at == ended.started_at == last
    assert raised.ended_at is None
    assert ended.ended_at == spoke
    assert ended.alarm_id == raised.alarm_id
    assert health.silent_after_s is not None


async def test_the_command_shows_each_source(
    settings: Settings, keyed: FeedSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_watch("folder", settings, keyed, CODEC, Clock()) as watch:
        speak(watch, START, Origin(feed="folder", source="export-of-cardiology", site_id="north"))
    monkeypatch.setenv("DIASTOLE_BROKER", settings.broker)
    printed = await asyncio.to_thread(_output_of, feeds)
    assert "export-of-cardiology" in printed
    assert "not known yet" in printed
    as_json = await asyncio.to_thread(_output_of, feeds, "--json")
    assert '"source": "export-of-cardiology"' in as_json


def _output_of(command: Any, *arguments: str) -> str:
    import typer

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@contextlib.asynccontextmanager
async def two_gateways(settings: Settings, keyed: FeedSettings) -> AsyncIterator[tuple[Names, Names]]:
    async with (
        open_names(settings, keyed, CODEC) as one,
        open_names(settings, keyed, CODEC) as other,
    ):
        yield one, other


async def test_a_merge_told_to_one_gateway_is_followed_by_the_others_and_told_once(
    settings: Settings, keyed: FeedSettings, tmp_path: Path
) -> None:
    a, b, c = (f"{tmp_path.name}-{name}" for name in "abc")
    async with two_gateways(settings, keyed) as (one, other):
        pseudonyms = [one.pseudonym_of(each) for each in (a, b, c)]
        assert all(map(is_pseudonym, pseudonyms))
        assert await one.merge(a, b, **TOLD)
        assert not await other.merge(a, b, **TOLD)
        assert other.survivor_of(pseudonyms[0]) == pseudonyms[1]
        assert await other.merge(b, c, **TOLD)
        assert not await one.merge(b, c, **TOLD)
        assert [one.survivor_of(each) for each in pseudonyms] == [pseudonyms[2]] * 3
        with pytest.raises(MergeRefusedError, match="undo that first"):
            await one.merge(c, a, **TOLD)
        assert await one.unmerge(b, **TOLD)
        assert not await other.unmerge(b, **TOLD)
        assert other.survivor_of(pseudonyms[0]) == pseudonyms[1]
    async with open_names(settings, keyed, CODEC) as later:
        assert later.survivor_of(pseudonyms[0]) == later.survivor_of(pseudonyms[1]) == pseudonyms[1]


async def test_no_identifier_of_the_site_leaves_with_a_merge(settings: Settings, keyed: FeedSettings) -> None:
    async with open_names(settings, keyed, CODEC) as names:
        await names.merge("site-4711", "site-815", **TOLD)
    reading = open_topic_reader(settings.broker, [PATIENT_LINK], CODEC, from_beginning=True)
    wanted = names.pseudonyms.of("site-4711")
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        async for seen in reader:
            assert b"site-" not in (seen.message.key or b"") + (seen.message.value or b"")
            assert b"site-" not in b"".join(text or b"" for _, text in seen.message.headers)
            if isinstance(seen.record, PatientLinked) and seen.record.prior_patient_id == wanted:
                assert seen.message.key == wanted.encode()
                break


def ecg(patient_id: str) -> EcgRecorded:
    return EcgRecorded(
        ecg_id="00000000-0000-0000-0000-000000000001",
        patient_id=patient_id,
        acquired_at=START,
        sample_rate_hz=500.0,
        lead_names=("I",),
        uv_per_unit=1.0,
        samples=np.zeros((1, 10), np.int16),
    )


async def test_histories_are_read_as_one_through_a_real_worker_and_new_ecgs_go_to_the_survivor(
    settings: Settings, keyed: FeedSettings, redis_url: str, tmp_path: Path
) -> None:
    prior, surviving = f"{tmp_path.name}-prior", f"{tmp_path.name}-surviving"
    worker_settings = {"broker": settings.broker, "redis_url": redis_url, "session_timeout_s": 6}
    history = RedisHistory(redis_url)
    async with open_names(settings, keyed, CODEC) as names:
        old, new = names.pseudonym_of(prior), names.pseudonym_of(surviving)
        risks = [assessed(1, 0.2, patient_id=old), assessed(2, 0.3, patient_id=new)]
        with (
            WorkerProcess("link", tmp_path, **worker_settings) as linking,
            WorkerProcess("history", tmp_path, **worker_settings) as keeping,
        ):
            await asyncio.to_thread(linking.until_ready)
            await asyncio.to_thread(keeping.until_ready)
            await names.merge(prior, surviving, **TOLD)
            filed = named(ecg(prior), names)
            assert filed.patient_id == new
            risks.append(assessed(3, 0.4, patient_id=filed.patient_id))
            async with AIOKafkaProducer(bootstrap_servers=settings.broker) as producer:
                for risk in risks:
                    await producer.send_and_wait(ECG_RISK, CODEC.encode(risk), key=risk.patient_id.encode())
            try:
                for asked in (old, new):
                    await until_history_is([risk.ecg_id for risk in risks], history, asked)
                    assert await history.identifiers(asked) == (new, old)
            finally:
                await history.close()
            assert linking.terminate() == 0
            assert keeping.terminate() == 0


async def until_history_is(expected: list[str], history: RedisHistory, patient_id: str) -> None:
    known = list[str]()
    async with asyncio.timeout(DEADLINE_S):
        while known != expected:
            known = [point.ecg_id for point in await history.read(patient_id)]


async def test_the_commands_merge_show_and_reveal_and_note_who_asked(
    settings: Settings, keyed: FeedSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIASTOLE_BROKER", settings.broker)
    monkeypatch.setenv("DIASTOLE_HOME", str(tmp_path))
    monkeypatch.setenv("DIASTOLE_FEED_KEY_FILE", str(keyed.key_file))
    prior, surviving = f"{tmp_path.name}-1", f"{tmp_path.name}-2"

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(identity.app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.stdout

    def through_the_commands() -> None:
        assert "linked" in run("merge", prior, surviving, "--actor", "clerk")
        assert "linked already" in run("merge", prior, surviving)
        shown = run("show", prior)
        (pseudonym,) = re.findall(r"known as (\S+)", shown)
        assert is_pseudonym(pseudonym)
        assert "(command, clerk)" in shown
        assert run("reveal", pseudonym, "--actor", "nurse", "--reason", "call the ward") == f"{prior}\n"
        assert "no longer linked" in run("unmerge", prior)
        audit = tmp_path / "feeds" / "identity-revealed.jsonl"
        assert stat.S_IMODE(audit.stat().st_mode) == 0o600
        (line,) = audit.read_text().splitlines()
        assert '"actor": "nurse"' in line
        assert pseudonym in line
        assert prior not in line

    await asyncio.to_thread(through_the_commands)


def test_a_key_file_is_for_its_owner_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "feed.key"
    identity.key(path)
    kept = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="name another file"):
        identity.key(path)
    assert path.read_text() == kept
