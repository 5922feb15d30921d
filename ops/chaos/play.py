"""Playing one seed: publishing what arrives, injecting faults on the way, waiting until all is worked off."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from ops.chaos.cluster import Cluster
from ops.chaos.faults import FAULTS
from ops.chaos.offsets import Offsets, watching
from ops.chaos.poison import OVERSIZED_BYTES, Poison
from ops.chaos.scenario import Planned, Scenario
from ops.chaos.starting import PARTITIONS
from schemas.codec import Codec
from schemas.errors import DiastoleError, RetriableError
from streams.envelope import envelope
from streams.feeds.producer import BrokerUnavailableError, LastingProducer, open_producer
from streams.stage import utc_now
from streams.topology import ECG_RECORDED

log = structlog.get_logger(__name__)

#: The largest poison and its frame.
_MOST_BYTES: Final = OVERSIZED_BYTES + 2**17

#: Between two looks at the groups; nobody announces that they are done.
_LOOK_EVERY_S: Final = 0.5

#: The ends must stand still for so many looks: a worker that had been held may still write what it had begun.
_QUIET_LOOKS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """One fault that was injected: what it did, when in the play and for how long, s."""

    kind: str
    did: str
    at_s: float
    took_s: float
    failed: bool = False


@dataclass(slots=True, kw_only=True)
class Played:
    """What became of a play, without what came out.

    Attributes
    ----------
    acknowledged : set of str
        Ids of ECGs and keys of poison that Kafka acknowledged.
    behind : dict of str to int
        Records that stages had not committed when the time was up; empty when all was.
    """

    acknowledged: set[str] = field(default_factory=set)
    faults: list[Injected] = field(default_factory=list)
    behind: dict[str, int] = field(default_factory=dict)
    ends: Offsets = field(default_factory=dict)
    published_s: float = 0.0


async def play(
    cluster: Cluster,
    scenario: Scenario,
    arrivals: Sequence[Planned | Poison],
    kinds: Sequence[str],
    codec: Codec,
    *,
    rate_per_s: float,
    patience_s: float,
) -> Played:
    """Publish, break, heal, and wait until every group has committed to the end, or the patience ends.

    Faults follow each other: the next one begins when it is due and the one before is over. Nothing is
    published beyond the moment at which one is due until it has begun, so each of them meets work.

    Parameters
    ----------
    rate_per_s : float
        Arrivals a second on average; they come in bursts.
    patience_s : float
        Longest wait after everything is published and healed, s.
    """
    played, published, begun_s = Played(), _Count(), time.monotonic()
    plan = scenario.fault_plan(kinds, len(arrivals)) if kinds else []
    bursts = list(_cut(arrivals, scenario.bursts(len(arrivals))))
    working = [
        asyncio.create_task(_break(cluster, plan, published, scenario.seed, begun_s, played)),
        asyncio.create_task(_publish(cluster, bursts, plan, published, codec, rate_per_s, played)),
    ]
    try:
        await asyncio.gather(*working)
    finally:
        for task in working:
            task.cancel()
    await _worked_off(cluster, patience_s, played)
    return played


async def _publish(
    cluster: Cluster,
    bursts: Sequence[Sequence[Planned | Poison]],
    plan: Sequence[tuple[int, str]],
    published: "_Count",
    codec: Codec,
    rate_per_s: float,
    played: Played,
) -> None:
    begun_s = time.monotonic()
    model = next(arrival for burst in bursts for arrival in burst if isinstance(arrival, Planned))
    async with open_producer(cluster.bootstrap, max_request_bytes=_MOST_BYTES, budget_s=60.0) as producer:
        sender = _Sender(producer, codec, model, played)
        for burst in bursts:
            await asyncio.gather(*(sender.send(arrival) for arrival in burst))
            await published.add(len(burst))
            await published.begun(sum(moment <= published.count for moment, _ in plan))
            await asyncio.sleep(len(burst) / rate_per_s)
    played.published_s = round(time.monotonic() - begun_s, 1)


class _Count:
    """How many arrivals have been published and how many faults begun, and waiting for so many."""

    def __init__(self) -> None:
        self.count = 0
        self._begun = 0
        self._changed = asyncio.Condition()

    async def add(self, count: int) -> None:
        async with self._changed:
            self.count += count
            self._changed.notify_all()

    async def begin(self) -> None:
        async with self._changed:
            self._begun += 1
            self._changed.notify_all()

    async def reaches(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.count >= count)

    async def begun(self, faults: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._begun >= faults)


class _Sender:
    """Sends what arrives; poison is made out of ``model``, an ECG of the play."""

    def __init__(self, producer: LastingProducer, codec: Codec, model: Planned, played: Played) -> None:
        self._producer = producer
        self._codec = codec
        self._lawful = codec.encode(model.ecg())
        self._model = model
        self._played = played

    async def send(self, arrival: Planned | Poison) -> None:
        """Send until Kafka has acknowledged; a sender that is not sure sends again."""
        key, payload, headers, name = self._message(arrival)
        while True:
            try:
                await self._producer.send_and_wait(ECG_RECORDED, value=payload, key=key, headers=headers)
                break
            except (KafkaError, BrokerUnavailableError):
                await asyncio.sleep(_LOOK_EVERY_S)
        self._played.acknowledged.add(name)

    def _message(self, arrival: Planned | Poison) -> tuple[bytes, Any, list[Any], str]:
        if isinstance(arrival, Planned):
            ecg = arrival.ecg()
            headers = envelope(ecg, stage="publish", topic=ECG_RECORDED, incoming=(), now=utc_now())
            return ecg.patient_id.encode(), self._codec.encode(ecg), list(headers), ecg.ecg_id
        return arrival.key, arrival.payload(self._lawful, self._model.ecg_id), [], arrival.key.decode()


def _cut(arrivals: Sequence[Any], sizes: Iterable[int]) -> Iterable[Sequence[Any]]:
    start = 0
    for size in sizes:
        yield arrivals[start : start + size]
        start += size


async def _break(
    cluster: Cluster,
    plan: Sequence[tuple[int, str]],
    published: _Count,
    seed: int,
    begun_s: float,
    played: Played,
) -> None:
    for number, (moment, kind) in enumerate(plan):
        await published.reaches(moment)
        await published.begin()
        at_s = time.monotonic()
        chance = random.Random(f"fault-{seed}-{number}")
        failed = False
        try:
            did = await FAULTS[kind].inject(cluster, chance)
        except DiastoleError as error:
            did, failed = f"{error.code}: {error}", True
        except (OSError, KafkaError, RedisError) as error:
            did, failed = f"could not be injected: {type(error).__name__}", True
        took_s = round(time.monotonic() - at_s, 1)
        played.faults.append(
            Injected(kind=kind, did=did, at_s=round(at_s - begun_s, 1), took_s=took_s, failed=failed)
        )
        log.info("fault_injected", kind=kind, did=did, took_s=took_s)


async def _worked_off(cluster: Cluster, patience_s: float, played: Played) -> None:
    """Wait until every group has committed to the end and nothing more is written; or say what is behind."""
    deadline_s, quiet = time.monotonic() + patience_s, 0
    while quiet < _QUIET_LOOKS:
        try:
            async with watching(cluster.bootstrap, PARTITIONS) as watcher:
                while quiet < _QUIET_LOOKS and time.monotonic() < deadline_s:
                    behind, ends = await watcher.behind(), await watcher.ends()
                    quiet = quiet + 1 if not behind and ends == played.ends else 0
                    played.behind, played.ends = behind, ends
                    await asyncio.sleep(_LOOK_EVERY_S)
        except (KafkaError, RetriableError) as error:
            log.warning("watcher_connects_anew", reason=type(error).__name__)
            await asyncio.sleep(_LOOK_EVERY_S)
        if time.monotonic() >= deadline_s:
            return
