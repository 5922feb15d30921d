import asyncio
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.services import RunningBroker
from streams.adapters.kafka_probe import (
    BrokerUnreachableError,
    KafkaProbe,
    PartitionsDifferError,
    TopicMissingError,
)
from streams.service import _CANCEL_S, _CLOSE_S
from streams.settings import Settings

TOY_WORKER = Path(__file__).with_name("toy_worker.py")
PARTITIONS = 4
#: What a machine with twice as much to do as it can may add, s.
BUSY_S = 5.0


class Bench:
    """Topics of one test, a producer, everything that came out, and the workers it started."""

    def __init__(self, bootstrap: str, home: Path) -> None:
        self.bootstrap, self.home = bootstrap, home
        self.prefix = f"toy{uuid.uuid4().hex[:8]}"
        self.out: list[Any] = []
        self.dead: list[Any] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.n_published = 0

    async def open(self) -> None:
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await self.admin.start()
        names = [f"{self.prefix}.in", f"{self.prefix}.in.dlq", f"{self.prefix}.out"]
        await self.create(names, {"max.message.bytes": str(8 * 2**20)})
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, max_request_size=8 * 2**20)
        self.consumer = AIOKafkaConsumer(
            *names[1:], bootstrap_servers=self.bootstrap, auto_offset_reset="earliest"
        )
        await self.producer.start()
        await self.consumer.start()

    async def create(
        self, names: Iterable[str], settings: dict[str, str], partitions: int = PARTITIONS
    ) -> None:
        await self.admin.create_topics(
            [NewTopic(name, partitions, 1, topic_configs=settings) for name in names]
        )

    async def create_state_topic(self, partitions: int = PARTITIONS) -> None:
        await self.create([f"{self.prefix}.state"], {"cleanup.policy": "compact"}, partitions)

    async def until_known(self, topic: str) -> None:
        """Apache Kafka tells of a topic a moment after it has made it."""
        async with asyncio.timeout(30):
            while True:
                (described,) = await self.admin.describe_topics([topic])
                if described["partitions"]:
                    return

    async def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        await self.producer.stop()
        await self.consumer.stop()
        await self.admin.close()

    def start(self, stage: str, **overrides: Any) -> subprocess.Popen[bytes]:
        given = {"broker": self.bootstrap, "home": self.home, "session_timeout_s": 6, "commit_every_s": 0.5}
        settings = Settings(**{**given, **overrides})
        command = [sys.executable, str(TOY_WORKER), stage, self.prefix, settings.model_dump_json()]
        with (self.home / f"worker-{len(self.workers)}.log").open("wb") as log:
            self.workers.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self.workers[-1]

    def log_of(self, worker: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        path = self.home / f"worker-{self.workers.index(worker)}.log"
        return [json.loads(line) for line in path.read_text().splitlines()]

    async def publish(
        self, value: bytes | None, key: bytes, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        self.n_published += 1
        await self.producer.send(f"{self.prefix}.in", value, key=key, headers=headers)

    async def publish_toys(self, numbers: range, n_patients: int) -> None:
        for number in numbers:
            patient = f"p{number % n_patients}"
            await self.publish(
                json.dumps({"patient_id": patient, "number": number}).encode(), patient.encode()
            )
        await self.producer.flush()

    async def until(self, reached: Callable[[], bool], within_s: float = 90.0) -> None:
        async with asyncio.timeout(within_s):
            while not reached():
                for tp, records in (await self.consumer.getmany(timeout_ms=100)).items():
                    (self.dead if tp.topic.endswith(".dlq") else self.out).extend(records)

    async def until_more_came_out(self, n_more: int) -> None:
        enough = len(self.out) + n_more
        await self.until(lambda: len(self.out) >= enough)

    def toys(self) -> list[tuple[str, int, int]]:
        rows = (json.loads(record.value) for record in self.out)
        return [(row["patient_id"], row["number"], row["seen"]) for row in rows]

    async def uncommitted(self, stage: str) -> int:
        tps = [TopicPartition(f"{self.prefix}.in", p) for p in range(PARTITIONS)]
        group = f"diastole-{self.prefix}-{stage}"
        committed = await self.admin.list_consumer_group_offsets(group, partitions=tps)
        return self.n_published - sum(max(0, committed[tp].offset) for tp in tps)

    async def until_uncommitted(self, stage: str, at_most: int) -> None:
        async with asyncio.timeout(60):
            while True:
                if await self.uncommitted(stage) <= at_most:
                    return
                await asyncio.sleep(0.1)

    async def until_logged(self, worker: subprocess.Popen[bytes], event: str) -> None:
        async with asyncio.timeout(60):
            while True:
                if any(line["event"] == event for line in self.log_of(worker)):
                    return
                await asyncio.sleep(0.1)


@pytest.fixture
async def bench(broker: RunningBroker, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(broker.bootstrap, tmp_path)
    await bench.open()
    yield bench
    await bench.close()


@pytest.fixture
def nowhere() -> str:
    return "127.0.0.1:1"


async def test_three_sigkills_lose_nothing_and_memory_is_what_it_would_have_been(bench: Bench) -> None:
    n_toys, n_patients = 4000, 40
    await bench.create_state_topic()
    running = [bench.start("count", batch_max_items=8), bench.start("count", batch_max_items=8)]
    for kill in range(3):
        numbers = range(kill * 1000, (kill + 1) * 1000)
        await bench.publish_toys(numbers, n_patients)
        await bench.until_more_came_out(150)
        running.pop(0).kill()
        running.append(bench.start("count", batch_max_items=8))
    await bench.publish_toys(range(3000, n_toys), n_patients)
    await bench.until(lambda: len({number for _, number, _ in bench.toys()}) == n_toys)

    expected = {(f"p{n % n_patients}", n, n // n_patients + 1) for n in range(n_toys)}
    assert set(bench.toys()) == expected  # a repeat says the same again, or there would be more rows
    first_seen: dict[str, list[int]] = {}
    for patient, number, _ in bench.toys():
        if number not in first_seen.setdefault(patient, []):
            first_seen[patient].append(number)
    assert all(numbers == sorted(numbers) for numbers in first_seen.values())
    assert not bench.dead


async def test_garbage_of_all_kinds_is_dead_lettered_as_it_came_and_the_rest_flows_on(bench: Bench) -> None:
    garbage = {
        b"random": bytes(range(256)),
        b"truncated": b'{"patient_id": "p',
        b"wrong": b'{"patient": 1}',
        b"empty": b"",
        b"none": None,
        b"large": b"x" * (3 * 2**20),
        b"raises": b'{"patient_id": "p", "number": 13}',
    }
    await bench.publish_toys(range(13), 5)
    for key, value in garbage.items():
        await bench.publish(value, key, [("source", b"cart 7"), ("dlq_attempt", b"2")])
    await bench.publish_toys(range(14, 100), 5)
    worker = bench.start("double")
    await bench.until(lambda: len(bench.out) >= 99 and len(bench.dead) >= len(garbage))

    assert {record.key: record.value for record in bench.dead} == garbage
    assert sorted(number for _, number, _ in bench.toys()) == [n for n in range(100) if n != 13]
    headers = {record.key: dict(record.headers) for record in bench.dead}
    assert {key: found["dlq_error_code"] for key, found in headers.items()} == {
        b"random": b"POISON",
        b"truncated": b"POISON",
        b"wrong": b"POISON",
        b"empty": b"POISON",
        b"none": b"EMPTY_RECORD",
        b"large": b"PAYLOAD_TOO_LARGE",
        b"raises": b"ZeroDivisionError",
    }
    for found in headers.values():
        assert found["source"] == b"cart 7"
        assert found["dlq_attempt"] == b"3"
        assert found["dlq_topic"] == f"{bench.prefix}.in".encode()
    assert worker.poll() is None


async def test_sigterm_finishes_what_is_in_flight_and_commits_it(bench: Bench) -> None:
    await bench.publish_toys(range(300), 7)
    worker = bench.start("double")
    await bench.until(lambda: len(bench.out) >= 50)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    left = await bench.uncommitted("double")
    bench.start("double")
    await bench.until(lambda: len({number for _, number, _ in bench.toys()}) == 299)
    assert len(bench.out) == 299  # nothing twice, 13 is dead
    assert left <= 300 - 50
    assert any(line["event"] == "drained" and line["in_flight"] == 0 for line in bench.log_of(worker))


async def test_a_retriable_error_holds_the_acknowledgement_and_later_goes_through(bench: Bench) -> None:
    (bench.home / "hold").touch()
    worker = bench.start("hold", retry_first_s=0.1, retry_most_s=0.2)
    await bench.publish_toys(range(10), 2)
    await bench.until(lambda: len({n for _, n, _ in bench.toys()}) == 10)
    assert await bench.uncommitted("hold") == 10

    def events() -> list[str]:
        return [line["event"] for line in bench.log_of(worker)]

    await bench.until(lambda: "held_up" in events())
    (bench.home / "hold").unlink()
    await bench.until_uncommitted("hold", at_most=0)
    await bench.until(lambda: "going_on" in events())
    assert events().count("held_up") == 1
    assert events().count("going_on") == 1


async def test_a_worker_that_is_held_up_does_not_hold_up_its_group(bench: Bench) -> None:
    (bench.home / "hold").touch()
    held = bench.start("hold")
    await bench.publish_toys(range(100), 20)
    await bench.until(lambda: len(bench.out) >= 1)
    free_home = bench.home / "free"
    free_home.mkdir()
    bench.start("hold", home=free_home)
    await bench.until_uncommitted("hold", at_most=99)
    assert held.poll() is None
    (bench.home / "hold").unlink()
    await bench.until_uncommitted("hold", at_most=0)


async def test_a_stage_that_hangs_ends_its_worker_with_one_line_and_loses_nothing(bench: Bench) -> None:
    await bench.publish_toys(range(20), 5)
    hanging = bench.start("hang", watchdog_stall_s=2, drain_budget_s=1)
    assert await asyncio.to_thread(hanging.wait, 60) == 1
    (line,) = (line for line in bench.log_of(hanging) if line["level"] == "error")
    assert line["code"] == "STALLED"
    assert re.match(r"\d+ messages waiting, none done for \d+ s", line["reason"])
    assert await bench.uncommitted("hang") == 20


@pytest.mark.parametrize(
    ("stage", "code"),
    [("fail", "OverflowError"), ("refuse", "CONFIGURATION"), ("misled", "CONFIGURATION")],
)
async def test_a_worker_that_cannot_go_on_says_so_once_and_ends_to_be_started_anew(
    bench: Bench, stage: str, code: str
) -> None:
    await bench.publish_toys(range(20), 5)
    failing = bench.start(stage)
    assert await asyncio.to_thread(failing.wait, 60) == 1
    (line,) = (line for line in bench.log_of(failing) if line["level"] == "error")
    assert (line["event"], line["code"]) == ("failed", code)
    assert await bench.uncommitted(stage) == 20


async def test_sigterm_ends_a_worker_that_is_held_up_within_its_budget(bench: Bench) -> None:
    (bench.home / "hold").touch()
    held = bench.start("hold", drain_budget_s=1)
    await bench.publish_toys(range(10), 2)
    await bench.until_logged(held, "held_up")
    held.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(held.wait, 20) == 0
    assert [line["event"] for line in bench.log_of(held)][-3:] == [
        "drain_incomplete",
        "leaving_at_once",
        "stopped",
    ]
    assert await bench.uncommitted("hold") == 10


async def test_sigterm_ends_a_worker_whose_stage_hangs_within_budget_and_bounds(bench: Bench) -> None:
    hanging = bench.start("hang", drain_budget_s=1, metrics_port=0)
    await bench.until_logged(hanging, "health_served")
    await bench.publish_toys(range(10), 2)
    (served,) = (line for line in bench.log_of(hanging) if line["event"] == "health_served")

    def in_flight() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{served['port']}/readyz", timeout=2) as answer:
                return int(json.load(answer)["in_flight"])
        except OSError:
            return 0  # not ready yet

    async with asyncio.timeout(60):
        while True:
            if await asyncio.to_thread(in_flight):
                break
    begun_s = time.monotonic()
    hanging.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(hanging.wait, 30) == 0
    # The budget, what cancelled tasks and closing connections are given, and a busy machine's second or two.
    assert time.monotonic() - begun_s < 1 + _CANCEL_S + _CLOSE_S + BUSY_S
    assert [line["event"] for line in bench.log_of(hanging)][-3:] == [
        "drain_incomplete",
        "leaving_at_once",
        "stopped",
    ]
    assert await bench.uncommitted("hang") == 10


async def test_a_transactions_marker_is_lag_that_holds_no_record(
    apache_broker: RunningBroker, tmp_path: Path
) -> None:
    bench = Bench(apache_broker.bootstrap, tmp_path)
    await bench.open()
    topic, group, ends = f"{bench.prefix}.in", f"{bench.prefix}-group", dict.fromkeys(range(PARTITIONS), 0)
    probe = KafkaProbe(bench.bootstrap, group)
    producer = AIOKafkaProducer(bootstrap_servers=bench.bootstrap, transactional_id=bench.prefix)
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap, group_id=group, enable_auto_commit=False)

    async def until_lag_is(expected: int) -> None:
        # A fresh Kafka has no coordinator yet, and it writes the marker after it has answered.
        async with asyncio.timeout(30):
            while True:
                with suppress(BrokerUnreachableError):
                    if await probe.lag(topic, ends) == expected:
                        return

    async with producer, consumer:
        await until_lag_is(0)
        assert not await probe.has_records(topic, ends)
        async with producer.transaction():
            await producer.send_and_wait(topic, b"a toy", partition=0)
        await until_lag_is(2)
        assert await probe.has_records(topic, ends)
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): 1})
        await until_lag_is(1)
        assert not await probe.has_records(topic, ends)
        async with producer.transaction():
            await producer.send_and_wait(topic, b"another", partition=0)
        await until_lag_is(3)
        assert await probe.has_records(topic, ends)
    await probe.close()
    await bench.close()


async def test_a_missing_topic_is_named_in_one_line_and_waited_for(bench: Bench) -> None:
    await bench.publish_toys(range(12), 3)
    worker = bench.start("count", retry_first_s=0.1, retry_most_s=0.2)
    await bench.until_logged(worker, "held_up")
    assert worker.poll() is None
    await bench.create_state_topic()
    await bench.until(lambda: len(bench.out) >= 12)
    events = [line for line in bench.log_of(worker) if line["event"] in {"held_up", "going_on"}]
    assert [line["event"] for line in events] == ["held_up", "going_on"]
    assert events[0]["reason"] == f"{bench.prefix}.state not found; run `diastole topics apply`"


async def test_a_state_topic_with_other_partitions_is_refused(bench: Bench) -> None:
    await bench.create_state_topic(partitions=PARTITIONS - 1)
    await bench.until_known(f"{bench.prefix}.state")
    state, inputs = f"{bench.prefix}.state", f"{bench.prefix}.in"
    probe = KafkaProbe(bench.bootstrap, "toys")
    try:
        with pytest.raises(PartitionsDifferError, match=rf"{state} has 3 partitions but {inputs} has 4"):
            await probe.require_equal_partitions(state, beside=inputs)
        await probe.require_equal_partitions(f"{bench.prefix}.out", beside=inputs)
    finally:
        await probe.close()


async def test_a_topic_whose_partitions_are_not_told_yet_is_waited_for(apache_broker: RunningBroker) -> None:
    probe = KafkaProbe(apache_broker.bootstrap, "toys")
    try:
        with pytest.raises(TopicMissingError, match="no partitions yet"):
            await probe.require_equal_partitions(f"{uuid.uuid4()}", beside=f"{uuid.uuid4()}")
    finally:
        await probe.close()


async def test_an_unreachable_broker_is_one_line_and_more_tries(tmp_path: Path, nowhere: str) -> None:
    bench = Bench(nowhere, tmp_path)
    worker = bench.start("double", retry_first_s=0.1, retry_most_s=0.2)
    await bench.until_logged(worker, "held_up")
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    (line,) = (line for line in bench.log_of(worker) if line["event"] == "held_up")
    assert line["code"] == "BROKER_UNREACHABLE"
    assert nowhere in line["reason"]
