"""A worker that is stopped, with and without traffic: said to be unhealthy and alarmed within 15 s."""

import asyncio
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaProducer
from assessments import assessed
from worker_process import WorkerProcess

from ops.services import RunningBroker
from ops.services.waiting import becomes_true
from ops.topics import apply_topics
from schemas.alert import AlarmKind, TechnicalAlarm
from schemas.codec import Codec
from schemas.registry import FileRegistry
from streams.adapters.kafka_follower import open_follower
from streams.topology import ECG_ALERT, ECG_RISK

CODEC = Codec(FileRegistry())

#: What the operator is promised from SIGSTOP on, s.
WITHIN_S = 15.0

BY_ADDRESS, BY_KAFKA = "worker:alerting", "alert"


class Alarms:
    """Technical alarms as they come to the topic."""

    def __init__(self) -> None:
        self.records: list[TechnicalAlarm] = []

    def on_record(self, message: object) -> None:
        self.records.append(CODEC.decode(message.value, TechnicalAlarm))  # type: ignore[attr-defined]

    def out(self) -> set[str]:
        """Sources of those that have not ended."""
        ended = {alarm.alarm_id for alarm in self.records if alarm.ended_at is not None}
        return {alarm.source for alarm in self.records if alarm.alarm_id not in ended}

    def ids(self, source: str) -> set[str]:
        return {alarm.alarm_id for alarm in self.records if alarm.source == source}


async def until(holds: Callable[[], bool], within_s: float) -> None:
    assert await asyncio.to_thread(becomes_true, holds, within_s)


async def publish(bootstrap: str, numbers: Iterable[int]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in numbers:
            risk = assessed(number, 0.05, hour=number, patient_id=f"P-{number}")
            await producer.send_and_wait(ECG_RISK, CODEC.encode(risk), key=risk.patient_id.encode())


def said_by(watch: WorkerProcess) -> tuple[int, list[str]]:
    status, told = watch.readiness()
    return status, told.get("ill", [])


def has_members(port: int) -> bool:
    """Whether a watch tells Prometheus that one stage has a worker and the other none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        told = re.findall(
            r'^diastole_watch_members{stage="(\w+)"} (.+)$', answer.read().decode(), re.MULTILINE
        )
    return {stage: float(number) for stage, number in told} == {"alert": 1.0, "link": 0.0}


async def reported_in_s(
    stopped_at: float, watches: Sequence[WorkerProcess], alarms: Alarms, sources: set[str]
) -> float:
    """Wait until each watch says it is unhealthy and all alarms are out; return after how long."""
    left_s = WITHIN_S - (time.monotonic() - stopped_at)
    await until(lambda: alarms.out() == sources, left_s)
    for watch in watches:
        status, ill = await asyncio.to_thread(said_by, watch)
        assert status == 503
        assert any("alert" in sentence for sentence in ill), ill
    took_s = time.monotonic() - stopped_at
    assert took_s < WITHIN_S
    return took_s


async def test_a_worker_that_is_stopped_is_reported_in_time_and_its_return_too(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    bootstrap = own_apache_broker.bootstrap
    await apply_topics(bootstrap, partitions=2)
    alarms, took_s = Alarms(), {}
    # The second stage has no worker, which is borne for longer than this test lasts.
    common = {"broker": bootstrap, "watch_stages": "link,alert", "watch_missing_after_s": 600}
    with (
        WorkerProcess("alert", tmp_path, **common) as worker,
        WorkerProcess(
            "watch",
            tmp_path,
            words=("watch",),
            **common,
            watch_workers=f"alerting=127.0.0.1:{worker.port}",
        ) as watch,
        WorkerProcess("watch", tmp_path, words=("watch",), **common) as blind_to_addresses,
    ):
        watches = [watch, blind_to_addresses]
        for process in (worker, *watches):
            await asyncio.to_thread(process.until_ready)
        async with open_follower(bootstrap, ECG_ALERT, alarms.on_record):
            assert not alarms.records
            for process in watches:
                await until(partial(has_members, process.port), WITHIN_S)

            # Nothing waits for it, so that its address alone can tell.
            worker.send(signal.SIGSTOP)
            stopped_at = time.monotonic()
            assert worker.readiness()[0] == 0
            took_s["without traffic"] = await reported_in_s(stopped_at, [watch], alarms, {BY_ADDRESS})
            worker.send(signal.SIGCONT)
            await until(lambda: not alarms.out(), WITHIN_S)
            await asyncio.to_thread(watch.until_ready)

            await publish(bootstrap, range(20))
            worker.send(signal.SIGSTOP)
            stopped_at = time.monotonic()
            await publish(bootstrap, range(20, 40))
            took_s["with traffic"] = await reported_in_s(stopped_at, watches, alarms, {BY_ADDRESS, BY_KAFKA})
            worker.send(signal.SIGCONT)
            await until(lambda: not alarms.out(), WITHIN_S)
            for process in watches:
                await asyncio.to_thread(process.until_ready)
        assert len(alarms.ids(BY_ADDRESS)) == 2
        # Two watches saw it and raised one alarm.
        assert len(alarms.ids(BY_KAFKA)) == 1
        assert {alarm.kind for alarm in alarms.records} == {AlarmKind.STAGE_STALLED}
        assert all(process.terminate() == 0 for process in (worker, *watches))
        assert not any("P-1" in process.output for process in (worker, *watches))
    print(took_s)
