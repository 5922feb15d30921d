"""From a play that is over to a verdict: read the topics and Redis, ask the oracle, compare."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import redis.asyncio

from ops.chaos.cluster import Cluster
from ops.chaos.observed import Observed, Point, sort_records
from ops.chaos.offsets import JUDGED_TOPICS, Offsets, watching
from ops.chaos.oracle import Oracle, read_rules
from ops.chaos.play import Played
from ops.chaos.poison import Poison
from ops.chaos.scenario import Planned, Scenario
from ops.chaos.starting import PARTITIONS
from ops.chaos.verdict import Verdict, judge
from schemas.codec import Codec
from streams.adapters.redis_history import RedisHistory
from streams.history import HistoryPoint
from streams.rebuild import rebuild_history

#: Set before each play: when it is gone, so is the rest of what Redis held.
_CANARY = "diastole-chaos-canary"


async def set_canary(cluster: Cluster) -> None:
    """Leave a key in Redis by which a loss of its content is seen."""
    async with redis.asyncio.Redis.from_url(cluster.redis_admin_url) as client:
        await client.set(_CANARY, "alive")


async def has_lost_content(cluster: Cluster) -> bool:
    """Whether Redis was emptied since :func:`set_canary`: its histories are to be rebuilt then."""
    async with redis.asyncio.Redis.from_url(cluster.redis_admin_url) as client:
        return await client.get(_CANARY) is None


async def judged(
    cluster: Cluster,
    scenario: Scenario,
    arrivals: Sequence[Planned | Poison],
    played: Played,
    begins: Offsets,
    codec: Codec,
    policy: Path,
) -> tuple[Verdict, bool]:
    """Read what came out between ``begins`` and ``played.ends``, and judge it; whether Redis was rebuilt.

    Parameters
    ----------
    policy : Path
        The alert policy that the workers run with.
    """
    async with watching(cluster.bootstrap, PARTITIONS) as watcher:
        ends = {tp: end for tp, end in played.ends.items() if tp.topic in JUDGED_TOPICS}
        records = await watcher.read(begins, ends)
    observed = Observed(acknowledged=played.acknowledged, behind=dict(played.behind))
    await asyncio.to_thread(sort_records, records, arrivals, scenario.prefix, codec, observed)
    oracle = Oracle(await asyncio.to_thread(read_rules, policy))
    oracle.take(observed.inputs)
    was_rebuilt = await has_lost_content(cluster)
    await _read_histories(cluster, oracle, codec, was_rebuilt, observed)
    return judge(observed, oracle), was_rebuilt


async def _read_histories(
    cluster: Cluster, oracle: Oracle, codec: Codec, rebuild: bool, into: Observed
) -> None:
    history = RedisHistory(cluster.redis_admin_url)
    try:
        if rebuild:
            await rebuild_history(cluster.bootstrap, codec, history)
        for patient_id in oracle.history():
            into.histories[patient_id] = [_point(each) for each in await history.read(patient_id)]
    finally:
        await history.close()


def _point(point: HistoryPoint) -> Point:
    return Point(
        ecg_id=point.ecg_id,
        bundle_version=point.bundle_version,
        acquired_at=point.acquired_at,
        probability=point.probability,
        reasons=frozenset(point.not_scored_reasons),
    )
