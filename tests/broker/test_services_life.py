"""The servers we start: they serve, survive or lose what they should, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ops.services import RunningBroker, ServiceError, clean_runs, start_broker, start_redis
from ops.services.ports import listens
from ops.services.process import Server, ServerCommand
from ops.services.waiting import becomes_true


async def produce(bootstrap: str, topic: str, payloads: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=False)
    await producer.start()
    try:
        for payload in payloads:
            await producer.send_and_wait(topic, payload, partition=0)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, n: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        return [(await consumer.getone()).value for _ in range(n)]
    finally:
        await consumer.stop()


async def test_broker_returns_what_was_produced_in_order(broker: RunningBroker) -> None:
    topic, sent = f"t-{uuid.uuid4()}", [b"a", b"b" * 100_000, b"c"]
    await produce(broker.bootstrap, topic, sent)
    assert await consume(broker.bootstrap, topic, 3) == sent


async def test_apache_kafka_keeps_acknowledged_records_over_kill_9(own_apache_broker: RunningBroker) -> None:
    victim, address = own_apache_broker, own_apache_broker.bootstrap
    await produce(address, "kept", [b"before"])
    victim.kill()
    assert not listens(victim.port)
    victim.restart()
    assert victim.bootstrap == address
    await produce(address, "kept", [b"after"])
    assert await consume(address, "kept", 2) == [b"before", b"after"]


async def test_embedded_broker_is_empty_after_kill_9_and_restart_on_the_same_port(
    embedded_broker: RunningBroker,
) -> None:
    await produce(embedded_broker.bootstrap, "lost", [b"before"])
    address = embedded_broker.bootstrap
    embedded_broker.kill()
    embedded_broker.restart()
    assert embedded_broker.bootstrap == address
    await produce(embedded_broker.bootstrap, "lost", [b"after"])
    assert await consume(embedded_broker.bootstrap, "lost", 1) == [b"after"]


@pytest.mark.parametrize(("persistent", "expected"), [(False, None), (True, b"1")])
def test_redis_keeps_data_over_kill_9_only_when_persistent(
    tmp_path: Path, persistent: bool, expected: bytes | None
) -> None:
    with start_redis(tmp_path, persistent=persistent) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("k", "1")
        server.kill()
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("k") == expected


def test_stop_leaves_no_process_no_port_and_no_data_and_may_be_repeated(tmp_path: Path) -> None:
    before = children_of_this_process()
    for server in (start_broker("embedded", tmp_path), start_redis(tmp_path)):
        pid = server.pid
        assert pid is not None
        assert psutil.pid_exists(pid)
        server.stop()
        server.stop()
        assert not psutil.pid_exists(pid)
        assert not listens(server.port)
        assert not (server.folder / "data").exists()
        assert server.pid is None
    assert children_of_this_process() == before


def children_of_this_process() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_servers_die_with_a_starter_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, ops.services as s\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "servers = [s.start_broker('embedded', root), s.start_redis(root)]\n"
        "print('ports', *(server.port for server in servers), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as starter:
        assert starter.stdout is not None
        line = next(line for line in starter.stdout if line.startswith("ports "))
        ports = [int(port) for port in line.split()[1:]]
        assert all(listens(port) for port in ports)
        os.kill(starter.pid, signal.SIGKILL)
    assert becomes_true(lambda: not any(listens(port) for port in ports), within_s=10)


def command_for(folder: Path, script: str, within_s: float) -> ServerCommand:
    return ServerCommand(
        name="stub",
        argv=["/bin/sh", "-c", script],
        folder=folder,
        port=1,
        answers=lambda port: False,
        start_within_s=within_s,
    )


def test_server_that_ends_at_once_fails_the_start_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"ended at once(?s:.*)no such cluster"):
        Server(command_for(tmp_path, "echo no such cluster; exit 3", within_s=10)).start()


def test_server_that_never_answers_is_ended_at_the_deadline(tmp_path: Path) -> None:
    server = Server(command_for(tmp_path, "echo pid $$; exec sleep 600", within_s=0.3))
    with pytest.raises(ServiceError, match=r"did not answer within 0\.3 s") as caught:
        server.start()
    pid = int(str(caught.value).split("pid ")[1].split()[0])
    assert not psutil.pid_exists(pid)


def test_clean_runs_removes_logs_and_keeps_jars(tmp_path: Path) -> None:
    jars = tmp_path / "kafka-libs" / "abc"
    jars.mkdir(parents=True)
    with start_redis(tmp_path) as server:
        folder = server.folder
    assert (folder / "server.log").exists()
    clean_runs(tmp_path)
    assert not folder.exists()
    assert jars.is_dir()
