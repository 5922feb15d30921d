"""``diastole doctor`` on real servers, and where there is none at all."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from ops.cli.main import app
from ops.services import RunningBroker
from ops.topics import apply_topics
from streams.topology import ECG_RECORDED, dead_letter_topic

#: What it may take on a machine that does nothing else is 15 s; loading torch on a busy one is as much again.
WITHIN_S = 30.0

Looks = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Looks:
    """Run the doctor with these settings; return its exit code, and of each check the last finding."""

    def look(**settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
        for name, text in {"home": str(tmp_path), "device": "cpu", **settings}.items():
            monkeypatch.setenv(f"DIASTOLE_{name.upper()}", text)
        ran = CliRunner().invoke(app, ["doctor", "--json"], catch_exceptions=False)
        said = json.loads(ran.stdout)
        assert said["exit_code"] == ran.exit_code
        return ran.exit_code, {each["check"]: each for each in said["findings"]}

    return look


async def publish(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        in_a_minute_ms = int(time.time() * 1000) + 60_000
        await producer.send_and_wait(ECG_RECORDED, b"x", key=b"p", timestamp_ms=in_a_minute_ms)
        await producer.send_and_wait(dead_letter_topic(ECG_RECORDED), b"x", key=b"p")


@pytest.mark.parametrize("kind", ["embedded_broker", "own_apache_broker"])
def test_real_servers_are_looked_at(
    kind: str, request: pytest.FixtureRequest, redis_url: str, looks: Looks
) -> None:
    running: RunningBroker = request.getfixturevalue(kind)
    servers = {"broker": running.bootstrap, "redis_url": redis_url, "partitions": "2"}
    code, bare = looks(**servers)
    assert code == 1
    assert "topics apply" in bare["topics"]["do"]

    asyncio.run(apply_topics(running.bootstrap, partitions=2))
    asyncio.run(publish(running.bootstrap))
    code, found = looks(**servers)
    while "stage featurize" not in found:  # Kafka makes the place for groups when it is first asked
        code, found = looks(**servers)
    assert code == 1
    assert found["topics"]["verdict"] == "ok"
    assert found["kafka"]["verdict"] == "ok"
    assert found["redis"]["verdict"] == "ok"
    assert found["clock"]["verdict"] == "ok"
    assert "in the future" in found[f"newest {ECG_RECORDED}"]["said"]
    assert found["dead letters"]["said"].startswith("1 dead letter kept")
    assert found["stage featurize"]["said"].startswith("0 workers, 1 message waiting")
    assert found["stage featurize"]["do"] == "start one: diastole worker featurize"

    code, wrong = looks(**{**servers, "partitions": "3"})
    assert code == 2
    assert "DIASTOLE_PARTITIONS" in wrong["topics"]["do"]


def test_where_nothing_answers_each_failure_says_what_to_do_and_soon(looks: Looks) -> None:
    with socket.socket() as silent:
        # It takes connections and says nothing: nobody refuses, so every wait is to its end.
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        begun_s = time.monotonic()
        code, found = looks(broker=place, redis_url=f"redis://{place}/0", registry_url=f"http://{place}")
        assert time.monotonic() - begun_s < WITHIN_S
    assert code == 1
    for check in ("kafka", "redis", "schemas"):
        assert found[check]["verdict"] == "failure"
        assert place in found[check]["said"]
        assert found[check]["do"]
    assert found["bundle"]["verdict"] == "ok"


def test_a_setting_that_is_wrong_is_told_and_a_misspelt_one_named(looks: Looks) -> None:
    code, found = looks(max_delay_ms="-1", redis_ulr="redis://x")
    assert code == 2
    assert found["settings"]["said"] == "DIASTOLE_REDIS_ULR is no setting and has no effect"
    assert "DIASTOLE_REDIS_URL" in found["settings"]["do"]
