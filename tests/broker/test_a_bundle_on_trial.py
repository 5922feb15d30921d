"""Real workers score one stream with two bundles; what they said is read from both topics and paired."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from assessments import assessed
from tiny_bundle import tiny_bundle_folder
from worker_process import WorkerProcess

from models.agreement import compare_assessments
from models.cohorts.simulated import Ward
from ops.services import RunningBroker
from ops.services.ports import free_port
from ops.topic_reader import open_topic_reader
from ops.topics import apply_topics
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.errors import ConfigurationError
from schemas.featurized import EcgFeaturized
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.adapters.backwards import TopicUnreadableError
from streams.featurize import featurize
from streams.silent_pairs import stream_pairs
from streams.stage import Received
from streams.topology import (
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_RISK,
    ECG_RISK_SILENT,
    SILENT_ROUTE,
    dead_letter_topic,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
PARTITIONS = 3

EAGER_POLICY = """
version = "eager"
enter_threshold = 0.02
exit_threshold = 0.01
confirm_n = 1
confirm_m = 1
lockout_h = 1.0
step_up = 0.5
"""


@pytest.fixture(params=["embedded_broker", "own_apache_broker"])
def broker(request: pytest.FixtureRequest) -> RunningBroker:
    """Give an empty broker of each kind: the topics of the flow are shared with no other test."""
    running = request.getfixturevalue(request.param)
    assert isinstance(running, RunningBroker)
    return running


@asynccontextmanager
async def producing(broker: RunningBroker) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=False) as producer:
        yield producer


async def publish(broker: RunningBroker, topic: str, records: Sequence[Any]) -> None:
    async with producing(broker) as producer:
        for record in records:
            await producer.send(topic, CODEC.encode(record), key=record.patient_id.encode())
        await producer.flush()


async def collect(broker: RunningBroker, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Read a topic from its beginning until these messages are enough."""
    seen: list[Any] = []
    reading = open_topic_reader(broker.bootstrap, [topic], CODEC, from_beginning=True)
    async with reading as reader:
        for _ in range(1200):
            seen += await reader.poll(0.1)
            if enough([each.record for each in seen]):
                return seen
    raise AssertionError(f"{len(seen)} messages on {topic} are not enough: {[each.record for each in seen]}")


def featurized_ward() -> list[EcgFeaturized]:
    ward = Ward(beds=5, seed=7, since=START, fault_rate=0.2)
    ecgs = [ecg for day in range(4) for ecg in ward.round(START + timedelta(days=day))]
    results = featurize([Received(record=ecg, published_at=ecg.acquired_at) for ecg in ecgs])
    assert not any(isinstance(result, Exception) for result in results)
    return [result for result in results if isinstance(result, EcgFeaturized)]


