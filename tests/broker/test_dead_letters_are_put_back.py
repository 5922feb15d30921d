"""A dead letter of a real worker is listed, shown, put back once its cause is mended, and goes its way."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from typer.testing import CliRunner
from worker_process import WorkerProcess

from models.cohorts.simulated import Ward
from ops.cli.main import app
from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.featurized import EcgFeaturized
from schemas.registry import FileRegistry
from streams.topology import ECG_FEATURIZED, ECG_RECORDED, dead_letter_topic

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
MARK = "MRN77"
#: Under an ECG's size, and so too small a limit, which somebody is to raise.
TOO_SMALL_BYTES = 4096
HEADERS = [("source", b"cart 7"), ("source", b"again")]


@pytest.fixture(params=["embedded_broker", "own_apache_broker"])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Give either broker, empty: real stages have fixed topics."""
    running: RunningBroker = request.getfixturevalue(request.param)
    asyncio.run(apply_topics(running.bootstrap, partitions=2))
    return running.bootstrap


@pytest.fixture
def dlq(bootstrap: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Run ``diastole dlq`` and return what it printed; it exits with 0 unless another code is named."""
    monkeypatch.setenv("DIASTOLE_BROKER", bootstrap)
    monkeypatch.setenv("DIASTOLE_HOME", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> str:
        ran = CliRunner().invoke(app, ["dlq", *arguments], catch_exceptions=False)
        assert ran.exit_code == code, ran.output
        return ran.output

    return run


async def published(bootstrap: str) -> tuple[bytes, bytes]:
    (ecg,) = Ward(beds=1, seed=5, since=START).round(START)
    key, value = MARK.encode(), CODEC.encode(ecg)
    assert len(value) > TOO_SMALL_BYTES
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(ECG_RECORDED, value, key=key, headers=HEADERS)
        await producer.send_and_wait(ECG_RECORDED, b"\xff" * 3000, key=key)
    return key, value


async def until(bootstrap: str, topic: str, n_records: int) -> list[AIOKafkaConsumer]:
    records: list[AIOKafkaConsumer] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with asyncio.timeout(60), consumer:
        while len(records) < n_records:
            for fetched in (await consumer.getmany(timeout_ms=100)).values():
                records.extend(fetched)
    return records


def test_a_dead_letter_goes_its_way_once_its_cause_is_mended(
    bootstrap: str, dlq: Callable[..., str], tmp_path: Path
) -> None:
    key, value = asyncio.run(published(bootstrap))
    given = {"broker": bootstrap, "session_timeout_s": 6}
    with WorkerProcess("featurize", tmp_path, **given, max_record_bytes=TOO_SMALL_BYTES) as strict:
        asyncio.run(until(bootstrap, dead_letter_topic(ECG_RECORDED), 2))
        assert strict.terminate() == 0

    letters = [json.loads(line) for line in dlq("list", "--json").splitlines()]
    assert sorted(letter["code"] for letter in letters) == ["DECODE", "PAYLOAD_TOO_LARGE"]
    (name,) = (letter["id"] for letter in letters if letter["code"] == "PAYLOAD_TOO_LARGE")
    listed = dlq("list", "--topic", ECG_RECORDED, "--since", "2d")
    assert name in listed
    assert "DECODE: 1 dead letter, 1 not replayed" in listed
    seen = dlq("show", name)
    assert "EcgRecorded" in seen
    assert "DIASTOLE_MAX_RECORD_BYTES" in seen
    assert MARK not in seen + listed
    assert MARK in dlq("show", name, "--reveal")
    assert "would replay" in dlq("replay", "--code", "PAYLOAD_TOO_LARGE", "--dry-run")

    replayed = dlq("replay", "--code", "PAYLOAD_TOO_LARGE")
    assert f"replayed {name} as {ECG_RECORDED}:" in replayed
    assert "nothing to replay" in dlq("replay", "--code", "PAYLOAD_TOO_LARGE", "--dry-run")
    assert f"already replayed {name} at " in dlq("replay", name)
    assert "PAYLOAD_TOO_LARGE: 1 dead letter, 0 not replayed" in dlq("list")

    back = asyncio.run(until(bootstrap, ECG_RECORDED, 3))[-1]
    assert (back.key, back.value, list(back.headers[:2])) == (key, value, HEADERS)
    with WorkerProcess("featurize", tmp_path, **given) as mended:
        (record,) = asyncio.run(until(bootstrap, ECG_FEATURIZED, 1))
        assert mended.terminate() == 0
    assert CODEC.decode(record.value, EcgFeaturized).quality is not None


@pytest.mark.parametrize("bootstrap", ["embedded_broker"], indirect=True)
def test_what_is_not_there_is_said_in_one_sentence(dlq: Callable[..., str]) -> None:
    assert "no dead letters" in dlq("list")
    assert "nothing to replay" in dlq("replay", "--all-retryable", "--dry-run")
