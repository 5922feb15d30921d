"""Hostile messages on every topic that real processes read: each ends once, and nobody ends with it."""

from pathlib import Path

import pytest

from ops.chaos.hostile import Hostile, first_messages
from ops.chaos.hostile_run import HostileRun, run_hostile
from ops.services import has_apache_kafka
from schemas.codec import Codec
from schemas.registry import FileRegistry

MESSAGES, SEED = 300, 10

#: History and waveform do as alert and infer with what cannot be read; API and watch as delivery.
PARTS = ("featurize", "infer", "alert", "link", "deliver")


async def test_three_hundred_messages_end_once_each_and_sound_ecgs_are_scored(services_root: Path) -> None:
    if not has_apache_kafka():
        pytest.skip("Apache Kafka needs java and mvn on PATH")
    run = HostileRun(home=services_root, messages=MESSAGES, seed=SEED, parts=PARTS, patience_s=120.0)
    account = await run_hostile(run, print)
    # Memory is judged over ten thousand: of so few the first ones fill caches.
    assert [fault for fault in account.verdict.faults if "grow" not in fault] == []
    assert len(account.sent) == MESSAGES + len(account.sound)
    assert len(account.sound) >= 2
    stages = account.verdict.stages
    assert {"DECODE", "UNKNOWN_SCHEMA", "EMPTY_RECORD", "INVALID_RECORD"} <= stages["featurize"].dead.keys()
    assert all(stage.dead and stage.taken for stage in stages.values())


def test_among_them_is_what_no_client_of_ours_would_write() -> None:
    messages = list(first_messages(MESSAGES, SEED, Codec(FileRegistry())))
    assert any(has_odd_names(message) for message in messages)
    assert any(message.how.startswith("oversized") for message in messages)


def has_odd_names(message: Hostile) -> bool:
    return any(b"\x80" in name or b"\xff" in name for name, _ in message.headers)
