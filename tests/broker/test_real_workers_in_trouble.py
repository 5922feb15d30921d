"""Real workers without what they need: one line for each, no traceback, and on they go once it is there."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from assessments import assessed
from worker_process import WorkerProcess

from models.bundle import DEFAULT_BUNDLE
from models.cohorts.simulated import Ward
from ops.services import RunningBroker, RunningRedis, start_redis
from ops.topics import apply_topics
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.adapters.redis_history import RedisHistory
from streams.topology import ECG_ALERT, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
IMPATIENT = {"retry_first_s": 0.1, "retry_most_s": 0.3, "session_timeout_s": 6}


@pytest.fixture
def own_redis(services_root: Path) -> Iterator[RunningRedis]:
    """Give a Redis to kill, which still has its data when it comes back."""
    with start_redis(services_root, persistent=True) as running:
        yield running


async def publish(bootstrap: str, topic: str, records: list[EcgRecorded] | list[RiskAssessed]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for record in records:
            await producer.send(topic, CODEC.encode(record), key=record.patient_id.encode())
        await producer.flush()


async def collect(bootstrap: str, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    values: list[Any] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with asyncio.timeout(90), consumer:
        while not enough(values):
            for fetched in (await consumer.getmany(timeout_ms=100)).values():
                values += [CODEC.decode(record.value) for record in fetched]
    return values


async def until_history_is(expected: list[str], url: str, patient_id: str) -> None:
    history, known = RedisHistory(url), list[str]()
    try:
        async with asyncio.timeout(60):
            while known != expected:
                known = [point.ecg_id for point in await history.read(patient_id)]
    finally:
        await history.close()


def test_broker_topics_and_redis_are_each_missed_in_one_line_and_waited_for(
    embedded_broker: RunningBroker, own_redis: RunningRedis, tmp_path: Path
) -> None:
    bootstrap, url = embedded_broker.bootstrap, own_redis.url
    embedded_broker.kill()
    own_redis.kill()
    settings = {"broker": bootstrap, "redis_url": url, **IMPATIENT}
    with ExitStack() as stack:
        history, *others = (
            stack.enter_context(WorkerProcess(stage, tmp_path, **settings))
            for stage in ("history", "featurize", "alert")
        )
        for worker in (history, *others):
            worker.until_held_up_by("BROKER_UNREACHABLE")
        embedded_broker.start()  # it forgets, so there are no topics yet
        for worker in (history, *others):
            worker.until_held_up_by("TOPIC_MISSING")
        asyncio.run(apply_topics(bootstrap, partitions=2))
        history.until_held_up_by("HISTORY_UNAVAILABLE")
        own_redis.start()
        for worker in (history, *others):
            worker.until_ready()

        said = [(line["code"], line["reason"]) for line in history.lines("held_up")]
        assert [code for code, _ in said] == ["BROKER_UNREACHABLE", "TOPIC_MISSING", "HISTORY_UNAVAILABLE"]
        assert bootstrap in said[0][1]
        assert "run `diastole topics apply`" in said[1][1]
        assert url.split("/")[2] in said[2][1]
        for worker in others:
            assert [line["code"] for line in worker.lines("held_up")] == [code for code, _ in said[:2]]
        for worker in (history, *others):
            assert all(line["level"] in {"info", "warning"} for line in worker.lines())
            assert worker.terminate() == 0


async def test_a_redis_that_is_away_delays_the_history_alone_and_costs_it_nothing(
    embedded_broker: RunningBroker, own_redis: RunningRedis, tmp_path: Path
) -> None:
    bootstrap, url = embedded_broker.bootstrap, own_redis.url
    await apply_topics(bootstrap, partitions=2)
    patients = [f"P-{number}" for number in range(12)]
    rounds = [
        [assessed(100 * n + p, 0.2 + 0.25 * n, hour=n, patient_id=name) for p, name in enumerate(patients)]
        for n in range(4)
    ]
    settings = {"broker": bootstrap, "redis_url": url, **IMPATIENT}
    with (
        WorkerProcess("history", tmp_path, **settings) as history,
        WorkerProcess("alert", tmp_path, **settings) as alert,
    ):
        await publish(bootstrap, ECG_RISK, rounds[0])
        await asyncio.to_thread(history.until_ready)
        own_redis.kill()
        for risks in rounds[1:]:
            await publish(bootstrap, ECG_RISK, risks)
        alerts = await collect(bootstrap, ECG_ALERT, lambda seen: {a.patient_id for a in seen} >= {*patients})
        assert all(isinstance(raised, AlertRaised) for raised in alerts)
        await asyncio.to_thread(history.until_held_up_by, "HISTORY_UNAVAILABLE")
        assert not history.lines("going_on")

        own_redis.start()
        await asyncio.to_thread(history.until_ready)
        for name in patients:
            expected = [risk.ecg_id for risks in rounds for risk in risks if risk.patient_id == name]
            await until_history_is(expected, url, name)
        (said,) = history.lines("held_up")
        assert said["code"] == "HISTORY_UNAVAILABLE"
        assert len(history.lines("going_on")) == 1
        assert not alert.lines("held_up")
        assert not any(name in worker.output for worker in (history, alert) for name in patients)


async def test_sigterm_lets_a_real_stage_finish_what_it_holds_and_repeats_nothing(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    bootstrap = embedded_broker.bootstrap
    await apply_topics(bootstrap, partitions=2)
    ward = Ward(beds=300, seed=3, since=START)
    ecgs = list(ward.round(START))
    await publish(bootstrap, ECG_RECORDED, ecgs)
    with WorkerProcess("featurize", tmp_path, broker=bootstrap, **IMPATIENT) as first:
        await collect(bootstrap, ECG_FEATURIZED, lambda seen: len(seen) >= 1)
        assert await asyncio.to_thread(first.terminate) == 0
        (drained,) = first.lines("drained")
        assert drained["in_flight"] == 0
        assert first.lines()[-1]["event"] == "stopped"
    with WorkerProcess("featurize", tmp_path, broker=bootstrap, **IMPATIENT):
        ids = {ecg.ecg_id for ecg in ecgs}
        seen = await collect(bootstrap, ECG_FEATURIZED, lambda seen: {ecg.ecg_id for ecg in seen} == ids)
    assert len(seen) == len(ecgs)


def test_a_corrupt_bundle_is_refused_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    weights = next(bundle.glob("encoder*.safetensors"))
    flipped = bytearray(weights.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    weights.write_bytes(flipped)
    with WorkerProcess("infer", tmp_path, broker="127.0.0.1:1", bundle=bundle) as worker:
        assert worker.ends() == 2
        (line,) = (line for line in worker.lines() if line["event"] != "worker_starts")
    assert line["event"] == "cannot_start"
    assert weights.name in line["reason"]
