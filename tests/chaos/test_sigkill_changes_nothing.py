"""Workers die and Redis is emptied while a ward plays; alerts, history and counts stay the same."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from oracle import AlertIdentity, Oracle, differences, identity

from models.cohorts.simulated import Ward
from ops.ledger import LEDGER_TOPICS, Ledger
from ops.services import RunningBroker
from ops.services.process import Server
from ops.topic_reader import open_topic_reader
from ops.topics import apply_topics
from ops.worker_processes import running_workers
from schemas.alert import AlertClosed, AlertRaised
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.adapters.redis_history import RedisHistory
from streams.feeds.publish import open_publisher
from streams.rebuild import rebuild_history
from streams.topology import ROUTES

PARTITIONS = 4
BATCH = 32
KILLS_PER_STAGE = 3
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A ward and what happens while it plays; everything random follows from the seed."""

    seed: int
    beds: int
    rounds: int
    repeat_rate: float = 0.02
    late_rate: float = 0.02

    @property
    def n_ecgs(self) -> int:
        return self.beds * self.rounds

    def arrivals(self) -> Iterator[EcgRecorded]:
        """Yield the ward's ECGs as they arrive: some twice, some after the patient's next one."""
        chance = random.Random(self.seed)
        ward = Ward(beds=self.beds, seed=self.seed, since=START)
        held_back: dict[int, EcgRecorded] = {}
        for round_number in range(self.rounds):
            at = START + timedelta(hours=36) * round_number
            for bed in range(self.beds):
                ecg = ward.record(bed, at + timedelta(minutes=bed))
                if (
                    bed not in held_back
                    and round_number + 1 < self.rounds
                    and chance.random() < self.late_rate
                ):
                    held_back[bed] = ecg
                    continue
                yield ecg
                if bed in held_back:
                    yield held_back.pop(bed)
                if chance.random() < self.repeat_rate:
                    yield ecg
        yield from held_back.values()

    def batches(self) -> Iterator[list[EcgRecorded]]:
        """Cut the arrivals for publishing."""
        arriving = self.arrivals()
        while batch := list(islice(arriving, BATCH)):
            yield batch

    def kills(self) -> dict[int, list[str]]:
        """Which workers die, by how many ECGs have been published."""
        chance = random.Random(self.seed + 1)
        moments = defaultdict(list)
        for stage in ROUTES:
            for moment in chance.sample(range(self.n_ecgs // 20, self.n_ecgs), KILLS_PER_STAGE):
                moments[moment].append(stage)
        return moments


@dataclass(kw_only=True)
class Observed:
    """What the topics say afterwards."""

    ledger: Ledger = field(default_factory=Ledger)
    alerts: dict[AlertIdentity, list[AlertRaised | AlertClosed]] = field(
        default_factory=lambda: defaultdict(list)
    )


async def play(
    scenario: Scenario, bootstrap: str, workers: Mapping[str, Server], oracle: Oracle, at_half: asyncio.Event
) -> None:
    """Publish the ward, killing and restarting workers on the way."""
    kills, restarts, published = scenario.kills(), [], 0
    supervisors = {stage: asyncio.Lock() for stage in workers}
    async with open_publisher(bootstrap, Codec(FileRegistry())) as publisher:
        for ecgs in scenario.batches():
            await asyncio.gather(*(publisher.publish(ecg) for ecg in ecgs))
            await asyncio.to_thread(oracle.take, ecgs)
            for moment in range(published, published + len(ecgs)):
                for stage in kills.get(moment, ()):
                    restarts.append(asyncio.create_task(kill(workers[stage], supervisors[stage])))
            published += len(ecgs)
            if published >= scenario.n_ecgs // 2:
                at_half.set()
    await asyncio.gather(*restarts)


async def kill(worker: Server, supervisor: asyncio.Lock) -> None:
    """SIGKILL a worker and start it again; one that is still starting is killed once it serves."""
    async with supervisor:
        await asyncio.to_thread(worker.kill)
        await asyncio.to_thread(worker.start)


async def all_acknowledged(bootstrap: str) -> None:
    """Return when every group has committed to the end of what it reads."""
    async with clients(bootstrap) as (admin, consumer):
        while True:
            behind = 0
            for route in ROUTES.values():
                partitions = [TopicPartition(route.consumes, p) for p in range(PARTITIONS)]
                ends = await consumer.end_offsets(partitions)
                committed = await admin.list_consumer_group_offsets(route.group)
                behind += sum(
                    ends[tp] - max(committed[tp].offset if tp in committed else 0, 0) for tp in partitions
                )
            if not behind:
                return
            await asyncio.sleep(0.5)  # between two looks at the condition


@asynccontextmanager
async def clients(bootstrap: str) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await consumer.start()
    try:
        yield admin, consumer
    finally:
        await consumer.stop()
        await admin.close()


async def observe(bootstrap: str) -> Observed:
    """Read every topic from its beginning to its end."""
    observed = Observed()
    async with open_topic_reader(
        bootstrap, LEDGER_TOPICS, Codec(FileRegistry()), from_beginning=True
    ) as reader:
        quiet_polls = 0
        while quiet_polls < 3:
            arrived = await reader.poll(1.0)
            quiet_polls = 0 if arrived else quiet_polls + 1
            for seen in arrived:
                observed.ledger.enter(seen)
                if isinstance(seen.record, AlertRaised | AlertClosed):
                    observed.alerts[identity(seen.record)].append(seen.record)
    return observed


def assert_alerts_equal(observed: Observed, oracle: Oracle) -> None:
    assert observed.alerts.keys() == oracle.alerts.keys()
    for name, repeats in observed.alerts.items():
        assert all(not differences(oracle.alerts[name], alert) for alert in repeats), name


async def assert_history_complete(redis_url: str, oracle: Oracle) -> None:
    expected: dict[str, list[str]] = defaultdict(list)
    for risk in sorted(oracle.risks.values(), key=lambda risk: risk.acquired_at):
        expected[risk.patient_id].append(risk.ecg_id)
    history = RedisHistory(redis_url)
    try:
        for patient_id, ecg_ids in expected.items():
            assert [point.ecg_id for point in await history.read(patient_id)] == ecg_ids
    finally:
        await history.close()


async def empty_redis(redis_url: str, at_half: asyncio.Event) -> None:
    await at_half.wait()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.mark.parametrize(
    "scenario", [Scenario(seed=20260, beds=200, rounds=25)], ids=lambda s: f"seed{s.seed}"
)
async def test_three_sigkills_a_stage_and_an_emptied_redis_change_no_alert(
    scenario: Scenario, own_apache_broker: RunningBroker, redis_url: str, services_root: Path
) -> None:
    bootstrap, oracle, at_half = own_apache_broker.bootstrap, Oracle(), asyncio.Event()
    await apply_topics(bootstrap, partitions=PARTITIONS)
    environment = {"DIASTOLE_BROKER": bootstrap, "DIASTOLE_REDIS_URL": redis_url, "DIASTOLE_THREADS": "1"}
    with running_workers(tuple(ROUTES), services_root, environment) as workers:
        flushing = asyncio.create_task(empty_redis(redis_url, at_half))
        await play(scenario, bootstrap, workers, oracle, at_half)
        await flushing
        async with asyncio.timeout(300):
            await all_acknowledged(bootstrap)

    observed = await observe(bootstrap)
    assert len(oracle.risks) == scenario.n_ecgs
    assert observed.ledger.ecgs == oracle.risks.keys() | oracle.dead
    assert observed.ledger.closes
    assert not observed.ledger.dead
    assert_alerts_equal(observed, oracle)
    assert any(name == "AlertRaised" for name, _ in oracle.alerts)

    history = RedisHistory(redis_url)
    try:
        counts = await rebuild_history(bootstrap, Codec(FileRegistry()), history)
    finally:
        await history.close()
    assert counts.undecodable == 0
    await assert_history_complete(redis_url, oracle)
