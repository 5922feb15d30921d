"""The risk history on a Redis Cluster: two real nodes, each with half of the slots."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
import redis
from assessments import START, assessed, featurized
from redis.crc import key_slot

from ops.services import redis_binary
from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port, listens
from ops.services.probes import redis_answers
from ops.services.process import Server, ServerCommand
from ops.services.waiting import becomes_true
from streams.adapters.redis_history import RedisHistory, patient_keys
from streams.adapters.redis_wards import RedisWards
from streams.adapters.redis_waveforms import RedisWaveforms
from streams.history import HistoryLimits, HistoryPoint, HistoryUnavailableError, history_point
from streams.history_encoding import encode_assessment, microseconds, patient_digest
from streams.waveform import EncodedStrip, encode_strip

SLOTS = ((0, 8191), (8192, 16383))
#: Enough that both nodes own some of them.
PATIENTS = [f"P-{number}" for number in range(40)]


def cluster_node(root: Path) -> Server:
    folder, port = new_run_folder(root, "redis"), port_with_a_bus()
    (folder / "data").mkdir()
    argv = [str(redis_binary()), "--port", str(port), "--bind", LOOPBACK, "--dir", str(folder / "data")]
    argv += ["--save", "", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    command = ServerCommand(
        name="Redis", argv=argv, folder=folder, port=port, answers=redis_answers, start_within_s=15
    )
    return Server(command)


def port_with_a_bus() -> int:
    """A free port whose bus, 10 000 above, is free too and not among those of outgoing connections."""
    bus_most = 32_767
    return next(
        port for port in iter(free_port, None) if port + 10_000 <= bus_most and not listens(port + 10_000)
    )


def client(node: Server) -> redis.Redis:
    return redis.Redis(host=LOOPBACK, port=node.port)


def serves(node: Server) -> bool:
    with client(node) as asked:
        return bool(asked.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


@pytest.fixture(scope="module")
def nodes(services_root: Path) -> Iterator[list[Server]]:
    with ExitStack() as running:
        nodes = [running.enter_context(cluster_node(services_root).start()) for _ in SLOTS]
        for number, (node, slots) in enumerate(zip(nodes, SLOTS, strict=True)):
            with client(node) as asked:
                asked.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                asked.execute_command("CLUSTER", "ADDSLOTS", *range(slots[0], slots[1] + 1))
        with client(nodes[0]) as asked:
            asked.execute_command("CLUSTER", "MEET", LOOPBACK, nodes[1].port)
        assert becomes_true(lambda: all(map(serves, nodes)), within_s=30)
        yield nodes


@pytest.fixture
async def history(nodes: list[Server]) -> AsyncIterator[RedisHistory]:
    for node in nodes:
        with client(node) as asked:
            asked.execute_command("FLUSHALL")
            asked.execute_command("SCRIPT FLUSH")
    store = RedisHistory(f"redis://{LOOPBACK}:{nodes[0].port}/0", HistoryLimits(), now)
    yield store
    await store.close()


def now() -> datetime:
    return START + timedelta(days=1)


def one_point_each() -> list[HistoryPoint]:
    return [history_point(assessed(n, 0.1, patient_id=patient)) for n, patient in enumerate(PATIENTS)]


async def test_each_patient_is_kept_on_the_node_that_owns_it(
    history: RedisHistory, nodes: list[Server]
) -> None:
    await history.ping()
    await history.upsert(one_point_each())
    await history.upsert(one_point_each())
    for point in one_point_each():
        assert await history.read(point.patient_id) == [point]
    for node in nodes:
        with client(node) as asked:
            assert 0 < asked.dbsize() < 2 * len(PATIENTS)


async def test_one_emptied_node_is_noticed(history: RedisHistory, nodes: list[Server]) -> None:
    for node in nodes:
        assert await history.marks.begin("worker")
        assert await history.marks.finish("worker")
        assert await history.marks.are_set()
        with client(node) as asked:
            asked.execute_command("FLUSHALL")
        assert not await history.marks.are_set()


async def test_a_slot_that_moves_to_another_node_is_followed(
    history: RedisHistory, nodes: list[Server]
) -> None:
    await history.upsert(one_point_each())
    slot = 0
    with client(nodes[1]) as asked:
        target = asked.execute_command("CLUSTER MYID")
    for node in reversed(nodes):
        with client(node) as asked:
            asked.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target)
    in_slot = next(name for name in map(str, count()) if key_slot(patient_keys(name)[0].encode()) == slot)
    point = history_point(assessed(1, 0.1, patient_id=in_slot))
    await history.upsert([point])
    assert await history.read(in_slot) == [point]
    with client(nodes[1]) as asked:
        assert asked.execute_command("CLUSTER COUNTKEYSINSLOT", slot) == 2


async def test_wards_whose_lists_lie_elsewhere_than_their_patients(
    history: RedisHistory, nodes: list[Server]
) -> None:
    wards = RedisWards(f"redis://{LOOPBACK}:{nodes[0].port}/0", now=now)
    risks = [
        replace(assessed(n, n / 100, patient_id=patient, hour=1), ward_id=f"W{n % 4}")
        for n, patient in enumerate(PATIENTS)
    ]
    moved = replace(assessed(99, 0.9, patient_id=PATIENTS[0], hour=2), ward_id="W1")
    for _ in range(2):
        await history.write([encode_assessment(risk) for risk in risks])
        await history.write([encode_assessment(moved)])
    assert await wards.wards() == ["W0", "W1", "W2", "W3"]
    assert [await wards.size(ward) for ward in await wards.wards()] == [9, 11, 10, 10]
    rows = await wards.ward("W1", "risk", limit=3)
    assert [row.patient_id for row in rows] == [PATIENTS[n] for n in (0, 37, 33)]
    latest = await wards.latest(PATIENTS[0])
    assert latest is not None
    assert (latest.ward_id, latest.change) == ("W1", 0.9)
    await wards.close()


async def test_waveforms_are_found_by_their_ecg_wherever_they_lie(
    history: RedisHistory, nodes: list[Server]
) -> None:
    waveforms = RedisWaveforms(f"redis://{LOOPBACK}:{nodes[0].port}/0", now=now)
    strips = [
        EncodedStrip(
            ecg_id=str(UUID(int=n)), patient=patient_digest(p), acquired_us=microseconds(START), body=b"\0"
        )
        for n, p in enumerate(PATIENTS)
    ]
    ecg = featurized(1, patient_id="P-1")
    await waveforms.write([*strips, encode_strip(ecg)])
    found = await waveforms.strip(ecg.ecg_id)
    assert found is not None
    assert found.patient_id == "P-1"
    for node in nodes:
        with client(node) as asked:
            assert asked.dbsize() > 0
    await waveforms.close()


async def test_a_cluster_without_one_of_its_nodes_is_said_in_one_line_and_may_be_tried_again(
    history: RedisHistory, nodes: list[Server]
) -> None:
    await history.upsert(one_point_each())
    nodes[1].kill()
    with pytest.raises(HistoryUnavailableError, match=f"Redis at {LOOPBACK}:{nodes[0].port} does not serve"):
        await history.upsert(one_point_each())