async def test_real_workers_score_one_stream_with_two_bundles_and_only_one_alerts(
    broker: RunningBroker, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(EAGER_POLICY)
    ecgs = featurized_ward()
    await apply_topics(broker.bootstrap, PARTITIONS)
    await publish(broker, ECG_FEATURIZED, ecgs)
    async with producing(broker) as producer:
        await producer.send_and_wait(ECG_FEATURIZED, b"no ECG", key=b"?")
    settings = {
        "broker": broker.bootstrap,
        "policy": policy,
        "bundle": tiny_bundle_folder(tmp_path / "a", seed=0, bundle_version="in force"),
        "silent_bundle": tiny_bundle_folder(tmp_path / "b", seed=1, bundle_version="on trial"),
        "session_timeout_s": 6,
    }
    with ExitStack() as stack:
        workers = [
            stack.enter_context(WorkerProcess(stage, tmp_path, **settings))
            for stage in ("infer", "infer-silent", "alert")
        ]
        ids = {ecg.ecg_id for ecg in ecgs}
        real, silent = [
            [seen.record for seen in await collect(broker, topic, lambda of: {r.ecg_id for r in of} >= ids)]
            for topic in (ECG_RISK, ECG_RISK_SILENT)
        ]
        letters = [
            (await collect(broker, topic, lambda letters: bool(letters)))[0]
            for topic in (dead_letter_topic(ECG_FEATURIZED), SILENT_ROUTE.dead_letters)
        ]
        due = {r.patient_id for r in real if r.probability is not None and r.probability >= 0.02}
        alerts = [
            seen.record
            for seen in await collect(broker, ECG_ALERT, lambda of: {a.patient_id for a in of} >= due)
        ]
        paired = await stream_pairs(broker.bootstrap, CODEC, last=1000)
        for worker in workers:
            assert await asyncio.to_thread(worker.terminate) == 0

    assert sorted(risk.ecg_id for risk in real) == sorted(risk.ecg_id for risk in silent) == sorted(ids)
    assert due
    assert {risk.bundle_version for risk in silent} == {"on trial"}
    raised = [alert for alert in alerts if isinstance(alert, AlertRaised)]
    assert {alert.bundle_version for alert in raised} == {"in force"}
    assert all(alert.motion is not None for alert in raised)
    assert [dict(letter.message.headers)["dlq_stage"] for letter in letters] == [b"infer", b"infer-silent"]
    assert paired.n_on_trial == len(paired.pairs) == len(ecgs)
    assert {(one.bundle_version, other.bundle_version) for one, other in paired.pairs} == {
        ("in force", "on trial")
    }
    agreement = compare_assessments(paired.pairs)
    assert agreement.n_scored == sum(risk.probability is not None for risk in real)
    assert agreement.mean_absolute_difference != 0.0


def risk(number: int, bundle: str, probability: float | None = 0.25) -> RiskAssessed:
    """Return the assessment of the ``number``-th ECG, published in that order, of one of seven patients."""
    of = assessed(number, probability, patient_id=f"P-{number % 7}", bundle_version=bundle)
    return replace(of, bundle_sha256=bundle * 64)


def compare_stream(broker: RunningBroker) -> "subprocess.CompletedProcess[str]":
    options = ["--stream", "--last", "40", "--broker", broker.bootstrap]
    command = [sys.executable, "-m", "ops.cli", "bundle", "compare", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


async def test_the_newest_ecgs_are_paired_however_long_the_topics_are(broker: RunningBroker) -> None:
    await apply_topics(broker.bootstrap, PARTITIONS)
    await publish(broker, ECG_RISK, [risk(number, "a", 0.5) for number in range(1500)])
    silent = [risk(number, "b") for number in range(900, 1450)]
    await publish(broker, ECG_RISK_SILENT, silent + silent[-20:])
    async with producing(broker) as producer:
        for topic in (ECG_RISK, ECG_RISK_SILENT):
            await producer.send_and_wait(topic, b"noise", key=b"P-1")

    paired = await stream_pairs(broker.bootstrap, CODEC, last=40)

    numbers = [int(one.ecg_id.replace("-", ""), 16) for one, _ in paired.pairs]
    assert numbers == list(range(1410, 1450))
    assert {(one.probability, other.probability) for one, other in paired.pairs} == {(0.5, 0.25)}
    assert paired.n_on_trial == 40
    done = await asyncio.to_thread(compare_stream, broker)
    assert done.returncode == 0, done.stderr
    assert "40 newest on trial, 40 of them by both" in done.stdout
    assert "-0.250 in the mean" in done.stdout


async def test_what_the_bundle_in_force_did_not_assess_is_counted_and_not_searched_for_ever(
    broker: RunningBroker,
) -> None:
    await apply_topics(broker.bootstrap, PARTITIONS)
    await publish(broker, ECG_RISK, [risk(number, "a") for number in range(300) if number != 297])
    await publish(broker, ECG_RISK_SILENT, [risk(number, "b") for number in range(290, 300)])
    paired = await stream_pairs(broker.bootstrap, CODEC, last=10)
    assert (paired.n_on_trial, len(paired.pairs)) == (10, 9)


async def test_without_a_bundle_on_trial_there_are_no_pairs(broker: RunningBroker) -> None:
    await apply_topics(broker.bootstrap, PARTITIONS)
    await publish(broker, ECG_RISK, [risk(number, "a") for number in range(5)])
    paired = await stream_pairs(broker.bootstrap, CODEC, last=10)
    assert (paired.n_on_trial, paired.pairs) == (0, ())
    done = await asyncio.to_thread(compare_stream, broker)
    assert done.returncode == 1
    assert "does worker infer-silent run?" in done.stdout


async def test_topics_that_do_not_exist_are_named_with_what_to_do(broker: RunningBroker) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(ECG_RISK_SILENT) + ".*diastole topics apply"):
        await stream_pairs(broker.bootstrap, CODEC, last=10)


async def test_no_broker_is_said_in_one_line() -> None:
    with pytest.raises(
        TopicUnreadableError, match=r"cannot be read from 127\.0\.0\.1:\d+ .*; check the broker"
    ):
        await stream_pairs(f"127.0.0.1:{free_port()}", CODEC, last=10)
